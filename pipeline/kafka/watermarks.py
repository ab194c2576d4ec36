"""Where partitions begin and end, asked for all of them at once: each has its own answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from pipeline.kafka.connection.client import ANSWER_S, TRIES_S, Trouble
from pipeline.kafka.connection.refusals import Asked
from pipeline.kafka.messages import PartitionKey

log = logging.getLogger(__name__)

LowHigh = tuple[int, int]
"""The oldest offset that there is, and the one after the newest."""


def ask_watermarks(
    admin: AdminClient, trouble: Trouble, keys: Iterable[PartitionKey], undecided: bool = False
) -> tuple[dict[PartitionKey, LowHigh], dict[PartitionKey, str]]:
    """The offsets of each partition, and of those without an answer why there is none.

    However many they are, each broker is asked twice. Waits up to 8 s for one that does not answer. A partition ends
    before records of an undecided transaction, as for a consumer, unless `undecided` ones count.
    """
    partitions = [TopicPartition(topic, partition) for topic, partition in keys]
    if not partitions:
        return {}, {}
    isolation = IsolationLevel.READ_UNCOMMITTED if undecided else IsolationLevel.READ_COMMITTED
    admin.poll(0)  # calls the token callback, where a new token is due
    lows = _ask(admin, partitions, OffsetSpec.earliest(), isolation)  # type: ignore[no-untyped-call]
    highs = _ask(admin, partitions, OffsetSpec.latest(), isolation)  # type: ignore[no-untyped-call]
    found: dict[PartitionKey, LowHigh] = {}
    missing: dict[PartitionKey, str] = {}
    for each in partitions:
        key = each.topic, each.partition
        doing = "asking for its offsets"
        try:
            low_high = _offset_of(lows[each]), _offset_of(highs[each])
        except (KafkaException, TimeoutError) as error:
            admin.poll(0)  # hands the library's complaints to `trouble`
            missing[key] = trouble.explain(doing, error, Asked("Describe", each.topic))
        else:
            # While connections end, the library was seen to answer -1001, its sign for none, without an error.
            if min(low_high) < 0:
                missing[key] = trouble.explain(doing, None)
            else:
                found[key] = low_high
    return found, missing


def look_up_leaders(client: AdminClient | Consumer, topic: str | None = None) -> None:
    """Has the client look up who leads which partition; where none did, it would never do so by itself.

    Of a topic that one names, a consumer does not make one that is not there; an AdminClient might.
    """
    try:
        client.list_topics(topic, timeout=TRIES_S[0])
    except KafkaException as error:
        log.debug("leaders not known: %s", error)


def _ask(
    admin: AdminClient, partitions: list[TopicPartition], what: OffsetSpec, isolation: IsolationLevel
) -> Mapping[TopicPartition, Future[Any]]:
    answers: Mapping[TopicPartition, Future[Any]] = admin.list_offsets(
        dict.fromkeys(partitions, what), isolation_level=isolation, request_timeout=ANSWER_S
    )
    return answers


def _offset_of(answer: Future[Any]) -> int:
    return int(answer.result(ANSWER_S * 2).offset)
