"""A dead letter as its headers and value describe it, and the identity of its failure."""

from __future__ import annotations

import hashlib
from collections.abc import Container

from pipeline.buffer import DeadLetterRow, OutboxRow, record_id
from pipeline.dead_letters.causes import FINGERPRINT_VERSION, fingerprint
from pipeline.dead_letters.topics_file import NOTHING, NOTHING_SAID, DeadLetterTopics
from pipeline.headers import (
    dead_letter_id_of,
    failed_at_ms_of,
    read_failure,
    reason_of,
    source_timestamp_ms_of,
    writer_of,
)
from pipeline.headers.values import LAST_TIMESTAMP_MS
from pipeline.records import Failure, Order, Position, Record, TopicIdentity


def dead_letter_row(
    record: Record,
    ref: int,
    identity: TopicIdentity,
    order: Order | None,
    topics: DeadLetterTopics = NOTHING,
    collected: Container[str] = (),
) -> DeadLetterRow:
    """What is stored of a record of a dead-letter topic. A record without any known header is a dead letter, too.

    `ref` and `identity` are those of its partition. Without an order, the order's columns are NULL. What its headers do
    not tell is taken from what `topics` says of its topic. `collected` are the dead-letter topics.
    """
    told = read_failure(record.headers)
    said = topics.of(record.position.topic)
    failure = told if said is NOTHING_SAID else said.completed(told, record.headers)
    reason = reason_of(failure, record.value) if record.headers_readable else "its headers could not be read"
    group, title = fingerprint(
        failure.error_class, reason, failure.rule, failure.source_topic, failure.stacktrace, record.position.topic
    )
    timestamp_ms = record.timestamp_ms if 0 <= record.timestamp_ms <= LAST_TIMESTAMP_MS else 0
    # By position, which takes half the time of names.
    return DeadLetterRow(
        record_id(ref, record.position.offset),
        record.position.topic,
        record.position.partition,
        record.position.offset,
        timestamp_ms if failure.record_timestamp_ms is None else failure.record_timestamp_ms,
        record.key,
        record.value,
        record.headers,
        failure.dialect,
        reason,
        group,
        title,
        failed_at_ms_of(failure, timestamp_ms, record.append_time),
        # By its headers alone: a copy that comes after the file was changed is still the same failure.
        identity_of_failure(record, told, identity),
        failure.source_topic,
        failure.source_partition,
        failure.source_offset,
        source_timestamp_ms_of(failure, timestamp_ms, record.append_time),
        order,
        failure.error_class,
        failure.stacktrace,
        failure.rule,
        failure.stage,
        failure.consumer_group,
        failure.attempts,
        failure.first_failed_at_ms,
        failure.replay_of,
        failure.replay_id,
        "carried" if failure.dead_letter_id else "inferred" if failure.failed_at_ms is None else "timed",
        _newest_position(told) if told.newest_topic in collected else None,
        FINGERPRINT_VERSION,
    )


def _newest_position(failure: Failure) -> Position | None:
    topic, partition, offset = failure.newest_topic, failure.newest_partition, failure.newest_offset
    return None if topic is None or partition is None or offset is None else Position(topic, partition, offset)


def undeliverable_row(row: OutboxRow, why: str, order: Order | None) -> DeadLetterRow:
    """What is stored of a failed record of ours that the dead-letter topic will never take; `why` says so in words."""
    nowhere = Record(Position("", 0, 0), row.timestamp_ms, row.key, row.value, row.headers)
    made = dead_letter_row(nowhere, 0, TopicIdentity("", ""), order)
    reason = f"{made.reason} (kept in the buffer only: {why})"
    group, title = fingerprint(made.error_class, reason, made.rule, made.source_topic, made.stacktrace)
    return made._replace(
        record_id=None,
        topic=None,
        partition=None,
        offset=None,
        reason=reason,
        fingerprint=group,
        title=title,
        dead_letter_id=row.dead_letter_id,
        identity="carried",
    )


def identity_of_failure(record: Record, failure: Failure, identity: TopicIdentity) -> str:
    """The same for every failure of a record in the same hands. The buffer tells a second one from a copy of the first.

    Ours carry their id. Others are the same when they are in the same dead-letter topic, name the same newest source
    position and who failed it, and hold the same bytes; those that do not name a position are distinguished by their
    own. Where nothing names who failed it, the error's class tells two of them apart at least.
    """
    # No id of ours has a NUL, and the buffer could not look for it.
    if failure.dead_letter_id and "\0" not in failure.dead_letter_id:
        return failure.dead_letter_id
    newest = (failure.newest_topic, failure.newest_partition, failure.newest_offset)
    if None in newest:
        return dead_letter_id_of(identity, record.position.partition, record.position.offset)
    who = writer_of(failure, record.headers) or failure.error_class
    parts = (identity.cluster_id, identity.topic, identity.topic_id, failure.dialect, who, *newest)
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=16)
    # A recreated source topic has the same positions again, but hardly the same bytes there.
    digest.update(repr((record.key, record.value)).encode())
    return digest.hexdigest()
