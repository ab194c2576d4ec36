"""What the session remembers is under one key each."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter

import dashboard
from dashboard.shared.session import RenewableKey, StateKey


def declared() -> list[str]:
    """The names of all keys that the modules of the dashboard declare; one that is imported elsewhere counts once."""
    values = [
        value
        for module in pkgutil.walk_packages(dashboard.__path__, "dashboard.")
        for value in vars(importlib.import_module(module.name)).values()
    ]
    keys = [value.turns if isinstance(value, RenewableKey) else value for value in values]
    return [key.name for key in {id(key): key for key in keys if isinstance(key, StateKey)}.values()]


def test_no_key_is_declared_twice():
    names = Counter(declared())
    assert len(names) > 20
    assert not [name for name, count in names.items() if count > 1], "two values would overwrite each other"
