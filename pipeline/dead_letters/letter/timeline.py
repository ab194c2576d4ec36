"""What happened to a record and its dead letter, in the order in which it did, as far as the buffer knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.buffer.views import DeadLetterDetail, DeadLetterView, Rows

_OUTCOMES = {
    "recovered": "Replay recovered",
    "dead_again": "Replay failed again",
    "failed": "Replay could not be sent",
    "cancelled": "Replay was cancelled",
}
_BY_HAND = {"discarded": "Discarded", "recovered": "Taken for recovered", "open": "Opened again"}


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened. `at_ms` None: nobody says when, and it stands where it belongs."""

    at_ms: int | None
    what: str
    more: str = ""
    job_id: int | None = None
    dead_letter_id: int | None = None
    """Another dead letter of the same record."""


def timeline(
    detail: DeadLetterDetail, lives: Sequence[DeadLetterView], replays: Rows, dead_lettered_at_ms: int | None = None
) -> list[Moment]:
    """All moments, oldest first. `lives` and `replays` are as the Reader gives them; `dead_lettered_at_ms` is when the
    dead letter was written, where Kafka was asked for it.
    """
    own = [*_before_collection(detail, dead_lettered_at_ms), *_since(detail, replays)]
    others = [_life(each, detail.row.id) for each in lives if each.id != detail.row.id]
    return _in_order([*own, *others])


def _before_collection(detail: DeadLetterDetail, dead_lettered_at_ms: int | None) -> Iterator[Moment]:
    row = detail.row
    yield Moment(detail.source_timestamp_ms, "Written", row.source or "nobody says where")
    attempts = row.attempts or 0
    if row.first_failed_at_ms is not None and (attempts > 1 or row.first_failed_at_ms != row.failed_at_ms):
        yield Moment(row.first_failed_at_ms, "First attempt failed")
    if row.failed_at_known:
        last = f"Attempt {attempts} failed, the last one" if attempts > 1 else "Failed"
        yield Moment(row.failed_at_ms, last, row.error_class or "")
    elif attempts > 1:
        yield Moment(None, f"{attempts} attempts failed")
    yield Moment(
        dead_lettered_at_ms, "Dead-lettered", row.position or "in no dead-letter topic: kept in the buffer only"
    )
    imported = detail.import_kind is not None
    yield Moment(detail.received_at_ms, "Imported" if imported else "Collected", detail.imported_from or "")


def _since(detail: DeadLetterDetail, replays: Rows) -> Iterator[Moment]:
    items = replays.dicts()[::-1]
    for place, item in enumerate(items):
        job_id = item["job_id"]
        yield Moment(item["created_at_ms"], "Replay asked for", f"by {item['requested_by']}", job_id)
        # The buffer keeps when the newest status began, and of no earlier one.
        told_ms = detail.status_at_ms if place == len(items) - 1 else None
        if item["offset"] is not None:
            sent_ms = told_ms if item["state"] == "sent" else None
            yield Moment(sent_ms, "Replay sent", _position(item), job_id)
        if told_ms is not None and detail.concluded and item["state"] == "recovered":
            yield Moment(told_ms, _BY_HAND["recovered"], "no outcome was told", job_id)
        elif item["state"] in _OUTCOMES:
            yield Moment(told_ms, _OUTCOMES[item["state"]], item["error"] or "", job_id)
    if _was_set_by_hand(detail, items):
        yield Moment(detail.status_at_ms, _BY_HAND[detail.row.status])


def _was_set_by_hand(detail: DeadLetterDetail, items: Sequence[Mapping[str, Any]]) -> bool:
    status, newest = detail.row.status, items[-1]["state"] if items else ""
    if status == "open":
        return detail.status_at_ms > detail.received_at_ms and newest not in ("failed", "cancelled")
    return status == "discarded" or (status == "recovered" and newest != "recovered")


def _life(life: DeadLetterView, identifier: int) -> Moment:
    what = "Failed before" if life.id < identifier else "Failed again"
    return Moment(life.failed_at_ms, f"{what}: dead letter {life.id}", life.reason, dead_letter_id=life.id)


def _position(item: Mapping[str, Any]) -> str:
    return f"{item['topic']}[{item['partition']}] offset {item['offset']}"


def _in_order(moments: Sequence[Moment]) -> list[Moment]:
    """By time; what has none follows what it came after."""
    last_ms, keyed = 0, []
    for place, each in enumerate(moments):
        last_ms = last_ms if each.at_ms is None else each.at_ms
        keyed.append((last_ms, place, each))
    # What nobody dates is before all else where nothing came before it.
    return [each for _, _, each in sorted(keyed, key=lambda item: item[:2])]
