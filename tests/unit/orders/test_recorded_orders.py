"""Orders as writers that are not ours put them on the wire, read by a section of the mapping file each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.errors import UndecodableError
from pipeline.kafka.schema_registry import RegistryClient
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.mapping.mapping_file import Mapped, parse_mappings
from pipeline.orders.order_reader import OrderReader, RecordList
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order, PassedOver
from pipeline.settings import PROJECT_DIR, Settings
from tests.support.order_recordings import FOLDER, SCHEMA_FOLDER, OrderRecording, all_registered, order_recordings
from tests.support.stand_in_registry import COMPATIBLE, StandInRegistry

RECORDINGS = order_recordings()
GLUE = {name for name in RECORDINGS if name.startswith("glue-")}


@pytest.fixture(scope="module")
def mapped() -> Mapped:
    path = FOLDER / "mapping.toml"
    return parse_mappings(path.read_bytes(), path)


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrderCodec]:
    """One that knows the schemas of all writers, in the registry or in the schemas folder."""
    folder = shutil.copytree(PROJECT_DIR / "schemas", tmp_path_factory.mktemp("schemas"), dirs_exist_ok=True)
    shutil.copy(SCHEMA_FOLDER / "order.avsc", Path(folder) / "shop-order.avsc")
    with StandInRegistry(all_registered()) as registry:
        settings = Settings(schema_registry_url=registry.url + COMPATIBLE)
        yield OrderCodec(SchemaStore(Path(folder)), RegistryClient(settings, lambda: 0))


@pytest.mark.parametrize(
    "recording", [RECORDINGS[name] for name in RECORDINGS if name not in GLUE], ids=lambda r: r.name
)
def test_every_order_is_read_exactly_and_the_rest_is_passed_over(
    recording: OrderRecording, mapped: Mapped, codec: OrderCodec
) -> None:
    reader = OrderReader(codec, mapped)
    for each in recording.records:
        found = reader.read(recording.topic, each.record)
        if each.expected is None:
            assert isinstance(found, PassedOver), each.name
        else:
            assert found == Order(**asdict(each.expected)), each.name


@pytest.mark.parametrize("recording", RECORDINGS.values(), ids=lambda r: r.name)
def test_many_at_once_are_the_same_orders(recording: OrderRecording, mapped: Mapped, codec: OrderCodec) -> None:
    reader = OrderReader(codec, mapped)
    orders, passed_over = reader.read_many(recording.topic, RecordList([each.record for each in recording.records]))
    for index, order in zip(orders.indexes.tolist(), orders.orders(), strict=True):
        expected = recording.records[index].expected
        assert expected is not None
        assert order == Order(**asdict(expected))
    assert all(recording.records[index].expected is None for index in passed_over)


@pytest.mark.parametrize("name", sorted(GLUE))
def test_a_framing_that_is_known_and_not_read_is_named(name: str, mapped: Mapped, codec: OrderCodec) -> None:
    record = RECORDINGS[name].records[0].record
    with pytest.raises(UndecodableError, match="AWS Glue's schema registry .* which OrderPulse does not ask"):
        OrderReader(codec, mapped).read(name, record)


def test_avro_without_a_framing_is_read_by_the_file_that_the_section_names(mapped: Mapped, codec: OrderCodec) -> None:
    recording = RECORDINGS["confluent-avro-prefix"]
    section = (
        (FOLDER / "mapping.toml").read_text().partition('[topics."confluent-avro-prefix"]')[2].partition("[topics.")[0]
    )
    text = f'[topics.bare]\navro_schema = "schemas/order.avsc"\n{section}'
    reader = OrderReader(codec, parse_mappings(text.encode(), FOLDER / "mapping.toml"))
    bare = [replace(each.record, value=(each.record.value or b"")[5:], headers=()) for each in recording.records]
    expected = [Order(**asdict(each.expected)) for each in recording.records if each.expected]
    assert [reader.read("bare", record) for record in bare] == expected
    orders, _ = reader.read_many("bare", RecordList(bare))
    assert orders.orders() == expected
