"""What the session of a browser tab remembers between two runs of a page: each value under one key, with one type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import streamlit as st

Value = TypeVar("Value")


@dataclass(frozen=True)
class StateKey(Generic[Value]):
    """A key of st.session_state and the type of what is under it.

    A widget with `key=KEY.name` keeps what somebody chose in it there. Declare each key once, at the top of a module:
    `_PAGE: StateKey[int] = StateKey("orders_page")`. The same name twice would be one value with two meanings; a test
    compares all that are declared.
    """

    name: str

    def get(self) -> Value | None:
        """What is there; None when nothing is, and where a widget holds no choice."""
        value: Value | None = st.session_state.get(self.name)
        return value

    def get_or(self, default: Value) -> Value:
        """What is there, else the default."""
        value: Value = st.session_state.get(self.name, default)
        return value

    def is_set(self) -> bool:
        """Whether anything is there, be it None."""
        return self.name in st.session_state

    def set(self, value: Value) -> None:
        """Puts a value there. Streamlit refuses it for a widget that this run has drawn already."""
        st.session_state[self.name] = value

    def pop(self) -> Value | None:
        """What was there; nothing is any longer."""
        value: Value | None = st.session_state.pop(self.name, None)
        return value


@dataclass(frozen=True)
class RenewableKey:
    """The key of a widget that has to forget what was chosen in it: after `renew` it is another widget."""

    prefix: str
    turns: StateKey[int]

    @property
    def name(self) -> str:
        """The key of the widget as it is now."""
        return f"{self.prefix}{self.turns.get_or(0)}"

    def renew(self) -> None:
        """From the next run on the widget is a new one. A click on the old one that is still under way goes nowhere."""
        self.turns.set(self.turns.get_or(0) + 1)


def selected_rows(table_key: str) -> list[int]:
    """The indexes of the rows that are selected in a table, as the browser told them; none before it was drawn."""
    state = st.session_state.get(table_key)
    return [] if state is None else list(state["selection"]["rows"])
