"""A topic that nobody has described, on a real cluster: proposed, tried, and looked up for the app by the worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.buffer import Lookup, open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.jobs.lookups import Lookups
from pipeline.jobs.topic_examiner import TopicExaminer
from pipeline.orders.mapping.mapping_file import parse_mappings
from pipeline.roles import topic_examiner
from scripts.waiting import wait_for
from tests.support.kafkas import Kafka, Sent, on_kafka
from tests.support.order_shapes import SHAPES, Shape, records_of


@pytest.fixture
def shop(kafka: Kafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kafka:
    """A topic with a shop's orders, and the environment of a command that is to find it."""
    kafka.make_topic()
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(kafka.settings.data_dir))
    monkeypatch.setenv("ORDERPULSE_KAFKA_CONFIG", json.dumps(kafka.settings.kafka_config))
    monkeypatch.setenv("ORDERPULSE_BOOTSTRAP_SERVERS", kafka.settings.bootstrap_servers)
    (tmp_path / "mapping.toml").write_text("")
    monkeypatch.setenv("ORDERPULSE_MAPPING_FILE", str(tmp_path / "mapping.toml"))
    return kafka


def write(kafka: Kafka, shape: Shape = SHAPES[0], count: int = 100) -> None:
    records = records_of(shape, count)
    # As of now: what is older than its retention, a broker may remove at any moment.
    kafka.send(*(Sent(each.value, each.key, each.headers) for each in records))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["mapping", *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


@on_kafka()
def test_a_proposal_is_a_file_that_makes_orders_of_the_topic(
    shop: Kafka, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(shop)
    code, out, err = run(capsys, "propose", "--topic", shop.topic)
    assert code == 0
    assert err == f"{shop.topic}: of 100 records 50 would be accepted, 50 passed over, 0 dead letters\n"
    assert parse_mappings(out.encode(), tmp_path / "m").recipe(shop.topic) is not None

    (tmp_path / "mine.toml").write_text(out)
    code, out, err = run(capsys, "try", "--topic", shop.topic, "--file", str(tmp_path / "mine.toml"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["order_id", "customer_id", "product", "price", "created_at", "region"]
    assert len(lines) == 22
    assert lines[-1] == "of 100 records 50 would be accepted, 50 passed over, 0 dead letters"


@on_kafka()
def test_why_records_would_be_dead_letters_is_counted(
    shop: Kafka, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(shop)
    _, proposed, _ = run(capsys, "propose", "--topic", shop.topic)
    shop.send(*(Sent(b'{"type": "order.created", "order": {"id": "x"}}') for _ in range(3)), Sent(b"\x80garbage"))
    (tmp_path / "mapping.toml").write_text(proposed)
    code, out, _ = run(capsys, "try", "--topic", shop.topic)
    assert code == 0
    assert "of 104 records 50 would be accepted, 50 passed over, 4 dead letters" in out
    assert [line.split(maxsplit=1)[0] for line in out.splitlines()[-2:]] == ["3", "1"]


@on_kafka()
def test_without_a_section_it_is_tried_as_our_own_order(shop: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    write(shop)
    code, out, err = run(capsys, "try", "--topic", shop.topic)
    assert code == 1
    assert "0 would be accepted" in out
    assert err.splitlines()[0] == f"{shop.topic} has no section: tried as `Order` of the schemas folder"


@on_kafka()
@pytest.mark.parametrize("action", ["propose", "try"])
def test_what_is_not_there_or_says_nothing_is_told_in_one_line(
    shop: Kafka, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    for topic, told in (("nowhere", "there is no topic nowhere"), (shop.topic, f"topic {shop.topic} is empty")):
        code, out, err = run(capsys, action, "--topic", topic)
        assert (code, out) == (1, "")
        assert err.startswith(f"orderpulse: {told}")
        assert err.count("\n") == 1


@on_kafka()
def test_of_garbage_nothing_is_proposed(shop: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    shop.send(*(Sent(bytes([0x80 + number]) * 30) for number in range(20)))
    code, out, err = run(capsys, "propose", "--topic", shop.topic)
    assert (code, out) == (1, "")
    assert "none of 20 records can be read" in err


@pytest.mark.parametrize("arguments", [["propose"], ["try", "--topic"], [], ["write", "--topic", "x"]])
def test_wrong_use_is_told_apart(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["mapping", *arguments])
    assert ended.value.code == 2


class Asking:
    """The worker's part of look-ups, step by step, and somebody who asks."""

    def __init__(self, kafka: Kafka) -> None:
        self.buffer = open_buffer(kafka.settings.database_file)
        self.examiner = topic_examiner(kafka.settings)
        self.lookups = Lookups(self.buffer, self.examiner, wall_clock_ms)

    def ask(self, kind: Any, **params: str) -> Lookup:
        number = self.buffer.lookups.ask(kind, json.dumps(params), "somebody", wall_clock_ms())

        def answered() -> Lookup | None:
            self.lookups.step()
            found = self.buffer.lookups.get(number)
            return found if found is not None and found.state != "asked" else None

        found = wait_for(f"an answer to {kind}", answered)
        assert found is not None
        return found


@on_kafka()
def test_the_worker_answers_what_the_app_wants_to_know(shop: Kafka) -> None:
    write(shop)
    asking = Asking(shop)
    topics = json.loads(asking.ask("topics").answer or "")
    assert {"name": shop.topic, "held": 100, "format": "JSON"} in topics

    sample = json.loads(asking.ask("sample", topic=shop.topic).answer or "")
    assert (sample["records"], sample["held"], len(sample["shown"])) == (100, 100, 3)
    assert sample["trial"]["accepted"] == 50
    assert {each["key"]: each["value"] for each in sample["guesses"]}["price"] == "order.total"

    section = f'[topics."{shop.topic}"]\norder_id = "order.id"\ncustomer_id = "key"\nproduct = "x"\nprice = "y"\n'
    tried = json.loads(asking.ask("try", topic=shop.topic, section=f'{section}created_at = "timestamp"\n').answer or "")
    assert tried["trial"]["accepted"] == 0
    assert sum(count for count, _ in tried["trial"]["reasons"]) == 100
    broken = asking.ask("try", topic=shop.topic, section=section)
    assert (broken.state, broken.answer) == ("failed", None)
    assert "created_at is missing" in (broken.error or "")
    assert asking.ask("sample", topic="nowhere").error == "there is no topic nowhere, or it is hidden from this account"


@on_kafka()
def test_a_fault_of_ours_is_an_answer_too(shop: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(shop)

    def broken(examiner: TopicExaminer) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(TopicExaminer, "topics", broken)
    assert asking.ask("topics").error == "it failed by a fault of OrderPulse (ZeroDivisionError)"
