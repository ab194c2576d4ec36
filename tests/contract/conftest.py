"""Every implementation of the buffer's contract, and what the tests need to see inside of it."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.buffer import Buffer, open_buffer


class SqliteStore:
    """A buffer file, with its rows for all to see."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "orderpulse.db"

    def open(self) -> Buffer:
        """Another writer's view of the same buffer."""
        return open_buffer(self.path)

    def table(self, name: str) -> list[dict[str, Any]]:
        """All rows of a table or view, in the order of their columns."""
        connection = sqlite3.connect(self.path)
        try:
            cursor = connection.execute(f"SELECT * FROM {name}")
            columns = [column[0] for column in cursor.description]
            return sorted((dict(zip(columns, row, strict=True)) for row in cursor), key=lambda row: repr(row.values()))
        finally:
            connection.close()

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table."""
        names = [row["name"] for row in self.table("sqlite_master") if row["type"] == "table"]
        return {name: self.table(name) for name in names}


IMPLEMENTATIONS: dict[str, Callable[[Path], SqliteStore]] = {"sqlite": SqliteStore}


@pytest.fixture(params=IMPLEMENTATIONS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteStore:
    return IMPLEMENTATIONS[request.param](tmp_path)


@pytest.fixture
def buffer(store: SqliteStore) -> Iterator[Buffer]:
    with store.open() as opened:
        yield opened


@pytest.fixture
def other(store: SqliteStore, buffer: Buffer) -> Iterator[Buffer]:
    """A second writer on the same buffer."""
    with store.open() as opened:
        yield opened
