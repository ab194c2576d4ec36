"""Reads the records of a topic that has a section in the mapping file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.errors import SchemaPendingError, UndecodableError
from pipeline.orders.avro import MAXIMUM_DEPTH
from pipeline.orders.avro_schemas import WriterSchema
from pipeline.orders.columns import Values
from pipeline.orders.formats.avro_columns import AvroColumns, avro_columns
from pipeline.orders.formats.avro_json import avro_json_value
from pipeline.orders.formats.avro_values import AvroReader, avro_reader
from pipeline.orders.formats.connect_json import envelope_prefix, none_has_a_schema, types_of
from pipeline.orders.formats.framing import (
    FRAMING_HEADERS,
    PLAIN,
    Fingerprint,
    Framing,
    first_that_reads,
    framings_of,
    grouped,
    read_message_indexes,
    read_type_ref,
)
from pipeline.orders.formats.json_values import JsonReader
from pipeline.orders.formats.protobuf_values import DescriptorError, MessageTypes, ProtobufReader
from pipeline.orders.formats.schemas import JsonSchema, Schemas
from pipeline.orders.mapping.batches import NONE_MADE, MadeOrders, Records, make_orders, together
from pipeline.orders.mapping.paths import look_up
from pipeline.orders.mapping.recipe import Recipe
from pipeline.orders.mapping.selection import selection_of
from pipeline.orders.mapping.sources import Parts
from pipeline.orders.mapping.value_columns import Found, plain_values, read_in_pieces
from pipeline.orders.mapping.values import ValueMismatchError
from pipeline.records import Headers, Order, PassedOver, Record
from pipeline.schema_source import SchemaRef

_PIECE_OF_COLUMNS = 2500
"""Numpy's calls cost something each, and what they lay out for a record is ten times its bytes."""
_KEPT_READERS = 1000
"""Schemas of a topic are a handful; garbage that looks like one names any number."""

Read = Callable[[bytes, int], list[Any]]
"""What each path leads to in the value whose body begins there. Raises UndecodableError."""


