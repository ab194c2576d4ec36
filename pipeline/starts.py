"""From where on a topic is to be read, as people name it."""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline.errors import UsageError

EARLIEST, LATEST = "earliest", "latest"
LAST_MS = 253_402_300_799_999
"""The end of the year 9999."""


def start_of(text: str) -> str:
    """From where on: `earliest`, `latest`, or epoch milliseconds; a time without a zone is UTC. Raises UsageError."""
    text = text.strip()
    if text in (EARLIEST, LATEST):
        return text
    try:
        at_ms = int(text) if text.isdecimal() and len(text) <= len(str(LAST_MS)) else _milliseconds(text)
    except (ValueError, OverflowError) as error:
        raise _no_start(text) from error
    if at_ms > LAST_MS:
        raise _no_start(text)
    # No record is older, and Kafka means something else by a time below 0.
    return str(max(0, at_ms))


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _no_start(text: str) -> UsageError:
    return UsageError(
        f"{text[:100]!r} is neither `earliest` nor `latest` nor a time such as 2026-03-01T12:00:00Z or milliseconds "
        "since 1970"
    )
