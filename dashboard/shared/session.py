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
class RenewableKey(Generic[Value]):
    """The key of a widget that the code changes too: it forgets what was chosen in it, or is given another choice.

    A refresh that the browser asked for a moment earlier still carries the old choice, and Streamlit takes that for the
    newest. So a changed widget is another one, under another key: what is told of the old one goes nowhere.
    """

    prefix: str

    @property
    def turns(self) -> StateKey[int]:
        """How often it was renewed."""
        return StateKey(f"{self.prefix}turn")

    @property
    def name(self) -> str:
        """The key of the widget as it is now."""
        return f"{self.prefix}{self.turns.get_or(0)}"

    def get(self) -> Value | None:
        """What is chosen; None when nothing is, and before the widget was drawn."""
        return StateKey[Value](self.name).get()

    def get_or(self, default: Value) -> Value:
        """What is chosen; the default before the widget was drawn."""
        return StateKey[Value](self.name).get_or(default)

    def is_set(self) -> bool:
        """Whether the widget was drawn, or was given a choice."""
        return StateKey[Value](self.name).is_set()

    def renew(self) -> None:
        """From the next run on the widget is a new one, with nothing chosen but what it begins with."""
        self.turns.set(self.turns.get_or(0) + 1)

    def set(self, value: Value) -> None:
        """From the next run on the widget is a new one with this choice."""
        self.renew()
        StateKey[Value](self.name).set(value)


def selected_rows(table_key: str) -> list[int]:
    """The indexes of the rows that are selected in a table, as the browser told them; none before it was drawn."""
    state = st.session_state.get(table_key)
    return [] if state is None else list(state["selection"]["rows"])


def clicked_cell(table_key: str) -> tuple[int, str] | None:
    """The row's index and the column of the cell in which the cursor is, in a table with the mode `single-cell`."""
    state = st.session_state.get(table_key)
    cells = [] if state is None else state["selection"].get("cells", [])
    return (int(cells[0][0]), str(cells[0][1])) if cells else None


def put_cursor(table_key: str, cell: tuple[int, str]) -> None:
    """Puts the cursor into another cell; the selected rows stay selected."""
    selection = {"rows": selected_rows(table_key), "columns": [], "cells": [cell]}
    st.session_state[table_key] = {"selection": selection}
