"""Dead letters as their frameworks wrote them; `make recordings` makes the files, tests/writers is what it runs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from pipeline.records import Headers, Position, Record

FOLDER = Path(__file__).resolve().parents[1] / "data" / "dead_letters"
DEAD_LETTER_TIMESTAMP_MS = 1_700_000_099_000
"""Of a dead letter whose writer left its time to the producer."""


def recordings() -> dict[str, Record]:
    """All of them by writer and name, as in `spring-kafka/tombstone`, where a consumer finds them."""
    found: dict[str, Record] = {}
    for file in sorted(FOLDER.glob("*.jsonl")):
        writer = file.stem.rpartition("-")[0]
        for line in file.read_text().splitlines():
            recorded = json.loads(line)
            found[f"{writer}/{recorded['name']}"] = _record(recorded, len(found))
    return found


def _record(recorded: dict[str, Any], offset: int) -> Record:
    headers: Headers = tuple((name, _bytes(value)) for name, value in recorded["headers"])
    timestamp_ms = recorded["timestamp_ms"] or DEAD_LETTER_TIMESTAMP_MS
    return Record(
        Position(recorded["topic"], recorded["partition"] or 0, offset),
        timestamp_ms,
        _bytes(recorded["key"]),
        _bytes(recorded["value"]),
        headers,
    )


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)
