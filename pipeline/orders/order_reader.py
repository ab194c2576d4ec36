"""Makes orders of the records of any topic: by its section in the mapping file, else as `Order` of the schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.errors import RegistryUnavailableError, SchemaPendingError, UndecodableError
from pipeline.orders.columns import OrderColumns
from pipeline.orders.mapping.batches import NONE_MADE, Records
from pipeline.orders.mapping.currency import DEFAULT_DIGITS
from pipeline.orders.mapping.mapping_file import DEFAULT, Mapped
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order, PassedOver, Record

if TYPE_CHECKING:
    from pipeline.orders.mapped_reader import MappedReader


class OrderReader:
    """Reads by the mapping that is in force. To be used by one thread."""

    def __init__(self, codec: OrderCodec, mapped: Mapped = DEFAULT) -> None:
        self._codec = codec
        self._mapped = mapped
        self.currency = mapped.mappings.currency
        """What prices of orders are in."""
        self._readers: dict[str, MappedReader | None] = {}

    def use(self, mapped: Mapped) -> None:
        """Reads by this mapping from now on."""
        if mapped is not self._mapped:
            self._mapped, self._readers = mapped, {}
            self.currency = mapped.mappings.currency

    @property
    def has_sections(self) -> bool:
        """Whether any topic is read by the mapping file."""
        return bool(self._mapped.recipes)

    def recheck_registry(self) -> None:
        """Raises RegistryUnavailableError while the registry still cannot say what it could not say last."""
        self._codec.recheck_registry()

    def read(self, topic: str, record: Record) -> Order | PassedOver:
        """The order in a record as one of this topic, or that it is none.

        Raises UndecodableError saying what is wrong, SchemaPendingError while it may turn out that nothing is, and
        RegistryUnavailableError when nobody can be asked just now; nothing else, whatever the bytes.
        """
        reader = self._reader(topic)
        if reader is not None:
            return reader.read(record)
        if self.currency.digits != DEFAULT_DIGITS:
            raise UndecodableError(
                f"prices of `Order` have {DEFAULT_DIGITS} digits behind the point, and the mapping file's currency "
                f"{self.currency.digits}: the topic {topic} needs a section there",
                "mapping",
            )
        return self._codec.decode(record.value, record.headers)

    def read_many(self, topic: str, records: Records) -> tuple[OrderColumns, list[int]]:
        """Orders of those records that are plain, and the indexes of those passed over; ask `read` about all others.

        Raises RegistryUnavailableError when some cannot be judged just now.
        """
        # Without sections nothing is looked up.
        reader = self._reader(topic) if self._mapped.recipes else None
        if reader is not None:
            return reader.read_many(records)
        if self.currency.digits != DEFAULT_DIGITS:
            return NONE_MADE
        return self._codec.decode_many(records.values()), []

    def order_in(self, topic: str, record: Record) -> Order | None:
        """The order in a record; None where it is none, or nobody can say just now."""
        try:
            found = self.read(topic, record)
        except (UndecodableError, SchemaPendingError, RegistryUnavailableError):
            return None
        return found if isinstance(found, Order) else None

    def _reader(self, topic: str) -> MappedReader | None:
        if topic not in self._readers:
            self._readers[topic] = self._made_reader(topic)
        return self._readers[topic]

    def _made_reader(self, topic: str) -> MappedReader | None:
        recipe = self._mapped.recipe(topic)
        if recipe is None:
            return None
        # Only where there is a section: what reads JSON and Protobuf takes its time to be imported.
        from pipeline.orders.mapped_reader import MappedReader

        return MappedReader(recipe, self._codec.schemas, self._mapped.schema_files.get(recipe.section.schema_file))


class RecordList:
    """Records that are at hand one by one, as many of one topic."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def values(self) -> list[bytes | None]:
        """See Records."""
        return [record.value for record in self._records]

    def keys(self) -> list[bytes | None]:
        """See Records."""
        return [record.key for record in self._records]

    def headers(self, index: int) -> Sequence[tuple[str, bytes | None]] | None:
        """See Records."""
        record = self._records[index]
        return record.headers if record.headers_readable else None

    def times(self) -> list[tuple[int, bool]]:
        """See Records."""
        return [(record.timestamp_ms, record.append_time) for record in self._records]

    def without_headers(self, names: frozenset[str]) -> list[bool]:
        """See Records."""
        return [
            record.headers_readable and names.isdisjoint([name for name, _ in record.headers])
            for record in self._records
        ]
