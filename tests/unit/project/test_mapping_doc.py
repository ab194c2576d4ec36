"""What docs/mapping.md says is so: its examples come out as they stand there, its tables and numbers are the code's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.errors import UndecodableError
from pipeline.kafka.schema_registry import RegistryClient
from pipeline.orders import avro
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.formats import avro_json, connect_json, json_values, protobuf_files, protobuf_values
from pipeline.orders.mapping import amounts, conditions, paths, values
from pipeline.orders.mapping.mapping_file import Mapped, parse_mappings
from pipeline.orders.mapping.sections import SECTION_KEYS, AmountRule, CurrencyRule, Labels, TextRule, TimeRule
from pipeline.orders.order_reader import OrderReader, RecordList
from pipeline.orders.serde import OrderCodec
from pipeline.records import Headers, Order, PassedOver, Position, Record
from pipeline.settings import PROJECT_DIR, Settings
from tests.support.order_recordings import FOLDER, SCHEMA_FOLDER, all_registered, order_recordings
from tests.support.stand_in_registry import COMPATIBLE, StandInRegistry
from tests.unit.project.test_docs import code_blocks

TEXT = (PROJECT_DIR / "docs" / "mapping.md").read_text(encoding="utf-8")
RECORDINGS = order_recordings()
EXAMPLES = TEXT.partition("\n## Worked examples\n")[2].split("\n### ")[1:]
_BLOCK = re.compile(r"^```(toml|record|outcome)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"(recorded|topic|key hex|key|header|value hex|value|) +(.+)")
LIMITS = {
    "items of a list or entries of a map that is looked into": paths.MAXIMUM_ITEMS,
    "digits of a number that is calculated with, and places of its point": values.MAXIMUM_DIGITS,
    "digits of an amount in minor units": len(str(avro.CENTS_LIMIT - 1)),
    "types within each other in Avro": avro.MAXIMUM_DEPTH,
    "types within each other in Avro's JSON encoding": avro_json.MAXIMUM_DEPTH,
    "bytes of a record in Avro's JSON encoding": avro_json.MAXIMUM_BYTES,
    "objects and lists within each other in JSON": json_values.MAXIMUM_DEPTH,
    "messages within each other in Protobuf": protobuf_values.MAXIMUM_DEPTH,
    "bytes of a schema in Connect's envelope; the payload of a longer one is plain JSON": (
        connect_json.MAXIMUM_SCHEMA_BYTES
    ),
    "seconds that protoc may take for a registry's schema": protobuf_files.COMPILE_S,
    "parentheses and `not` within each other in `where`": conditions.MAXIMUM_DEPTH,
    "factors of a price": amounts.MAXIMUM_FACTORS,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A record of the document, and what is to come of it in its words."""

    topic: str
    record: Record
    outcome: str
    recorded: str


def mapped(text: str) -> Mapped:
    """As if the file stood in the folder of the recordings, where the descriptor sets are."""
    return parse_mappings(text.encode(), FOLDER / "mapping.toml")


def shown_in(example: str) -> tuple[str, list[Shown]]:
    """The sections of an example as one file, and its records."""
    blocks = _BLOCK.findall(example)
    sections = "\n".join(text for kind, text in blocks if kind == "toml")
    rest = [(kind, text) for kind, text in blocks if kind != "toml"]
    assert [kind for kind, _ in rest] == ["record", "outcome"] * (len(rest) // 2)
    return sections, [shown(rest[at][1], rest[at + 1][1].strip()) for at in range(0, len(rest), 2)]


def shown(text: str, outcome: str) -> Shown:
    told: dict[str, str] = {}
    headers: list[tuple[str, bytes | None]] = []
    name = ""
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        assert match, line
        name = match[1] or name
        if name == "header":
            header, _, value = match[2].partition(": ")
            headers.append((header, value.encode()))
        else:
            told[name] = told.get(name, "") + match[2]
    position = Position(told["topic"], 0, 0)
    record = Record(position, 0, _bytes(told, "key"), _bytes(told, "value"), tuple(headers))
    return Shown(told["topic"], record, outcome, told.get("recorded", ""))


def _bytes(told: Mapping[str, str], name: str) -> bytes | None:
    if f"{name} hex" in told:
        return bytes.fromhex(told[f"{name} hex"])
    return None if told.get(name, "null") == "null" else told[name].encode()


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrderCodec]:
    """One that knows the schemas of all recordings."""
    folder = Path(shutil.copytree(PROJECT_DIR / "schemas", tmp_path_factory.mktemp("schemas"), dirs_exist_ok=True))
    shutil.copy(SCHEMA_FOLDER / "order.avsc", folder / "shop-order.avsc")
    with StandInRegistry(all_registered()) as registry:
        settings = Settings(schema_registry_url=registry.url + COMPATIBLE)
        yield OrderCodec(SchemaStore(folder), RegistryClient(settings, lambda: 0))


