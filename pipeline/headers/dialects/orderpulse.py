"""Our own dialect: Kafka Connect's names, which many tools know, and a few of ours; all text. `own` writes it."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.dialects import kafka_connect
from pipeline.headers.values import HeadersByName, as_number, as_text, as_timestamp_ms
from pipeline.records import Failure

TIMESTAMP_MS = "orderpulse.timestamp-ms"
ATTEMPTS = "orderpulse.attempts"
FIRST_FAILED_AT_MS = "orderpulse.first-failed-at-ms"
FAILED_AT_MS = "orderpulse.failed-at-ms"
RULE = "orderpulse.rule"
DEAD_LETTER_ID = "orderpulse.dead-letter-id"


def read(headers: HeadersByName) -> Failure:
    """A record that failed again carries our headers twice: the first position is the origin, the last the newest.

    The dead letter's own timestamp is when it failed, so that no retention takes it for old and no broker refuses it.
    """
    timestamp_ms = as_timestamp_ms(headers.last(TIMESTAMP_MS))
    return kafka_connect.read(
        headers,
        dialect="orderpulse",
        source_timestamp_ms=_source_timestamp_ms(headers) if headers.has_repeats else timestamp_ms,
        record_timestamp_ms=timestamp_ms,
        attempts=as_number(headers.last(ATTEMPTS)),
        rule=as_text(headers.last(RULE)),
        first_failed_at_ms=as_timestamp_ms(headers.first(FIRST_FAILED_AT_MS)),
        failed_at_ms=as_timestamp_ms(headers.last(FAILED_AT_MS)),
        dead_letter_id=as_text(headers.last(DEAD_LETTER_ID)),
    )


def _source_timestamp_ms(headers: HeadersByName) -> int | None:
    """The time of the first position, if that is one of ours: Connect writes the same headers and tells no time."""
    first = headers.first(TIMESTAMP_MS)
    if first is None:
        return None
    names = [name for name, _ in headers.in_order]
    positions_before = names[: names.index(TIMESTAMP_MS)].count(kafka_connect.TOPIC)
    # Our time comes after our position; where somebody has lost that order, each position must be one of ours.
    is_ours = positions_before == 1 or (
        positions_before == 0 and names.count(kafka_connect.TOPIC) == names.count(TIMESTAMP_MS)
    )
    return as_timestamp_ms(first) if is_ours else None


DIALECT = Dialect(
    name="orderpulse",
    header_names=frozenset({TIMESTAMP_MS, ATTEMPTS, FIRST_FAILED_AT_MS, FAILED_AT_MS, RULE, DEAD_LETTER_ID}),
    read=read,
    header_order="appended",
    required=frozenset({DEAD_LETTER_ID}),
    borrows_from=kafka_connect.DIALECT,
    not_borrowed=frozenset({kafka_connect.CONNECTOR_NAME, kafka_connect.TASK_ID}),
    # `Settings.own_dlq_topic`: the orders topic and `-dlq`.
    topics=r"-dlq$",
)
