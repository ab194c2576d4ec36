"""Rules by which people take dead letters out of a group: what decides it is in the dead letter alone.

The fingerprint that a dead letter had is kept, so that a rule can be taken back. A rule looks at the dead letters of
all fingerprints of its group, as far as rules that were said before leave them. The group that it makes may be split
itself.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

from pipeline.buffer.contract import DeadLetterRow
from pipeline.buffer.group_contract import CONTAINING
from pipeline.buffer.sqlite.bulk_insert import BulkInsert
from pipeline.buffer.sqlite.groups.merges import Merges
from pipeline.buffer.sqlite.rows import RowsOf
from pipeline.search.folding import folded

_LETTERS = BulkInsert(
    "group_split_letters",
    ("dead_letter_id", "fingerprint", "title"),
    "ON CONFLICT (dead_letter_id) DO UPDATE SET fingerprint = excluded.fingerprint, title = excluded.title",
)


class Splittable(Protocol):
    """What rules look at of a dead letter."""

    @property
    def reason(self) -> str: ...
    @property
    def stacktrace(self) -> str | None: ...
    @property
    def error_class(self) -> str | None: ...
    @property
    def topic(self) -> str | None: ...
    @property
    def source_topic(self) -> str | None: ...


class Rule(NamedTuple):
    """A split, as its table has it."""

    id: int
    fingerprint: str
    field: str
    value: str
    origin: str
    split_by: str
    split_at_ms: int

    def name(self, version: int) -> str:
        """The fingerprint of the group that it makes. One a version: `regroup` tells by it what it has regrouped."""
        told = json.dumps([version, self.origin, self.field, self.value])
        return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()

    def matches(self, letter: Splittable) -> bool:
        """Whether a dead letter is to be in the group that it makes."""
        told = getattr(letter, self.field)
        if told is None:
            return False
        return folded(self.value) in folded(told) if self.field in CONTAINING else self.value == told

    def __str__(self) -> str:
        relation = "contains" if self.field in CONTAINING else "is"
        return f"{self.field} {relation} {self.value}"


class Placed(NamedTuple):
    """A group that a dead letter is put into."""

    fingerprint: str
    title: str


RULES = RowsOf(Rule)


class Splits:
    """All rules as they are in the transaction that is open; false while there are none."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._of: defaultdict[str, list[Rule]] = defaultdict(list)
        for rule in RULES.read_all(connection.execute(f"SELECT {RULES.sql} FROM group_splits ORDER BY id")):
            self._of[rule.fingerprint].append(rule)
        self.merges = Merges(connection) if self._of else None

    def __bool__(self) -> bool:
        return bool(self._of)

    @property
    def fingerprints(self) -> list[str]:
        """Those that have a rule."""
        return list(self._of)

    def rules_on(self, fingerprint: str) -> list[Rule]:
        """The rules of this very fingerprint."""
        return self._of.get(fingerprint, [])

    def rules_of(self, fingerprint: str) -> list[Rule]:
        """The rules of a fingerprint's group, those said first first."""
        assert self.merges is not None
        members = self.merges.members(self.merges.group_of(fingerprint))
        return sorted(rule for member in members for rule in self.rules_on(member))

    def place(self, letter: Splittable, fingerprint: str, title: str, version: int) -> Placed:
        """Where a dead letter belongs that has this fingerprint and title by the rule of its version."""
        placed, been = Placed(fingerprint, title), {fingerprint}
        while True:
            for rule in self.rules_of(placed.fingerprint):
                name = rule.name(version)
                if name not in been and rule.matches(letter):
                    placed = Placed(name, f"{placed.title} ({rule})")
                    been.add(name)
                    break
            else:
                return placed

    def placed(self, row: DeadLetterRow) -> DeadLetterRow:
        """The row where it belongs, with the fingerprint that it had."""
        placed = self.place(row, row.fingerprint, row.title, row.fingerprint_version)
        if placed.fingerprint == row.fingerprint:
            return row
        return row._replace(fingerprint=placed.fingerprint, title=placed.title, split_from=(row.fingerprint, row.title))

    def reach(self, groups: Iterable[str]) -> set[str]:
        """All fingerprints that dead letters of these groups may have by the rules; none where there is no rule."""
        if self.merges is None:
            return set()
        versions = versions_of(self._connection)
        todo, reached, found = list(groups), set[str](), False
        while todo:
            for member in self.merges.members(self.merges.group_of(todo.pop())):
                if member in reached:
                    continue
                reached.add(member)
                for rule in self.rules_on(member):
                    found = True
                    todo += [rule.name(version) for version in versions]
        return reached if found else set()


def versions_of(connection: sqlite3.Connection) -> list[int]:
    """The fingerprint versions of the groups that are there."""
    rows = connection.execute("SELECT DISTINCT fingerprint_version FROM dead_letter_groups")
    return [version for (version,) in rows]


def note_split_letters(connection: sqlite3.Connection, split_from: Sequence[tuple[int, str, str]]) -> None:
    """Notes which fingerprint and title dead letters had before they were taken out of that group."""
    _LETTERS.insert(connection, split_from)


def forget_split_letters(connection: sqlite3.Connection, ids: Collection[int]) -> None:
    """Notes that these have the fingerprint again that they had."""
    connection.execute(
        "DELETE FROM group_split_letters WHERE dead_letter_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )


def split_from(connection: sqlite3.Connection, ids: Collection[int]) -> dict[int, Placed]:
    """What group these dead letters were in before a rule took them out of it; only those that one took."""
    rows = connection.execute(
        "SELECT dead_letter_id, fingerprint, title FROM group_split_letters "
        "WHERE dead_letter_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return {identifier: Placed(fingerprint, title) for identifier, fingerprint, title in rows}
