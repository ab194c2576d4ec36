"""Imports a file of dead letters: read as a stream, written in batches, said in one summary.

What is in the buffer already stays as it is, so an import that was interrupted is done again, with the same file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import chain
from pathlib import Path

from pipeline.buffer import Buffer, ExportedLetter, ImportKind, ImportSource, ReadRecord
from pipeline.clock import Clock
from pipeline.crash_points import reached
from pipeline.dead_letters.collector import orders_in
from pipeline.dead_letters.importing import exported, kcat
from pipeline.dead_letters.importing.exported import letter_of_line, letters_of_parquet
from pipeline.dead_letters.importing.lines import Line, lines_of, object_in
from pipeline.dead_letters.importing.refusals import Refusal, RefusedError
from pipeline.dead_letters.letters import dead_letter_row
from pipeline.dead_letters.topics_file import DeadLetterTopics
from pipeline.errors import UsageError
from pipeline.orders.order_reader import OrderReader
from pipeline.records import Record

BATCH = 500
BATCH_BYTES = 4_000_000
REFUSALS_NAMED = 10
STDIN = "-"
_PARQUET = b"PAR1"
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd", b"PK": "zip"}


class _AnyTopic:
    """In which topics dead letters failed: of which there are files too, nobody knows before they are imported."""

    def __contains__(self, topic: object) -> bool:
        return True


_ANY_TOPIC = _AnyTopic()


@dataclass(slots=True)
class Summary:
    """What came of an import so far."""

    imported: int = 0
    already_there: int = 0
    refused: int = 0
    first_refusals: list[Refusal] = field(default_factory=list)
    without_earlier: int = 0
    """Replays whose earlier dead letter is not in the file."""
    may_lack_bytes: int = 0
    """Records of kcat's in which another program may have replaced bytes."""

    def refuse(self, refusal: Refusal) -> None:
        """Counts a refusal, and keeps the first of them."""
        self.refused += 1
        if len(self.first_refusals) < REFUSALS_NAMED:
            self.first_refusals.append(refusal)

    def count(self, added: int, of: int) -> None:
        """Counts a batch that is in the buffer."""
        self.imported += added
        self.already_there += of - added


@dataclass(frozen=True, slots=True)
class Understanding:
    """What the collector would read dead letters with, too."""

    order_reader: OrderReader
    topics: DeadLetterTopics


