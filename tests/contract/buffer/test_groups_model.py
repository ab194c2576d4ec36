"""Groups over time against a model: states, merges, splits, retention, and a newer fingerprint version."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pipeline.buffer import DeadLetterFilter, Reader, Regrouped, Retention, open_buffer, recount
from pipeline.errors import UsageError
from pipeline.search.parser import parse
from pipeline.search.query import quoted
from tests.support.buffer_rows import NOW_MS, collect, collector, dead_letter

CAUSES = st.sampled_from("abcd")
TEXTS = st.sampled_from(["tea", "green", "mug"])
REASONS = st.sampled_from(["no tea", "no green tea", "no mug", "green mug"])
Said = tuple[str, int, int | None, int | None]
"""What was said of a group, when, until when, and when it came back."""


@dataclass
class Letter:
    """A dead letter: the fingerprint that its version's rule gave it, and the group that it is in."""

    own: str
    reason: str
    failed_at_ms: int
    where: str
    pruned: bool = False


class GroupsModel(RuleBasedStateMachine):
    """Whoever collects, triages, prunes and regroups, and people who say things of groups."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.buffer = open_buffer(self.folder / "orderpulse.db")
        self.assignment = collector(self.buffer)
        self.now_ms, self.version = NOW_MS, 1
        self.letters: list[Letter] = []
        self.into: dict[str, str] = {}
        self.splits: list[tuple[int, str, str, str]] = []
        self.said: dict[str, Said] = {}
        self.last_seen: dict[str, int] = {}
        self.names: dict[str, str] = {}

    def teardown(self) -> None:
        self.buffer.close()
        shutil.rmtree(self.folder)

    # -- the model

    def group(self, fingerprint: str) -> str:
        return self.into.get(fingerprint, fingerprint)

    def known(self, fingerprint: str) -> bool:
        named = {*self.last_seen, *self.said, *self.into, *self.into.values(), *(each[1] for each in self.splits)}
        return fingerprint in named

    def place(self, own: str, reason: str) -> str:
        where, been = own, {own}
        while True:
            rules = [each for each in self.splits if self.group(each[1]) == self.group(where)]
            fits = [f"{owner}/{text}" for _, owner, text, _ in sorted(rules) if text in reason]
            fits = [name for name in fits if name not in been]
            if not fits:
                return where
            where = fits[0]
            been.add(where)

    def settle(self) -> None:
        moved = set()
        for letter in self.letters:
            where = self.place(letter.own, letter.reason)
            if not letter.pruned and where != letter.where:
                letter.where = where
                self.last_seen[where] = max(self.last_seen.get(where, 0), letter.failed_at_ms)
                moved.add(self.group(where))
        for group in moved:
            self.regress_what_failed_since(group)
        while self.buffer.groups.move():
            pass

    def say(self, fingerprint: str, said: str, until_ms: int | None = None) -> None:
        if self.known(fingerprint):
            self.said[self.group(fingerprint)] = (said, self.now_ms, until_ms, None)

    def combine(self, group: str, other: str) -> None:
        told = [self.said[each] for each in (group, other) if each in self.said]
        if told:
            self.said[group] = max(told, key=lambda each: each[1])

    def regress_what_failed_since(self, group: str) -> None:
        seen = [at for each, at in self.last_seen.items() if self.there(each) and self.group(each) == group]
        said, at_ms, until_ms, regressed_at_ms = self.said.get(group, ("", 0, None, None))
        if said == "resolved" and regressed_at_ms is None and max(seen, default=0) > at_ms:
            self.said[group] = (said, at_ms, until_ms, max(seen))

    def states(self) -> dict[str, tuple[str, int]]:
        found: dict[str, tuple[str, int]] = {}
        for letter in self.letters:
            if not letter.pruned:
                group = self.group(letter.where)
                found[group] = (self.state(group), found.get(group, ("", 0))[1] + 1)
        return found

    def state(self, group: str) -> str:
        said, _, until_ms, regressed_at_ms = self.said.get(group, ("", 0, None, None))
        if said == "resolved":
            return "regressed" if regressed_at_ms is not None else "resolved"
        return "ignored" if said == "ignored" and (until_ms or 0) > self.now_ms else "ongoing"

    # -- what happens

    @rule(cause=CAUSES, reason=REASONS)
    def collect(self, cause: str, reason: str) -> None:
        offset, where = len(self.letters), self.place(cause, reason)
        row = dead_letter(self.assignment.ref, offset, reason=reason, fingerprint=cause, title=cause)
        collect(self.buffer, self.assignment, offset, row._replace(failed_at_ms=self.now_ms), now_ms=self.now_ms)
        self.letters.append(Letter(cause, reason, self.now_ms, where))
        self.last_seen[where] = max(self.last_seen.get(where, 0), self.now_ms)
        said, at_ms, until_ms, regressed_at_ms = self.said.get(self.group(where), ("", 0, None, None))
        if said == "resolved" and regressed_at_ms is None:
            self.said[self.group(where)] = (said, at_ms, until_ms, self.now_ms)

    @rule(seconds=st.integers(1, 5000))
    def time_passes(self, seconds: int) -> None:
        self.now_ms += seconds * 1000

    @rule(data=st.data(), what=st.sampled_from(["resolve", "reopen", "ignore"]))
    def say_something(self, data: st.DataObject, what: str) -> None:
        fingerprint = self.any_group(data)
        # Two things that are said at one moment have no order.
        self.now_ms += 1
        try:
            if what == "resolve":
                self.buffer.groups.resolve(self.real(fingerprint), "ann", self.now_ms)
                self.say(fingerprint, "resolved")
            elif what == "reopen":
                self.buffer.groups.reopen(self.real(fingerprint), "ann", self.now_ms)
                self.say(fingerprint, "known")
            else:
                until_ms = self.now_ms + 3_000_000
                self.buffer.groups.ignore(self.real(fingerprint), until_ms, "ann", self.now_ms)
                self.say(fingerprint, "ignored", until_ms)
        except UsageError:
            assert not self.known(fingerprint)

    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        into, other = self.any_group(data), self.any_group(data)
        try:
            self.buffer.groups.merge(self.real(into), [self.real(other)], "ann", self.now_ms)
        except UsageError:
            assert not self.known(into) or not self.known(other) or self.group(into) == self.group(other)
            return
        group, merged = self.group(into), self.group(other)
        self.combine(group, merged)
        for fingerprint in [merged, *(each for each, to in self.into.items() if to == merged)]:
            self.into[fingerprint] = group
        self.regress_what_failed_since(group)
        self.settle()

    @rule(data=st.data())
    def unmerge(self, data: st.DataObject) -> None:
        if self.into:
            fingerprint = data.draw(st.sampled_from(sorted(self.into)))
            self.buffer.groups.unmerge(self.real(fingerprint), self.now_ms)
            del self.into[fingerprint]
            self.regress_what_failed_since(fingerprint)
            self.settle()

    @rule(data=st.data(), text=TEXTS)
    def split(self, data: st.DataObject, text: str) -> None:
        fingerprint = self.any_group(data)
        group = self.group(fingerprint)
        try:
            number = self.buffer.groups.split(self.real(fingerprint), "reason", text, "ann", self.now_ms)
        except UsageError:
            assert not self.known(fingerprint) or any(each[1:3] == (group, text) for each in self.splits)
            return
        name = f"{group}/{text}"
        self.names[name] = self.name_of(number)
        self.splits.append((number, group, text, name))
        if group in self.said:
            self.said.setdefault(name, self.said[group])
        self.settle()

    @rule(data=st.data())
    def unsplit(self, data: st.DataObject) -> None:
        if self.splits:
            number, owner, text, name = split = data.draw(st.sampled_from(self.splits))
            try:
                self.buffer.groups.unsplit(number, self.now_ms)
            except UsageError:
                assert any(each[1] == name for each in self.splits)
                return
            self.splits.remove(split)
            self.said.pop(name, None)
            self.settle()

    @rule(data=st.data())
    def prune(self, data: st.DataObject) -> None:
        there = [index for index, letter in enumerate(self.letters) if not letter.pruned]
        if there:
            index = data.draw(st.sampled_from(there))
            self.buffer.dead_letters.triage([index + 1], "discarded", self.now_ms)
            assert self.buffer.upkeep.prune(Retention(dead_letters_before_ms=self.now_ms + 1)).dead_letters == 1
            letter = self.letters[index]
            letter.pruned = True
            if not self.there(letter.where):
                del self.last_seen[letter.where]

    @rule()
    def regroup(self) -> None:
        """By another version each cause has another fingerprint: nothing that people see changes by it."""
        before = self.seen_by_people()
        while old := self.buffer.regrouping.older(2):
            moves = [
                Regrouped(each.id, each.fingerprint, f"{self.letters[each.id - 1].own} v2", "x", None, None)
                for each in old
            ]
            assert self.buffer.regrouping.regroup(moves, 2) == len(moves)
        assert self.seen_by_people() == before
        # What is to come is sorted by rules of the new version: that starts another story.
        self.buffer.close()
        shutil.rmtree(self.folder)
        self.begin()

    def seen_by_people(self) -> list[tuple[list[int], str]]:
        """The dead letters of each group, and its state."""
        with Reader(self.folder / "orderpulse.db") as reader:
            found = []
            for group in reader.groups(self.now_ms).dicts():
                query = parse(f"group:{quoted(group['fingerprint'])}", self.now_ms)
                found.append((sorted(reader.find(DeadLetterFilter(query)).ids), group["state"]))
        assert recount(self.folder / "orderpulse.db") == []
        return sorted(found)

    # -- what is to be

    @invariant()
    def groups_stand_as_they_are_to(self) -> None:
        with Reader(self.folder / "orderpulse.db") as reader:
            rows = reader.groups(self.now_ms).dicts()
        found = {each["fingerprint"]: (each["state"].replace("new", "ongoing"), each["total"]) for each in rows}
        assert found == {self.real(group): told for group, told in self.states().items()}
        assert recount(self.folder / "orderpulse.db") == []

    # -- helpers

    def real(self, name: str) -> str:
        """The fingerprint of a group that the model names."""
        return self.names.get(name, name)

    def name_of(self, number: int) -> str:
        with Reader(self.folder / "orderpulse.db") as reader:
            rows = reader._whole("SELECT * FROM group_splits WHERE id = :id", {"id": number}).rows
        from pipeline.buffer.sqlite.groups.splits import Rule

        return Rule(*rows[0]).name(1)

    def any_group(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted({"a", "b", "c", *self.last_seen, *(each[3] for each in self.splits)})))

    def there(self, fingerprint: str) -> bool:
        return any(letter.where == fingerprint and not letter.pruned for letter in self.letters)


TestGroupsModel = GroupsModel.TestCase
TestGroupsModel.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
