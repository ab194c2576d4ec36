"""From where on a topic is to be read, as people name it."""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline.errors import UsageError

EARLIEST, LATEST = "earliest", "latest"


def start_of(text: str) -> str:
    """From where on: `earliest`, `latest`, or epoch milliseconds; a time without a zone is UTC. Raises UsageError."""
    text = text.strip()
    if text in (EARLIEST, LATEST) or text.isdigit():
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is neither `earliest` nor `latest` nor a time such as 2026-03-01T12:00:00Z or milliseconds "
            "since 1970"
        ) from error
    return str(int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000))
