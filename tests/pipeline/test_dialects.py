"""Dead letters of every framework through a running pipeline: collected, told apart, and replayed or refused."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pipeline.buffer import DeadLetterFilter
from pipeline.buffer.views import DeadLetterDetail
from pipeline.kafka import records_since
from pipeline.records import Record
from scripts.waiting import wait_for
from tests.support.recordings import recordings
from tests.support.running_pipeline import RunningPipeline

RECORDED = recordings()
PATTERNS = r"orders-dlq,^.*\.DLT$,^.*-dlt$"
OTHERS = {
    "karafka": (("source_topic", b"orders"), ("source_partition", b"2"), ("source_offset", b"31")),
    "arroyo": (("original_partition", b"2"), ("original_offset", b"31")),
    "nservicebus": (("NServiceBus.FailedQ", b"sales@shop"), ("NServiceBus.ExceptionInfo.Message", b"too slow")),
    "none": (("dlq_replay_count", b"2"),),
}
SOURCE_TOPICS = {"watermill/failed-twice": "poison"}
"""Of those whose second failure has replaced the origin."""
NAME = "recording"
"""A header of the tests, put before all others, by which a dead letter is found again."""


def topic_of(name: str) -> str:
    """A dead-letter topic of its own: several recordings are of the same record, which fails only once in a topic."""
    writer, _, failure = name.partition("/")
    return f"{writer}.{failure}" + (".DLT" if writer == "spring-kafka" else "-dlt")


@pytest.fixture
def collected(
    pipeline_with: Callable[..., RunningPipeline],
) -> tuple[RunningPipeline, dict[str, DeadLetterDetail]]:
    """A pipeline that has collected all recordings and those of the frameworks that none is of."""
    pipeline = pipeline_with(dlq_topics=PATTERNS)
    pipeline.up()
    for name, record in RECORDED.items():
        headers = ((NAME, name.encode()), *record.headers)
        pipeline.send((record.key, record.value, headers), topic=topic_of(name))
    for name, others in OTHERS.items():
        pipeline.send((b"k", b"v", ((NAME, name.encode()), *others)), topic="orders-dlq")
    expected = len(RECORDED) + len(OTHERS)
    with pipeline.reader() as reader:
        wait_for(f"{expected} dead letters", lambda: reader.totals().dead_letters == expected)
        details = [reader.dead_letter(row.id) for row in reader.dead_letters(DeadLetterFilter())]
    found = {detail.headers[0][1].decode(): detail for detail in details if detail and detail.headers[0][1]}
    return pipeline, found


def test_dead_letters_of_every_framework_are_collected_told_apart_and_replayed_or_refused(
    collected: tuple[RunningPipeline, dict[str, DeadLetterDetail]],
) -> None:
    pipeline, found = collected
    _each_has_its_dialect_and_its_bytes(found)
    _spring_s_exceptions_are_stripped(pipeline, found["spring-kafka/value-not-deserialized-header-retained"])
    _a_record_without_body_is_refused(pipeline, found["share-group/without-body"])
    _what_smallrye_could_not_read_goes_with_its_bytes(pipeline, found["smallrye/not-deserialized"])


def _each_has_its_dialect_and_its_bytes(found: dict[str, DeadLetterDetail]) -> None:
    for name, record in RECORDED.items():
        detail = found[name]
        silent = name in ("kafka-connect/without-context", "kafkajs-async-retry/given-up")
        assert detail.row.dialect == ("none" if silent else name.partition("/")[0])
        assert (detail.key, detail.value, detail.headers[1:]) == (record.key, record.value, record.headers)
        assert detail.row.topic == topic_of(name)
        assert detail.row.source_topic == (None if silent else SOURCE_TOPICS.get(name, "orders"))
    for name, headers in OTHERS.items():
        assert (found[name].row.dialect, found[name].headers[1:]) == (name, headers)


def _spring_s_exceptions_are_stripped(pipeline: RunningPipeline, detail: DeadLetterDetail) -> None:
    answer = pipeline.command("replay", "--id", str(detail.row.id))
    assert answer.returncode == 0, answer.stderr
    (sent,) = _sent_by_replay(pipeline, detail)
    assert (sent.key, sent.value) == (detail.key, detail.value)
    kept = tuple(header for header in detail.headers if not re.search("xception", header[0]))
    assert len(kept) == 7
    assert sent.headers[: len(kept)] == kept
    assert [name for name, _ in sent.headers[len(kept) :]] == ["orderpulse.replay-id", "orderpulse.replay-of"]


def _a_record_without_body_is_refused(pipeline: RunningPipeline, detail: DeadLetterDetail) -> None:
    answer = pipeline.command("replay", "--id", str(detail.row.id))
    assert answer.returncode == 1
    assert "has no body; the record itself is at orders[3] offset 417" in answer.stderr
    assert _sent_by_replay(pipeline, detail) == []
    with pipeline.reader() as reader:
        again = reader.dead_letter(detail.row.id)
    assert again is not None
    assert (again.row.status, again.row.replays) == ("open", 0)


def _what_smallrye_could_not_read_goes_with_its_bytes(pipeline: RunningPipeline, detail: DeadLetterDetail) -> None:
    assert detail.value is None
    assert pipeline.command("replay", "--id", str(detail.row.id)).returncode == 0
    (sent,) = _sent_by_replay(pipeline, detail)
    assert (sent.key, sent.value) == (b"C-1", b"undecodable")


def _sent_by_replay(pipeline: RunningPipeline, detail: DeadLetterDetail) -> list[Record]:
    """What stands on the source topic and came from a replay of this dead letter."""
    start = dict.fromkeys(range(4), 0)
    sent = records_since(pipeline.settings, pipeline.cluster, "orders", start)
    return [record for record in sent if ("orderpulse.replay-of", detail.dead_letter_id.encode()) in record.headers]
