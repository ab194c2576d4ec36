"""Orders of others, by a mapping file, through the real processes: read exactly, passed over, dead letters, edited."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipeline.buffer import DeadLetterFilter, OrderFilter
from pipeline.kafka import ClusterView
from pipeline.settings import PROJECT_DIR
from scripts.waiting import wait_for
from tests.support.order_recordings import FOLDER, all_registered, order_recordings
from tests.support.running_pipeline import RunningPipeline
from tests.support.stand_in_registry import StandInRegistry

AVRO = order_recordings()["confluent-avro-references"]
PROTOBUF = order_recordings()["confluent-protobuf-prefix"]
RULES_FILE = PROJECT_DIR / "rules.toml"
COUNT = 30
on_apache_kafka = pytest.mark.parametrize("cluster_settings", ["apache"], indirect=True)

SHOP = """
[topics."{topic}"]
where = 'type == "order.created" and order.test != true'
order_id = "order.id"
customer_id = ["order.customer.id", "key"]
product = {{ path = "order.lines[].sku", line = "dearest" }}
price = "sum(order.lines[].price * order.lines[].qty)"
created_at = "order.created"
region = {{ path = "channel", default = "{region}" }}
currency = {{ code = "{code}", path = "order.currency" }}
"""


@pytest.fixture
def registry() -> Iterator[StandInRegistry]:
    with StandInRegistry(all_registered()) as answering:
        yield answering


def name_of_topics() -> str:
    return f"mapped-{time.time_ns()}"


def recorded_section(recording: str, topic: str) -> str:
    """The section that the recordings' own file has for one of them, for another topic."""
    text = (FOLDER / "mapping.toml").read_text(encoding="utf-8")
    _, _, below = text.partition(f'[topics."{recording}"]\n')
    return f'[topics."{topic}"]\n{below.partition("[topics.")[0]}'


def write(path: Path, text: str) -> None:
    """As an editor does: at once, in place of the file before."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def shop_event(number: int, **changes: Any) -> dict[str, Any]:
    """An order of two lines, the second the dearer one, as a shop's JSON has it."""
    order = {
        "id": f"S-{number}",
        "customer": {"id": f"C-{number % 7}"},
        "created": "2026-03-01T12:00:00.250+01:00",
        "currency": "EUR",
        "lines": [{"sku": "PIN", "price": 0.10, "qty": 3}, {"sku": "MUG", "price": 19.99, "qty": number}],
    }
    return {"type": "order.created", "channel": "web", "order": order | changes}


def as_record(event: Any) -> tuple[bytes, bytes, tuple[()]]:
    return b"key", json.dumps(event).encode(), ()


def orders(pipeline: RunningPipeline) -> dict[tuple[str, str], dict[str, Any]]:
    """Every order, by topic and id."""
    with pipeline.reader() as reader:
        rows = reader.orders(OrderFilter(), limit=1000).dicts()
    return {(row["topic"], row["order_id"]): row for row in rows}


def reasons(pipeline: RunningPipeline) -> list[str]:
    """Why each record failed, without where it stands and the rule's name, which is said too."""
    with pipeline.reader() as reader:
        told = [letter.reason or "" for letter in reader.dead_letters(DeadLetterFilter(), limit=100)]
    found = [
        re.fullmatch(r"mapped-\S+\[\d\] offset \d+: (.+) \(rule (?:mapping|json|avro|protobuf)\)", each)
        for each in told
    ]
    assert None not in found, told
    return sorted(match[1] for match in found if match)


def events_of_the_file(pipeline: RunningPipeline) -> list[str]:
    """What was noted of the mapping file, oldest first."""
    with pipeline.reader() as reader:
        return [each for each in reader.events().column("message") if each.startswith("mapping file ")][::-1]


def figures(pipeline: RunningPipeline) -> dict[str, Any]:
    role = pipeline.role("processor")
    return role.figures if role else {}


def assert_all_agrees(pipeline: RunningPipeline) -> None:
    checked = pipeline.command("check")
    assert (checked.returncode, checked.stderr) == (0, "all figures agree\n"), checked.stdout


