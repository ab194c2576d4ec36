"""Orders as writers that are not ours put them on the wire; `make recordings` makes the files."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.records import Headers, Position, Record
from tests.support.stand_in_registry import RegisteredSchema

FOLDER = Path(__file__).resolve().parents[1] / "data" / "orders"
SCHEMA_FOLDER = FOLDER / "schemas"


@dataclass(frozen=True, slots=True)
class ExpectedOrder:
    """What is to come of a recorded order. `price_cents` is its total, `product` what its first line is of."""

    order_id: str
    customer_id: str
    product: str
    price_cents: int
    created_at_ms: int
    region: str


@dataclass(frozen=True, slots=True)
class RecordedOrder:
    """One record, under a name that a failing test says."""

    name: str
    record: Record
    expected: ExpectedOrder | None
    """None where it is no new order: a refund, a change, a deletion, a tombstone."""


@dataclass(frozen=True, slots=True)
class OrderRecording:
    """All records of one writer's topic, as a consumer of that topic finds them, and what was told of them."""

    name: str
    writer: str
    version: str
    made_by: str
    """The program that let it write, from the project's folder."""
    how: str
    records: tuple[RecordedOrder, ...]
    registered: tuple[RegisteredSchema, ...]
    """What its registry knew: the schemas that it names, and those that they refer to."""
    schema_files: tuple[Path, ...]
    """What a reader needs that asks no registry: Avro schemas, or the descriptor set of Protobuf."""

    @property
    def topic(self) -> str:
        """Every recording has a topic of its own, of its name."""
        return self.name


def expected_orders() -> dict[str, ExpectedOrder]:
    """The orders that every writer was given, by their id."""
    told = json.loads((FOLDER / "orders.json").read_text(encoding="utf-8"))
    return {each["expected"]["order_id"]: ExpectedOrder(**each["expected"]) for each in told}


def order_recordings() -> dict[str, OrderRecording]:
    """All of them by name, as in `confluent-avro-prefix`."""
    expected = expected_orders()
    names = sorted(file.stem for file in FOLDER.glob("*.jsonl"))
    return {name: _recording(FOLDER / f"{name}.jsonl", expected) for name in names}


def all_registered() -> list[RegisteredSchema]:
    """The schemas of all registries that were asked, each once: what a StandInRegistry for any recording is given."""
    registered = [schema for recording in order_recordings().values() for schema in recording.registered]
    return list({(schema.subject, schema.version): schema for schema in registered}.values())


def _recording(file: Path, expected: Mapping[str, ExpectedOrder]) -> OrderRecording:
    about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return OrderRecording(
        file.stem,
        about["writer"],
        about["version"],
        about["made_by"],
        about["how"],
        tuple(_recorded(line, offset, expected) for offset, line in enumerate(lines)),
        tuple(_schema(each) for each in about["registered"]),
        tuple(SCHEMA_FOLDER / name for name in about["schema_files"]),
    )


def _recorded(line: dict[str, Any], offset: int, expected: Mapping[str, ExpectedOrder]) -> RecordedOrder:
    headers: Headers = tuple((name, _bytes(value)) for name, value in line["headers"])
    position = Position(line["topic"], line["partition"] or 0, offset)
    record = Record(position, line["timestamp_ms"], _bytes(line["key"]), _bytes(line["value"]), headers)
    return RecordedOrder(line["name"], record, None if line["order_id"] is None else expected[line["order_id"]])


def _schema(told: dict[str, Any]) -> RegisteredSchema:
    return RegisteredSchema(**told | {"references": tuple(told.get("references", ()))})


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)
