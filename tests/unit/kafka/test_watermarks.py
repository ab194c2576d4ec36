"""What the client library answers about offsets is an offset, or none."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from confluent_kafka import OFFSET_INVALID, TopicPartition
from confluent_kafka.admin import OffsetSpec

from pipeline.kafka import Cluster
from pipeline.kafka.connection.client import Trouble
from pipeline.kafka.watermarks import ask_watermarks


class Answers:
    """An admin client as librdkafka's was while a broker went away: an answer without an error, and no offset in it."""

    def poll(self, timeout_s: float) -> None:
        """Nothing to hand out."""

    def list_offsets(self, asked: dict[TopicPartition, OffsetSpec], **_: Any) -> dict[TopicPartition, Future[Any]]:
        answers = {each: Future() for each in asked}
        for each, answer in answers.items():
            answer.set_result(SimpleNamespace(offset=7 if each.partition == 0 else OFFSET_INVALID))
        return answers


def test_an_answer_without_an_offset_is_none() -> None:
    admin: Any = Answers()
    found, missing = ask_watermarks(admin, Trouble(Cluster("")), [("orders", 0), ("orders", 1)])
    assert found == {("orders", 0): (7, 7)}
    assert missing == {("orders", 1): "asking for its offsets: no answer"}
