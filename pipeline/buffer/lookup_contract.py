"""What a buffer promises about look-ups: what the app wants to know of Kafka, which only the worker asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

LookupKind = Literal["topics", "sample", "try", "schemas", "letter"]
"""What is looked up.

- `topics`: all topics, how much they hold, and how their records are written.
- `sample`: the newest records of a topic, and a section of the mapping file that is proposed for it.
- `try`: what would come of the sample by a section as somebody has written it.
- `schemas`: schemas that dead letters name, as the registry has them.
- `letter`: what Kafka holds of one dead letter: its original, records of the same key, a good one, and how long.
"""
LookupState = Literal["asked", "done", "failed"]
KEPT_MS = 1_800_000
"""So long an answer is kept: it holds records of people's topics."""
WAITED_FOR_MS = 60_000
"""So long an answer is waited for."""
KEPT = 40
"""So many are kept at most."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A question, and its answer (JSON) or why there is none once it is not `asked` any more."""

    id: int
    kind: LookupKind
    params: str
    state: LookupState
    asked_at_ms: int
    answer: str | None = None
    error: str | None = None


class LookupStore(Protocol):
    """Questions of the app and the worker's answers."""

    def ask(self, kind: LookupKind, params: str, by: str, now_ms: int) -> int:
        """Leaves a question and returns its number. Old ones go, and those of this kind that `by` still waits for."""

    def next(self, now_ms: int) -> Lookup | None:
        """The oldest question without an answer of the last minute: for an older one nobody waits any more."""

    def get(self, number: int) -> Lookup | None:
        """A question, and its answer; None when it is gone."""

    def answer(self, number: int, answer: str | None, error: str, now_ms: int) -> None:
        """Notes the answer (JSON), or with None why there is none. Nothing happens where the question is gone."""

    def prune(self, now_ms: int) -> int:
        """Takes away what is older than 30 minutes; returns how many."""
