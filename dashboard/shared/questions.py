"""What a page wants to know of Kafka: the worker is asked, and each answer is kept for the session."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from dashboard.shared.asking import requested_by
from dashboard.shared.context import now_ms, reader, writer
from dashboard.shared.formats import plain
from dashboard.shared.session import StateKey
from pipeline.buffer import Buffer
from pipeline.jobs.requests import new_request_id

SLOW_MS = 10_000
"""After so long it is said that no worker may be there."""
LONGEST_MS = 60_000
_SESSION: StateKey[str] = StateKey("questions_session")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and, once it is there, its answer or why there is none."""

    about: str
    number: int
    asked_at_ms: int
    answer: Any = None
    error: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the answer is still waited for."""
        return self.answer is None and not self.error

    @property
    def is_slow(self) -> bool:
        """Whether it takes longer than it should."""
        return self.is_open and now_ms() - self.asked_at_ms > SLOW_MS


class Question:
    """A kind of question, of which a session has one at a time. `about` is what it is about."""

    def __init__(self, name: str) -> None:
        self._state: StateKey[Asked] = StateKey(f"asked_{name}")

    def asked(self, about: str, request: Callable[[Buffer, str], int]) -> Asked:
        """What is known of that; where nothing was asked yet, it is asked now.

        `request` leaves the question in a buffer for the worker, for who asks, and returns its number.
        """
        asked = self._state.get()
        if asked is None or asked.about != about:
            with writer() as buffer:
                number = request(buffer, _session())
            asked = Asked(about, number, now_ms())
        if asked.is_open:
            asked = _answered(asked)
        self._state.set(asked)
        return asked

    def forget(self) -> None:
        """The next time it is asked anew."""
        self._state.pop()

    def has_news(self) -> bool:
        """Whether an answer has come that was waited for."""
        asked = self._state.get()
        return asked is not None and asked.is_open and _answered(asked) != asked


def say_waiting(asked: Asked, told: str) -> None:
    """Says that an answer is waited for, or why there is none."""
    if asked.error:
        st.error(plain(asked.error), icon=":material/error:")
    elif asked.is_open:
        st.caption(told)
        if asked.is_slow:
            st.caption("It takes long; the Pipeline page says whether a worker is running.")


def _answered(asked: Asked) -> Asked:
    found = reader().lookup(asked.number)
    if found is not None and found.state == "done":
        return replace(asked, answer=json.loads(found.answer or "null"))
    if found is not None and found.state == "failed":
        return replace(asked, error=found.error or "no reason was told")
    if found is None or now_ms() - asked.asked_at_ms > LONGEST_MS:
        return replace(asked, error="no worker has answered; is one running?")
    return asked


def _session() -> str:
    """Who asks: what another window asks for is another question."""
    name = _SESSION.get() or f"{requested_by()} {new_request_id()}"
    _SESSION.set(name)
    return name
