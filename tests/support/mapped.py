"""Readers of mapping files, and what they make of records one by one and at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import UndecodableError
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.formats.schemas import Schemas
from pipeline.orders.mapped_reader import MappedReader
from pipeline.orders.mapping.mapping_file import Mapped, parse_mappings
from pipeline.orders.order_reader import RecordList
from pipeline.records import Headers, Order, PassedOver, Position, Record
from pipeline.schema_source import RegisteredSchema, SchemaId, SchemaRef
from pipeline.settings import PROJECT_DIR
from tests.support.buffer_rows import NOW_MS

STORE = SchemaStore(PROJECT_DIR / "schemas")
TOPIC = "shop.orders"
FIELDS = {
    "order_id": '"id"',
    "customer_id": '{ constant = "C-1" }',
    "product": '{ constant = "tea" }',
    "price": '"total"',
    "created_at": '"timestamp"',
}
"""A section in which only `id` and `total` are read of the value."""


class RegistryByHand:
    """Knows the schemas that a test has given it, or fails as the test says. `asked` is what it was asked for."""

    def __init__(self, schemas: Mapping[SchemaRef, RegisteredSchema | Exception] | None = None) -> None:
        self.schemas = dict(schemas or {})
        self.asked: list[SchemaRef] = []

    def get(self, ref: SchemaRef) -> RegisteredSchema | None:
        """See SchemaRegistry."""
        self.asked.append(ref)
        found = self.schemas.get(ref)
        if isinstance(found, Exception):
            raise found
        return found

    def register(self, subject: str, schema_text: str) -> int:
        """See SchemaRegistry. Nothing of ours registers what others write."""
        raise AssertionError(subject)

    def recheck(self) -> None:
        """Nothing was left unanswered."""


def section(labels: str = "", **fields: str) -> str:
    """A file of one section: the TOML of each key, FIELDS for those that are not given; an empty one is left out."""
    lines = [f"{name} = {value}" for name, value in (FIELDS | fields).items() if value]
    return "\n".join([f'[topics."{TOPIC}"]', *lines, f"[labels]\n{labels}" if labels else ""])


def mapped(text: str) -> Mapped:
    """What a mapping file says. Raises MappingFileError."""
    return parse_mappings(text.encode(), Path("mapping.toml"))


def reader_of(
    text: str, schemas: Mapping[SchemaRef, RegisteredSchema] | None = None, topic: str = TOPIC
) -> MappedReader:
    """What reads the topic's records by a mapping file, with these schemas in the registry."""
    found = mapped(text)
    recipe = found.recipe(topic)
    assert recipe is not None
    unframed = found.schema_files.get(recipe.section.schema_file)
    return MappedReader(recipe, Schemas(STORE, RegistryByHand(schemas)), unframed)


def avro_under(schema_id: int, schema: str) -> dict[SchemaRef, RegisteredSchema]:
    """A registry with one Avro schema."""
    return {SchemaId(schema_id): RegisteredSchema("AVRO", schema)}


def record_of(
    value: bytes | None,
    headers: Headers = (),
    key: bytes | None = None,
    timestamp_ms: int = NOW_MS,
    append_time: bool = False,
    offset: int = 0,
) -> Record:
    """A record of the topic."""
    return Record(Position(TOPIC, 0, offset), timestamp_ms, key, value, headers, append_time=append_time)


def one_by_one(reader: MappedReader, records: Sequence[Record]) -> list[Order | PassedOver | str]:
    """What `read` makes of each: an order, that it is none, or the reason why it cannot be read."""
    found: list[Order | PassedOver | str] = []
    for record in records:
        try:
            found.append(reader.read(record))
        except UndecodableError as error:
            found.append(error.reason)
    return found


def read_both_ways(reader: MappedReader, records: Sequence[Record]) -> tuple[list[Order | PassedOver | str], int]:
    """What `read` makes of each, and of how many `read_many` made the same at once; it makes nothing else."""
    found = one_by_one(reader, records)
    made = reader.read_many(RecordList(records))
    for index, order in zip(made.orders.indexes.tolist(), made.orders.orders(), strict=True):
        assert order == found[index]
    for index in made.passed_over:
        assert isinstance(found[index], PassedOver)
    assert not set(made.passed_over) & set(made.orders.indexes.tolist())
    return found, len(made.orders) + len(made.passed_over)


def read_one(reader: MappedReader, record: Record) -> Order | PassedOver | str:
    """What comes of one record, whichever way it is read."""
    [found], _ = read_both_ways(reader, [record])
    return found
