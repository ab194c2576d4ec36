"""What a buffer promises about imports: dead letters out of a file, in a buffer that never belonged to a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from pipeline.buffer.entities import Row

if TYPE_CHECKING:
    from pipeline.buffer.contract import DeadLetterRow

ImportKind = Literal["export", "kcat"]
"""Who wrote the file: our own export, or `kcat -J`."""


DeadLetterStatus = Literal["open", "replaying", "replayed", "recovered", "dead_again", "discarded"]
"""What a dead letter may be; of an imported one, what it was in its own buffer."""


class ImportSource(NamedTuple):
    """A file while it is imported. Two imports of a file differ in when they were started."""

    file: str
    kind: ImportKind
    started_at_ms: int


class ExportedLetter(NamedTuple):
    """A dead letter as an export has it: its cells in the order of `columns_of("dead_letters")`, headers as JSON.

    `title` is that of its group.
    """

    row: Row
    title: str


class ReadRecord(NamedTuple):
    """A dead letter as it was read from its topic. `digest` is the same for the same record at the same position."""

    row: DeadLetterRow
    digest: bytes


class Linked(NamedTuple):
    """What one step of `ImportStore.link` did."""

    looked_at: int
    without_earlier: int
    """Those whose earlier dead letter is not in the file."""


class ImportStore(Protocol):
    """What `import` writes. Imported dead letters are in no replay, and count for no alert.

    Everything that is there already stays as it is, so that the same file can be imported again, whatever became of the
    first time.
    """

    def refuse_cluster(self) -> None:
        """Raises UsageError where a topic was ever read into this buffer: then nothing may be imported."""

    def add_exported(self, source: ImportSource, letters: Sequence[ExportedLetter], now_ms: int) -> int:
        """Adds those whose `dead_letter_id` is not there; returns how many.

        Each keeps its id where that is free, with its status and all times. What its `replay_of` means is found by
        `link`, once all are there. Raises UsageError as `refuse_cluster` does.
        """

    def add_records(self, source: ImportSource, records: Sequence[ReadRecord], now_ms: int) -> int:
        """Adds those that were not imported before and are no copies, as the collector would; returns how many.

        Where nothing tells when one failed, it is when it was written to its topic. One with `failed_in` turns the open
        dead letter that was imported from there before, or is later in this file, to `dead_again`. Raises UsageError as
        `refuse_cluster` does.
        """

    def link(self) -> Linked:
        """Has the next few of those that `add_exported` was given name their earlier dead letter."""

    def finish(self, source: ImportSource, now_ms: int) -> None:
        """Notes that all of the file was looked at, now and in earlier imports of it that were interrupted."""