class MappedReader:
    """Makes orders of records by a section's recipe: `read` judges, `read_many` is the fast way to the same orders."""

    def __init__(
        self,
        recipe: Recipe,
        schemas: Schemas,
        unframed: MessageTypes | WriterSchema | None = None,
        maximum_depth: int = MAXIMUM_DEPTH,
    ) -> None:
        """`unframed`: what the section's file says of values without a framing."""
        self.recipe = recipe
        self._schemas = schemas
        self._maximum_depth = maximum_depth
        self._wanted = selection_of(recipe.paths)
        self._json = JsonReader(recipe.paths)
        self._avro: dict[SchemaRef | Fingerprint | None, AvroReader] = {}
        self._avro_columns: dict[SchemaRef | Fingerprint | None, AvroColumns | None] = {}
        self._protobuf: dict[tuple[SchemaRef | None, tuple[int, ...]], ProtobufReader] = {}
        self._unframed: ProtobufReader | WriterSchema | None = None
        if isinstance(unframed, MessageTypes):
            self._unframed = self._protobuf_reader(unframed.named(recipe.section.message))
        elif unframed is not None:
            self._unframed = unframed

    # -- one record

    def read(self, record: Record) -> Order | PassedOver:
        """The order in a record, or that it is none.

        Raises UndecodableError saying what is wrong, SchemaPendingError while it may turn out that nothing is, and
        RegistryUnavailableError when nobody can be asked just now.
        """
        parts = Parts((None,) * len(self.recipe.paths), record.key, record.headers, record.timestamp_ms)
        parts.append_time = record.append_time
        # What headers alone tell to be no order need not be readable.
        if self.recipe.looks_at_headers_only and (verdict := self.recipe.passed_over(parts)) is not None:
            return verdict
        if record.value:
            parts.values = self._values(record.value, record.headers)
            return self.recipe.order(parts)
        # A deletion is written as a null: `where` may tell by what is not there that it is no order.
        if record.value is None and (verdict := self.recipe.passed_over(parts)) is not None:
            return verdict
        raise UndecodableError("value is null (a tombstone)" if record.value is None else "value is empty")

    def _values(self, value: bytes, headers: Headers) -> list[Any]:
        """What each path leads to, by the first way to read the value that fits it."""
        return first_that_reads(self._framings(value, headers), lambda framing: self._values_as(framing, value))

    def _framings(self, value: bytes, headers: Headers) -> list[Framing]:
        """The ways to read a value, the likeliest first. Raises UndecodableError."""
        told = self._unframed is not None or self.recipe.section.format == "json"
        return [PLAIN] if told else framings_of(value, headers)

    def _values_as(self, framing: Framing, value: bytes) -> list[Any]:
        if framing.schema is None:
            return self._unframed_values(value)
        schema = self._schemas.get(framing.schema)
        body = value[framing.begin :]
        if isinstance(schema, JsonSchema):
            return self._json_values(body)
        if isinstance(schema, MessageTypes):
            reader, begin = self._message_reader_of(framing, schema, value)
            return self._looked_up(reader.read(value[begin:]))
        if framing.json_encoding:
            return self._looked_up(avro_json_value(schema, body))
        try:
            return self._looked_up(self._avro_reader(framing.schema, schema).read(value, framing.begin))
        except UndecodableError:
            # Apicurio's JSON encoding says so in a header only, and behind a prefix not at all.
            if not body.startswith(b"{"):
                raise
            return self._looked_up(avro_json_value(schema, body))

    def _unframed_values(self, value: bytes) -> list[Any]:
        if self._unframed is None:
            return self._json_values(value)
        if isinstance(self._unframed, ProtobufReader):
            return self._looked_up(self._unframed.read(value))
        return self._looked_up(self._avro_reader(None, self._unframed).read(value, 0))

    def _json_values(self, value: bytes) -> list[Any]:
        found = self._json.read(value)
        if prefix := envelope_prefix(value):
            typed = types_of(prefix, self.recipe.paths)
            return [_typed(make, each) for make, each in zip(typed, found, strict=True)]
        return found

    def _looked_up(self, value: Any) -> list[Any]:
        return [_look_up(value, path) for path in self.recipe.paths]

    # -- readers, made once each

    def _avro_reader(self, ref: SchemaRef | Fingerprint | None, schema: WriterSchema) -> AvroReader:
        found = self._avro.get(ref)
        if found is None:
            if len(self._avro) >= _KEPT_READERS:
                self._avro.clear()
            found = avro_reader(schema.parsed, schema.names, self._wanted, self._maximum_depth)
            self._avro[ref] = found
        return found

    def _columns_of(self, ref: SchemaRef | Fingerprint | None, schema: WriterSchema) -> AvroColumns | None:
        if ref not in self._avro_columns:
            if len(self._avro_columns) >= _KEPT_READERS:
                self._avro_columns.clear()
            self._avro_columns[ref] = avro_columns(schema.parsed, schema.names, self.recipe.paths)
        return self._avro_columns[ref]

    def _message_reader_of(self, framing: Framing, types: MessageTypes, value: bytes) -> tuple[ProtobufReader, int]:
        """What reads a value, and where its message begins."""
        if framing.message_indexes:
            indexes, _ = read_message_indexes(framing.message_indexes, 0)
            return self._message_reader(framing.schema, types, indexes), framing.begin
        if (named := read_type_ref(value, framing.begin)) is not None:
            name, begin = named
            if (found := types.index_of(name)) is not None:
                return self._message_reader(framing.schema, types, found), begin
        indexes, begin = read_message_indexes(value, framing.begin)
        return self._message_reader(framing.schema, types, indexes), begin

    def _message_reader(
        self, ref: SchemaRef | Fingerprint | None, types: MessageTypes, indexes: tuple[int, ...]
    ) -> ProtobufReader:
        assert not isinstance(ref, Fingerprint)
        found = self._protobuf.get((ref, indexes))
        if found is None:
            if len(self._protobuf) >= _KEPT_READERS:
                self._protobuf.clear()
            try:
                found = self._protobuf_reader(types.at(indexes))
            except DescriptorError as error:
                raise UndecodableError(f"{ref}: {error}", "protobuf") from error
            self._protobuf[ref, indexes] = found
        return found

    def _protobuf_reader(self, descriptor: Any) -> ProtobufReader:
        return ProtobufReader(descriptor, self._wanted, self.recipe.paths)

    # -- many records

    def read_many(self, records: Records) -> MadeOrders:
        """Orders of those records that are plain, and which are passed over; ask `read` about all others.

        Raises RegistryUnavailableError when some cannot be judged just now.
        """
        if not len(records):
            return NONE_MADE
        values = records.values()
        plainly_framed = [index for index, clear in enumerate(records.without_headers(FRAMING_HEADERS)) if clear]
        if self._unframed is not None:
            some = [index for index, value in enumerate(values) if value]
            if isinstance(self._unframed, ProtobufReader):
                return self._of_messages(self._unframed, records, values, some, 0)
            return self._of_avro(records, values, some, PLAIN, self._unframed)
        groups = grouped(values, plainly_framed)
        return (
            together(self._of_group(records, values, indexes) for indexes in groups.values()) if groups else NONE_MADE
        )

    def _of_group(self, records: Records, values: Sequence[bytes | None], indexes: list[int]) -> MadeOrders:
        """Values that begin alike."""
        first = values[indexes[0]] or b""
        try:
            (framing,) = framings_of(first, ())
            if framing is PLAIN:
                return self._of_plain_json(records, values, indexes)
            assert framing.schema is not None
            schema = self._schemas.get(framing.schema)
        except (UndecodableError, SchemaPendingError):
            return NONE_MADE  # `read` says of each record what is wrong with it
        if isinstance(schema, JsonSchema):
            return self._of_json(records, values, indexes, framing.begin)
        if isinstance(schema, MessageTypes):
            return self._of_registered_messages(records, values, indexes, framing, schema)
        return self._of_avro(records, values, indexes, framing, schema)

    def _of_json(self, records: Records, values: Sequence[bytes | None], indexes: list[int], begin: int) -> MadeOrders:
        found, columns = read_in_pieces(lambda some: self._without_schemas(_bodies(values, some, begin)), indexes)
        return make_orders(self.recipe, records, _picked(indexes, found), columns)

    def _of_plain_json(self, records: Records, values: Sequence[bytes | None], indexes: list[int]) -> MadeOrders:
        prefix = envelope_prefix(values[indexes[0]] or b"")
        if not prefix:
            return self._of_json(records, values, indexes, 0)
        # A connector writes the same schema with each record, so most begin alike up to the payload.
        alike = [index for index in indexes if envelope_prefix(values[index] or b"") == prefix]
        found, columns = read_in_pieces(lambda some: self._json.read_many(_bodies(values, some, 0)), alike)
        typed = types_of(prefix, self.recipe.paths)
        made = [
            [_typed(make, each) for each in plain_values(column)] for make, column in zip(typed, columns, strict=True)
        ]
        return make_orders(self.recipe, records, _picked(alike, found), made)

    def _without_schemas(self, values: list[bytes]) -> Found:
        """Those of the values that have no schema beside them: one that has reads otherwise."""
        if none_has_a_schema(values):
            return self._json.read_many(values)
        plain = [index for index, value in enumerate(values) if not envelope_prefix(value)]
        found, columns = self._json.read_many([values[index] for index in plain])
        return _picked(plain, found), columns

    def _of_registered_messages(
        self,
        records: Records,
        values: Sequence[bytes | None],
        indexes: list[int],
        framing: Framing,
        schema: MessageTypes,
    ) -> MadeOrders:
        # Nearly all are a file's first message, which a single 0 says.
        begins = [(values[index] or b"")[framing.begin : framing.begin + 1] for index in indexes]
        first = [index for index, begin in zip(indexes, begins, strict=True) if begin == b"\0"]
        others = [index for index, begin in zip(indexes, begins, strict=True) if begin != b"\0"]
        by_message: dict[tuple[str, int], tuple[ProtobufReader, list[int]]] = {}
        for some in ([first] if first else []) + [[index] for index in others]:
            try:
                reader, begin = self._message_reader_of(framing, schema, values[some[0]] or b"")
            except UndecodableError:
                continue
            by_message.setdefault((reader.name, begin), (reader, []))[1].extend(some)
        made = [
            self._of_messages(reader, records, values, some, begin) for (_, begin), (reader, some) in by_message.items()
        ]
        return together(made) if made else NONE_MADE

    def _of_messages(
        self,
        reader: ProtobufReader,
        records: Records,
        values: Sequence[bytes | None],
        indexes: list[int],
        begin: int,
    ) -> MadeOrders:
        found, columns = read_in_pieces(lambda some: reader.read_many(_bodies(values, some, begin)), indexes)
        return make_orders(self.recipe, records, _picked(indexes, found), columns)

    def _of_avro(
        self,
        records: Records,
        values: Sequence[bytes | None],
        indexes: list[int],
        framing: Framing,
        schema: WriterSchema,
    ) -> MadeOrders:
        plan = self._columns_of(framing.schema, schema)
        if plan is not None:
            found, columns = read_in_pieces(
                lambda some: plan.read(Values([values[index] for index in some]), framing.begin),
                indexes,
                _PIECE_OF_COLUMNS,
            )
            return make_orders(self.recipe, records, _picked(indexes, found), columns)
        reader = self._avro_reader(framing.schema, schema)
        found, rows = list[int](), list[list[Any]]()
        for index in indexes:
            try:
                rows.append(self._looked_up(reader.read(values[index] or b"", framing.begin)))
            except UndecodableError:
                continue
            found.append(index)
        columns = list(map(list, zip(*rows, strict=True))) if rows else [[] for _ in self.recipe.paths]
        return make_orders(self.recipe, records, found, columns)


def _bodies(values: Sequence[bytes | None], indexes: Sequence[int], begin: int) -> list[bytes]:
    picked = [values[index] or b"" for index in indexes]
    return [value[begin:] for value in picked] if begin else picked


def _picked(indexes: list[int], found: list[int]) -> list[int]:
    return indexes if len(found) == len(indexes) else [indexes[each] for each in found]


def _typed(make: Callable[[Any], Any], value: Any) -> Any:
    return value if isinstance(value, ValueMismatchError) else make(value)


def _look_up(value: Any, path: Any) -> Any:
    try:
        return look_up(value, path)
    except ValueMismatchError as error:
        return error