class FileImport:
    """One import. `before_first` is called before the first dead letter is added, `progress` after each batch."""

    def __init__(
        self,
        buffer: Buffer,
        understanding: Understanding,
        clock: Clock,
        before_first: Callable[[], None],
        progress: Callable[[Summary], None],
    ) -> None:
        self.summary = Summary()
        self._buffer = buffer
        self._understanding = understanding
        self._clock = clock
        self._before_first = before_first
        self._progress = progress
        self._has_added = False

    def run(self, name: str, stdin: BufferedReader) -> Summary:
        """Imports a file; `-` is standard input. Raises UsageError for one that is none of ours, or cannot be read.

        What was added before an error stays.
        """
        self._buffer.imports.refuse_cluster()
        with ExitStack() as opened:
            file = stdin if name == STDIN else opened.enter_context(_opened(Path(name)))
            beginning = file.peek(len(_PARQUET))[: len(_PARQUET)]
            if beginning == _PARQUET:
                if name == STDIN:
                    raise UsageError("Parquet cannot be read from standard input: name the file")
                self._run_parquet(Path(name))
            else:
                _refuse_packed(name, beginning)
                self._run_lines(name, file)
        return self.summary

    # -- each kind of file

    def _run_parquet(self, path: Path) -> None:
        source = self._source(path.name, "export")
        batch: list[ExportedLetter] = []
        size = 0
        for row, letter in letters_of_parquet(path):
            if isinstance(letter, RefusedError):
                self.summary.refuse(Refusal(f"row {row}", str(letter)))
                continue
            batch.append(letter)
            size += _size(letter)
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                self._add_exported(source, batch)
                batch, size = [], 0
        self._add_exported(source, batch)
        self._end(source)

    def _run_lines(self, name: str, file: BufferedReader) -> None:
        lines = lines_of(file)
        kind, lines = _kind_of(name, lines)
        source = self._source("standard input" if name == STDIN else Path(name).name, kind)
        add = self._add_exported_lines if kind == "export" else self._add_kcat_lines
        for batch in self._batches(lines):
            add(source, batch)
        self._end(source)

    def _batches(self, lines: Iterator[Line | Refusal]) -> Iterator[list[Line]]:
        batch: list[Line] = []
        size = 0
        for line in lines:
            if isinstance(line, Refusal):
                self.summary.refuse(line)
                continue
            batch.append(line)
            size += len(line.data)
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _add_exported_lines(self, source: ImportSource, lines: list[Line]) -> None:
        letters = []
        for line in lines:
            try:
                letters.append(letter_of_line(line.data))
            except RefusedError as error:
                self.summary.refuse(Refusal(line.place, str(error)))
        self._add_exported(source, letters)

    def _add_kcat_lines(self, source: ImportSource, lines: list[Line]) -> None:
        records: list[Record] = []
        for line in lines:
            try:
                records.append(kcat.record_of(line.data))
            except RefusedError as error:
                self.summary.refuse(Refusal(line.place, str(error)))
        self.summary.may_lack_bytes += sum(kcat.may_lack_bytes(each.key, each.value, each.headers) for each in records)
        self._add_records(source, records)

    # -- writing

    def _add_exported(self, source: ImportSource, letters: list[ExportedLetter]) -> None:
        if letters:
            self._about_to_add()
            self._added(self._buffer.imports.add_exported(source, letters, self._clock()), len(letters))

    def _add_records(self, source: ImportSource, records: list[Record]) -> None:
        if not records:
            return
        topics = self._understanding.topics
        orders = orders_in(records, self._understanding.order_reader, topics)
        rows = [
            # No partition of ours: what is stored of its position are topic, partition and offset.
            ReadRecord(
                dead_letter_row(record, 0, kcat.identity_of(record), order, topics, _ANY_TOPIC)._replace(
                    record_id=None
                ),
                kcat.digest_of(record),
            )
            for record, order in zip(records, orders, strict=True)
        ]
        self._about_to_add()
        self._added(self._buffer.imports.add_records(source, rows, self._clock()), len(rows))

    def _about_to_add(self) -> None:
        if not self._has_added:
            self._before_first()
            self._has_added = True

    def _added(self, added: int, of: int) -> None:
        reached("import: batch added")
        self.summary.count(added, of)
        self._progress(self.summary)

    def _end(self, source: ImportSource) -> None:
        while (linked := self._buffer.imports.link()).looked_at:
            self.summary.without_earlier += linked.without_earlier
        self._buffer.imports.finish(source, self._clock())

    def _source(self, file: str, kind: ImportKind) -> ImportSource:
        return ImportSource(file, kind, self._clock())


def _opened(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _refuse_packed(name: str, beginning: bytes) -> None:
    for magic, how in _PACKED.items():
        if beginning.startswith(magic):
            raise UsageError(f"{name} is packed ({how}); unpack it first")


def _kind_of(name: str, lines: Iterator[Line | Refusal]) -> tuple[ImportKind, Iterator[Line | Refusal]]:
    """Who wrote the file, by its first line that is JSON; and all lines again."""
    before: list[Line | Refusal] = []
    size, why = 0, ""
    for line in lines:
        before.append(line)
        if isinstance(line, Refusal):
            why = why or str(line)
        else:
            size += len(line.data)
            try:
                found = object_in(line.data, any_bytes=True)
            except RefusedError as error:
                why = why or f"{line.place}, {error}"
            else:
                if all(each in found for each in exported.FIELDS):
                    return "export", chain(before, lines)
                if all(each in found for each in kcat.FIELDS):
                    return "kcat", chain(before, lines)
                why = why or f"{line.place}, it has other fields"
        if len(before) == REFUSALS_NAMED or size >= BATCH_BYTES:
            break
    raise UsageError(
        f"{name} is no file of dead letters: expected our export (JSON Lines or Parquet) or what `kcat -J` writes; "
        f"{why or 'it has no line'}"
    )


def _size(letter: ExportedLetter) -> int:
    return sum(len(cell) for cell in letter.row if isinstance(cell, (str, bytes)))