@on_apache_kafka
def test_json_avro_and_protobuf_are_read_exactly_and_what_is_no_order_is_passed_over_or_a_dead_letter(
    pipeline_with: Callable[..., RunningPipeline], registry: StandInRegistry, tmp_path: Path
) -> None:
    name = name_of_topics()
    shop, avro, protobuf = f"{name}-json", f"{name}-avro", f"{name}-protobuf"
    path = tmp_path / "mapping.toml"
    sections = [recorded_section(AVRO.name, avro), recorded_section(PROTOBUF.name, protobuf)]
    write(path, "\n".join([SHOP.format(topic=shop, region="none", code="EUR"), *sections]))
    rules = tmp_path / "rules.toml"
    # Some of the recorded ones are as dear as an order can be.
    rules.write_text(RULES_FILE.read_text(encoding="utf-8").replace('"100000.00"', '"9999999999.99"'), encoding="utf-8")
    pipeline = pipeline_with(
        orders_topic=f"{shop},{avro},{protobuf}",
        mapping_file=str(path),
        rules_file=str(rules),
        schema_registry_url=registry.url,
    )
    for topic in (avro, protobuf):
        ClusterView(pipeline.settings, pipeline.cluster).ensure_topic(topic)
    pipeline.up()

    pipeline.send(*(as_record(shop_event(number)) for number in range(1, COUNT + 1)), topic=shop)
    pipeline.send(
        as_record({"type": "order.shipped", "order": {"id": "S-1"}}),
        as_record(shop_event(1, test=True)),
        (b"key", None, ()),
        topic=shop,
    )
    without_id = shop_event(91)
    del without_id["order"]["id"]
    pipeline.send(
        as_record(without_id),
        as_record(shop_event(92, lines=[{"sku": "PIN", "price": "ten", "qty": 1}])),
        as_record(shop_event(93, created="2026-03-01 12:00")),
        as_record(shop_event(94, currency="USD")),
        as_record(shop_event(95, lines=[{"sku": "PIN", "price": 0.105, "qty": 1}])),
        (b"key", b'{"type": "order.created", "order": ', ()),
        topic=shop,
    )
    for recording, topic in ((AVRO, avro), (PROTOBUF, protobuf)):
        pipeline.send(*((each.record.key, each.record.value, ()) for each in recording.records), topic=topic)
        whole = recording.records[0].record.value or b""
        pipeline.send((b"key", whole[:-4], ()), topic=topic)

    recorded = len(AVRO.records) + len(PROTOBUF.records)
    wait_for("all orders and dead letters", lambda: pipeline.settled() >= COUNT + recorded + 8)
    found = orders(pipeline)
    assert len(found) == COUNT + recorded
    for number in range(1, COUNT + 1):
        row = found[shop, f"S-{number}"]
        assert row["price_cents"] == 30 + 1999 * number
        assert (row["customer_id"], row["product"], row["region"]) == (f"C-{number % 7}", "MUG", "web")
        assert row["created_at_ms"] == 1772362800250
    for recording, topic in ((AVRO, avro), (PROTOBUF, protobuf)):
        for each in recording.records:
            assert each.expected is not None
            assert asdict(each.expected).items() <= found[topic, each.expected.order_id].items()

    assert pipeline.status()["passed_over"] == [{"topic": shop, "records": 3}]
    assert reasons(pipeline) == sorted(
        [
            "order.id is missing; expected a text or a number (order_id)",
            'sum(order.lines[].price * order.lines[].qty) has a text ("ten") in line 0; expected an amount (price)',
            'order.created is a text ("2026-03-01 12:00") without a zone; `zone` would say which; '
            "expected a time (created_at)",
            'order.currency is a text ("USD"); expected EUR',
            "sum(order.lines[].price * order.lines[].qty) is 0.105, more than 2 digits after the point; "
            "expected an amount of EUR (price)",
            "value is no JSON: Input data was truncated",
            "truncated after 70 bytes, in region",
            "value is no shop.Order: Error parsing message with type 'shop.Order': Wire format was corrupt",
        ]
    )
    assert_all_agrees(pipeline)


@on_apache_kafka
def test_the_file_is_edited_while_orders_flow(pipeline_with: Callable[..., RunningPipeline], tmp_path: Path) -> None:
    shop = name_of_topics()
    path = tmp_path / "mapping.toml"
    write(path, SHOP.format(topic=shop, region="first", code="EUR"))
    pipeline = pipeline_with(orders_topic=shop, mapping_file=str(path))
    pipeline.up()
    versions = [figures(pipeline)["mapping_version"]]
    started = pipeline.role("processor")
    assert started is not None

    def send(number: int) -> dict[str, Any]:
        event = shop_event(number)
        del event["channel"]
        pipeline.send(as_record(event), topic=shop)
        wait_for(f"order {number}", lambda: pipeline.settled() == number)
        return orders(pipeline)[shop, f"S-{number}"]

    assert send(1)["region"] == "first"

    # What is changed holds from the next batch on.
    write(path, SHOP.format(topic=shop, region="second", code="EUR"))
    wait_for("the new version", lambda: figures(pipeline)["mapping_version"] not in versions)
    versions.append(figures(pipeline)["mapping_version"])
    assert send(2)["region"] == "second"

    # What cannot be used is said, and changes nothing.
    write(path, SHOP.format(topic=shop, region="third", code="EUR").replace("customer_id", "custommer"))
    wait_for("an error", lambda: figures(pipeline)["mapping_error"])
    [said] = [role["figures"] for role in pipeline.status()["roles"] if role["role"] == "processor"]
    assert said["mapping_version"] == versions[-1]
    assert said["mapping_error"].startswith(f"the mapping file {path}: line 5: topics.{shop}.custommer is no key of a")
    assert f"topics.{shop}.customer_id is missing" in said["mapping_error"]
    assert send(3)["region"] == "second"

    # Another currency would add up what cannot be added up.
    write(path, SHOP.format(topic=shop, region="fourth", code="JPY"))
    wait_for("a refusal", lambda: "the buffer holds" in figures(pipeline)["mapping_error"])
    assert figures(pipeline)["mapping_error"] == (
        "the buffer holds 3 orders in EUR (2 digits), the mapping says JPY (0 digits): one buffer sums one currency, "
        "use another data folder"
    )
    assert figures(pipeline)["mapping_version"] == versions[-1]
    assert send(4)["region"] == "second"

    write(path, SHOP.format(topic=shop, region="fifth", code="EUR"))
    wait_for("the last version", lambda: not figures(pipeline)["mapping_error"])
    versions.append(figures(pipeline)["mapping_version"])
    assert send(5)["region"] == "fifth"

    assert events_of_the_file(pipeline) == [
        f"mapping file {version}: it has sections for {shop}" for version in versions
    ]
    ended = pipeline.role("processor")
    assert ended is not None
    assert (ended.pid, ended.started_at_ms) == (started.pid, started.started_at_ms)
    with pipeline.reader() as reader:
        assert reader.totals().revenue_cents == sum(30 + 1999 * number for number in range(1, 6))
    assert_all_agrees(pipeline)
