"""A section is proposed that the parser takes, and that makes orders of the records that it was made of."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UndecodableError
from pipeline.kafka.schema_registry import RegistryClient
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.mapping.mapping_file import parse_mappings
from pipeline.orders.order_reader import OrderReader
from pipeline.orders.proposing.guess import FILL_IN
from pipeline.orders.proposing.propose import Proposal, propose
from pipeline.orders.proposing.sample import Sample, look_through
from pipeline.orders.serde import OrderCodec
from pipeline.orders.whole_reader import WholeReader
from pipeline.records import Order, Record
from pipeline.settings import PROJECT_DIR, Settings
from tests.support.order_recordings import SCHEMA_FOLDER, OrderRecording, all_registered, order_recordings
from tests.support.order_shapes import SHAPES, Shape, record, records_of
from tests.support.stand_in_registry import COMPATIBLE, StandInRegistry

RECORDINGS = order_recordings()
WITHOUT_SCHEMA = {name for name in RECORDINGS if name.startswith("glue-")} | {"python-protobuf"}
"""Of which nothing can be read before somebody says more."""
PATH = Path("mapping.toml")


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrderCodec]:
    """One that knows the schemas of all writers, in the registry or in the schemas folder."""
    folder = shutil.copytree(PROJECT_DIR / "schemas", tmp_path_factory.mktemp("schemas"), dirs_exist_ok=True)
    shutil.copy(SCHEMA_FOLDER / "order.avsc", Path(folder) / "shop-order.avsc")
    with StandInRegistry(all_registered()) as registry:
        settings = Settings(schema_registry_url=registry.url + COMPATIBLE)
        yield OrderCodec(SchemaStore(Path(folder)), RegistryClient(settings, lambda: 0))


@pytest.fixture(scope="module")
def plain() -> OrderCodec:
    return OrderCodec(SchemaStore(PROJECT_DIR / "schemas"))


def looked_through(codec: OrderCodec, records: list[Record], topic: str = "shop") -> Sample:
    return look_through(topic, records, WholeReader(codec.schemas))


def accepted(codec: OrderCodec, proposal: Proposal, records: list[Record]) -> list[Order]:
    """The orders that the proposed section makes."""
    reader = OrderReader(codec, parse_mappings(proposal.text.encode(), PATH))
    found = []
    for each in records:
        try:
            made = reader.read(proposal.topic, each)
        except UndecodableError:
            continue
        if isinstance(made, Order):
            found.append(made)
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_s_fields_are_found(shape: Shape, plain: OrderCodec) -> None:
    records = records_of(shape)
    proposal = propose(looked_through(plain, records))
    assert {key: proposal.table.get(key) for key in shape.proposed} == shape.proposed
    assert ("where" in proposal.table) == ("where" in shape.proposed)
    assert len(accepted(plain, proposal, records)) == shape.orders
    assert proposal.open_keys == []


@pytest.mark.parametrize(
    "recording", [each for name, each in RECORDINGS.items() if name not in WITHOUT_SCHEMA], ids=lambda each: each.name
)
def test_of_what_others_have_written_every_order_is_read_exactly(recording: OrderRecording, codec: OrderCodec) -> None:
    records = [each.record for each in recording.records]
    proposal = propose(looked_through(codec, records, recording.topic))
    reader = OrderReader(codec, parse_mappings(proposal.text.encode(), PATH))
    for each in recording.records:
        if each.expected is not None:
            assert reader.read(recording.topic, each.record) == Order(**asdict(each.expected)), proposal.text
    wanted = sum(each.expected is not None for each in recording.records)
    assert len(accepted(codec, proposal, records)) == wanted


def test_sections_one_after_another_are_one_file(plain: OrderCodec) -> None:
    texts = [
        propose(looked_through(plain, records_of(shape), f"topic-{number}"), "EUR").text
        for number, shape in enumerate(SHAPES)
    ]
    mapped = parse_mappings("".join(texts).encode(), PATH)
    assert len(mapped.recipes) == len(SHAPES)


def test_the_currency_of_the_file_stays(plain: OrderCodec) -> None:
    proposal = propose(looked_through(plain, records_of(SHAPES[3])), "EUR")
    assert proposal.table["currency"]["code"] == "EUR"
    assert "a buffer sums one currency" in proposal.text


NOTHING = {
    "no records": [],
    "deletions": [record(number, None) for number in range(20)],
    "empty values": [record(number, b"") for number in range(20)],
    "garbage": [record(number, os.urandom(60)) for number in range(20)],
    "half of a text": [record(number, b'{"order_id": "o') for number in range(20)],
    "nulls": [record(number, {"order_id": None, "price": None, "lines": [None]}) for number in range(20)],
    "empty objects": [record(number, {}) for number in range(20)],
    "lists": [record(number, [1, [2, [3]]]) for number in range(20)],
    "deep": [record(number, b'{"a":' * 500 + b"1" + b"}" * 500) for number in range(5)],
    "too deep": [record(number, b"[" * 100_000) for number in range(5)],
    "many names": [record(number, {f"{number}-{each}": 1 for each in range(5000)}) for number in range(3)],
    "large": [record(number, {"order_id": "x" * 1_100_000}) for number in range(3)],
    "a list of lists": [record(number, {"lines": [[{"price": 1}]]}) for number in range(5)],
}


@pytest.mark.parametrize("records", NOTHING.values(), ids=NOTHING.keys())
def test_of_what_says_nothing_a_section_is_left_to_be_filled_in(records: list[Record], plain: OrderCodec) -> None:
    proposal = propose(looked_through(plain, records))
    parse_mappings(proposal.text.encode(), PATH)
    assert set(proposal.open_keys) >= {"price"}
    assert accepted(plain, proposal, records) == []


def test_what_could_not_be_guessed_says_so_when_it_is_tried(plain: OrderCodec) -> None:
    records = [record(number, {"order_id": f"o{number}"}) for number in range(9)]
    proposal = propose(looked_through(plain, records))
    assert proposal.table["price"] == FILL_IN
    reader = OrderReader(plain, parse_mappings(proposal.text.encode(), PATH))
    with pytest.raises(UndecodableError, match=r"FILL_IN is missing; expected an amount \(price\)"):
        reader.read("shop", records[0])


def test_comments_hold_nothing_that_a_terminal_obeys(plain: OrderCodec) -> None:
    proposal = propose(looked_through(plain, records_of(next(each for each in SHAPES if "hard" in each.name))))
    assert all(letter.isprintable() or letter == "\n" for letter in proposal.text)


def test_guests_have_the_second_path_or_the_default(plain: OrderCodec) -> None:
    def order(number: int) -> dict[str, Any]:
        who = {"customer_id": f"c{number}"} if number % 2 else {"guest_email": f"{number}@example.com"}
        return {"order_id": f"o{number}", "total": 5, "created_at": "2026-01-27T10:00:00Z", **who}

    records = [record(number, order(number)) for number in range(40)]
    proposal = propose(looked_through(plain, records))
    assert proposal.table["customer_id"] == ["customer_id", "guest_email"]
    assert len(accepted(plain, proposal, records)) == 40


def test_floats_of_a_writer_are_taken_and_said_to_be(plain: OrderCodec) -> None:
    records = [record(number, {"order_id": f"o{number}", "total": 0.1 + 0.2}) for number in range(30)]
    proposal = propose(looked_through(plain, records))
    assert proposal.table["price"] == {"path": "total", "float": True}
    assert "rounds" in proposal.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
names = st.sampled_from(["order_id", "total", "lines", "price", "qty", "type", "key", "timestamp", "created_at", "a.b"])


@given(st.lists(st.dictionaries(names | st.text(max_size=8), json_values, max_size=6), min_size=1, max_size=5))
def test_whatever_records_say_the_parser_takes_what_is_proposed(values: list[Any]) -> None:
    codec = OrderCodec(SchemaStore(PROJECT_DIR / "schemas"))
    records = [record(number, json.dumps(value).encode()) for number, value in enumerate(values)]
    parse_mappings(propose(looked_through(codec, records)).text.encode(), PATH)