def outcome_of(reader: OrderReader, each: Shown) -> str:
    try:
        found = reader.read(each.topic, each.record)
    except UndecodableError as error:
        return f"dead letter\n{error.reason}"
    return "passed over" if isinstance(found, PassedOver) else in_words(found)


def in_words(order: Order) -> str:
    seconds, millis = divmod(order.created_at_ms, 1000)
    fields = {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "product": order.product,
        "price": f"{Decimal(order.price_cents).scaleb(-2):.2f}",
        "created_at": f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03}Z",
        "region": order.region,
    }
    return "\n".join(["order", *(f"{name:<12} {value}" for name, value in fields.items())])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.partition("\n")[0])
def test_a_worked_example_comes_out_as_it_says(example: str, codec: OrderCodec) -> None:
    sections, records = shown_in(example)
    assert records
    reader = OrderReader(codec, mapped(sections))
    for each in records:
        assert outcome_of(reader, each) == each.outcome


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.partition("\n")[0])
def test_what_comes_out_of_many_at_once_is_the_same(example: str, codec: OrderCodec) -> None:
    sections, records = shown_in(example)
    reader = OrderReader(codec, mapped(sections))
    for each in records:
        orders, passed_over = reader.read_many(each.topic, RecordList([each.record]))
        assert not passed_over or each.outcome == "passed over"
        assert [in_words(order) for order in orders.orders()] in ([], [each.outcome])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.partition("\n")[0])
def test_what_was_recorded_is_shown_byte_for_byte(example: str) -> None:
    for each in shown_in(example)[1]:
        if not each.recorded:
            continue
        recording, name = each.recorded.split(": ")
        [found] = [recorded.record for recorded in RECORDINGS[recording].records if recorded.name == name]
        assert (each.record.key, each.record.value) == (found.key, found.value), name
        assert each.record.headers == found.headers, name


def test_there_are_six_examples() -> None:
    assert [example[:2] for example in EXAMPLES] == [f"{number}." for number in range(1, 7)]


@pytest.mark.parametrize("text", code_blocks(TEXT, "toml"))
def test_every_file_that_is_shown_is_one(text: str) -> None:
    assert mapped(text).recipes


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the tables under a heading, without their heads."""
    section = re.split(r"\n##+ ", TEXT.partition(f"\n{heading}\n")[2])[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [line.strip("| ").split(" | ") for line in lines if not line.startswith("|---")]


def test_every_key_is_explained_and_there_is_no_other() -> None:
    keys = [key for row in rows_of("## A section")[1:] for key in re.findall(r"`(\w+)`", row[0])]
    assert sorted(keys) == sorted(SECTION_KEYS)
    rules = (TextRule, AmountRule, TimeRule)
    allowed = {field.alias or name for rule in rules for name, field in rule.model_fields.items()}
    explained = [row for row in rows_of("### Where a value comes from") if row[0].startswith("`") and len(row) == 3]
    assert {key for row in explained for key in re.findall(r"`(\w+)`", row[0])} == allowed
    named = set(re.findall(r"`([a-z_]+)`", TEXT)) | set(re.findall(r"^\w+(?= =)", TEXT, re.MULTILINE))
    assert Labels.model_fields.keys() <= named
    assert all(re.search(rf"\b{key} = ", TEXT) for key in CurrencyRule.model_fields)


def test_limits_are_those_of_the_code() -> None:
    told = dict(rows_of("## Limits")[1:])
    assert told.pop("years of a time") == "1 to 9999"
    assert told == {what: f"{number:,}" for what, number in LIMITS.items()}


def headers_named(cell: str) -> set[str]:
    return set(re.findall(r"`((?:__|apicurio|ce_|content)[\w.-]+)`", cell))


def test_the_bytes_of_each_writer_are_those_that_were_recorded() -> None:
    rows = rows_of("## Formats and framings")[1:]
    named = [(row, name) for row in rows for name in re.findall(r"`([\w-]+)`", row[4])]
    assert sorted(name for _, name in named) == sorted(RECORDINGS)
    for row, name in named:
        recorded = [each.record for each in RECORDINGS[name].records if each.record.value is not None]
        beginning = re.match(r"`([0-9a-f ]+)`", row[1])
        if beginning:
            start = bytes.fromhex(beginning[1])
            assert all((record.value or b"").startswith(start) for record in recorded), name
        told = headers_named(row[2])
        assert all(told & header_names(record.headers) for record in recorded) or not told, name
        if row[2] == "–":
            assert not any(record.headers for record in recorded), name


def header_names(headers: Headers) -> set[str]:
    return {name for name, _ in headers}
