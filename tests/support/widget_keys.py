"""Widgets under keys that are renewed: the key as it is now."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from dashboard.shared.session import RenewableKey


def key_now(app: AppTest, prefix: str) -> str:
    """The key of the widget whose `RenewableKey` has this prefix."""
    turns = RenewableKey[object](prefix).turns.name
    turn = app.session_state[turns] if turns in app.session_state else 0  # noqa: SIM401 - it has no `get`
    return f"{prefix}{turn}"
