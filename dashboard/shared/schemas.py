"""Schemas of the registry, for an app that never talks to it: the worker is asked, and sessions share its answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.buffer import Lookup
from pipeline.clock import Clock, Wait
from pipeline.dead_letters.schema_answers import ASKED_AT_ONCE, NoSchema, read_answer
from pipeline.errors import OrderPulseError, SchemaPendingError, SchemaUnusableError
from pipeline.schema_source import RegisteredSchema, SchemaRef

ANSWER_MS = 15_000
"""So long an answer is waited for."""
AGAIN_AFTER_MS = 10_000
"""So long after there was no answer it is asked again, while a page is open that wants it."""
UNKNOWN_FOR_MS = 60_000
"""So long a schema that there is not is not asked for again: somebody may register it."""
MOST_WANTED = 200
MOST_MISSING = 1_000
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class _Asked:
    number: int
    refs: tuple[SchemaRef, ...]
    at_ms: int


@dataclass(frozen=True, slots=True)
class _Missing:
    told: NoSchema
    since_ms: int


class LookedUpSchemas:
    """A registry that says of what it does not know yet that it is looked up. Safe to use from any thread."""

    def __init__(
        self, ask: Callable[[Sequence[SchemaRef]], int], lookup: Callable[[int], Lookup | None], clock: Clock
    ) -> None:
        """`ask` leaves a question to the worker and gives its number, `lookup` how it stands with one."""
        self._ask = ask
        self._lookup = lookup
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[SchemaRef, RegisteredSchema] = {}
        self._missing: dict[SchemaRef, _Missing] = {}
        self._wanted_at_ms: dict[SchemaRef, int] = {}
        self._asked: _Asked | None = None
        self._version = 0

    def get(self, ref: SchemaRef) -> RegisteredSchema | None:
        """See SchemaSource. Asks nobody: `poll` does."""
        with self._lock:
            found = self._found.get(ref)
            if found is not None:
                return found
            now_ms = self._clock()
            missing = self._missing.get(ref)
            if missing is not None and missing.told.again_after_ms is not None:
                raise SchemaPendingError(missing.told.reason)
            if missing is not None and 0 <= now_ms - missing.since_ms < UNKNOWN_FOR_MS:
                raise SchemaUnusableError(missing.told.reason)
            if len(self._wanted_at_ms) < MOST_WANTED:
                self._wanted_at_ms.setdefault(ref, now_ms)
        raise SchemaPendingError(f"{ref} is being looked up by the worker")

    @property
    def version(self) -> int:
        """What `poll` returned last."""
        with self._lock:
            return self._version

    def poll(self) -> int:
        """Takes an answer that has come, and asks for what is wanted; returns a number that new answers change."""
        with self._lock:
            now_ms = self._clock()
            if self._asked is not None:
                self._take_answer(self._asked, now_ms)
            due = [ref for ref, at_ms in self._wanted_at_ms.items() if at_ms <= now_ms][:ASKED_AT_ONCE]
            if self._asked is None and due:
                try:
                    self._asked = _Asked(self._ask(due), tuple(due), now_ms)
                except OrderPulseError as error:
                    self._note_trouble(due, f"the worker cannot be asked: {error}", now_ms)
            return self._version

    def _take_answer(self, asked: _Asked, now_ms: int) -> None:
        found = self._lookup(asked.number)
        if found is not None and found.state == "asked" and 0 <= now_ms - asked.at_ms < ANSWER_MS:
            return
        self._asked = None
        if found is not None and found.state == "done":
            for ref, told in read_answer(found.answer or "{}"):
                self._note(ref, told, now_ms)
            return
        why = "no worker has answered; is one running?"
        if found is not None and found.state == "failed":
            why = found.error or "no reason was told"
        self._note_trouble(asked.refs, why, now_ms)

    def _note_trouble(self, refs: Sequence[SchemaRef], why: str, now_ms: int) -> None:
        for ref in refs:
            self._note(ref, NoSchema(f"{ref}: {why}", AGAIN_AFTER_MS), now_ms)

    def _note(self, ref: SchemaRef, told: RegisteredSchema | NoSchema, now_ms: int) -> None:
        before = self._missing.pop(ref, None)
        self._wanted_at_ms.pop(ref, None)
        if isinstance(told, RegisteredSchema):
            self._found[ref] = told
        else:
            if len(self._missing) >= MOST_MISSING:
                self._missing.clear()
            self._missing[ref] = _Missing(told, now_ms)
            if told.again_after_ms is not None:
                self._wanted_at_ms[ref] = now_ms + told.again_after_ms
        self._version += before is None or before.told != told


class AwaitedSchemas:
    """The same for an export, which is made once: it waits for answers, some seconds in all."""

    def __init__(self, source: LookedUpSchemas, wait: Wait, longest_s: float = 10) -> None:
        self._source = source
        self._wait = wait
        self._left_s = longest_s

    def get(self, ref: SchemaRef) -> RegisteredSchema | None:
        """See SchemaSource."""
        while True:
            try:
                return self._source.get(ref)
            except SchemaPendingError:
                if self._left_s <= 0:
                    raise
            self._source.poll()
            self._left_s -= LOOK_EVERY_S
            self._wait(LOOK_EVERY_S)
