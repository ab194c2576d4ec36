"""Which mapping the processor reads by: that of the file, unless the buffer sums another currency."""

from __future__ import annotations

from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock
from pipeline.errors import MappingFileError
from pipeline.orders.mapping.mapping_file import DEFAULT, Mapped, MappingFile
from pipeline.orders.order_reader import OrderReader
from pipeline.records import Currency

EVENT = "mapping file"


class MappingInForce:
    """Follows the file. A mapping that cannot be used leaves the one before in force."""

    def __init__(self, mapping_file: MappingFile, reader: OrderReader, clock: Clock) -> None:
        self._file = mapping_file
        self._reader = reader
        self._clock = clock
        self._seen: Mapped | None = None
        self._in_force = DEFAULT
        self._refused = ""
        self.currency = Currency()
        """What orders are in that are read by it."""
        self.version = ""
        """A short hash of the file that is in force; empty without one."""

    @property
    def error(self) -> str:
        """Why the file as it is now is not in force; empty when it is."""
        return self._file.error or self._refused

    @property
    def float_topics(self) -> list[str]:
        """The topics and patterns whose amounts may be floats, which are rounded."""
        return self._in_force.float_topics

    def has_section(self, topic: str) -> bool:
        """Whether the mapping says how orders are made of this topic's records."""
        return self._in_force.recipe(topic) is not None

    def begin(self, writer: BatchWriter) -> None:
        """Takes the mapping to a session's buffer. Raises MappingFileError when that one sums another currency."""
        self._seen = None
        self.look(writer)
        if self._refused:
            raise MappingFileError(self._refused)

    def look(self, writer: BatchWriter) -> None:
        """Goes over to what the file says now. Between two batches: what is judged is judged by one mapping."""
        content = self._file.content
        if content is self._seen:
            return
        self._seen = content
        currency = content.mappings.currency
        self._refused = writer.flow.agree_currency(currency)
        if self._refused:
            return
        self._in_force = content
        self._reader.use(content)
        self.currency, self.version = currency, self._file.version
        topics = ", ".join(content.recipes) or "none"
        message = f"{EVENT} {self.version or 'not there'}: it has sections for {topics}"
        if self.version or self._file.was_read:
            writer.watch.event_of_change("processor", EVENT, message, self._clock())
