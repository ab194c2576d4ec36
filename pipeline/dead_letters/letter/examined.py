"""What Kafka tells of one dead letter, on its way from the worker to the app: as JSON, and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.dead_letters.letter.comparing import Comparison, Difference
from pipeline.dead_letters.letter.keeping import Kept


@dataclass(frozen=True, slots=True)
class PlaceLook:
    """A place in Kafka where its record should stand. `note` says what stands there instead, if it is another one."""

    position: str
    kept: Kept
    timestamp_ms: int | None = None
    """Of the record there; None where there is none."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A record of the same key. `what` is empty, or `the original`, `its replay`, `an order`, `a dead letter`."""

    offset: int
    timestamp_ms: int
    what: str
    format: str
    value: str
    """The beginning of what it says."""


@dataclass(frozen=True, slots=True)
class Around:
    """Records of the same key around the original, by offset. `why_not` says why none were looked for."""

    records: tuple[KeyRecord, ...] = ()
    older: int = 0
    newer: int = 0
    """How many were found after the original, without its own replays; more than `records` has room for."""
    looked: str = ""
    """How much was looked at, in words."""
    cut: str = ""
    """Why no more was looked at, empty where the whole partition was."""
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Good:
    """A good record beside it. `why_not` says why there is none, or nothing is compared with it."""

    position: str = ""
    what: str = ""
    """Whose it is, and how it is known to be good."""
    format: str = ""
    value: str = ""
    count: int = 0
    """With so many good records it was compared."""
    comparison: Comparison = Comparison(())
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """All that was asked. A part that could not be asked says why."""

    at_ms: int
    source: PlaceLook
    dead_letter: PlaceLook
    around: Around
    good: Good


def examined_to_json(examined: Examined) -> str:
    """As it is kept."""
    # Halves of surrogate pairs, which JSON may hold, cannot be stored.
    return json.dumps(asdict(examined), ensure_ascii=True)


def examined_from(told: dict[str, Any]) -> Examined:
    """As it was; `told` is what the JSON says."""
    around, good = dict(told["around"]), dict(told["good"])
    comparison = good.pop("comparison")
    differences = tuple(Difference(**each) for each in comparison["differences"])
    records = tuple(KeyRecord(**each) for each in around.pop("records"))
    return Examined(
        told["at_ms"],
        _place(told["source"]),
        _place(told["dead_letter"]),
        Around(records, **around),
        Good(**good, comparison=Comparison(differences, comparison["cut"])),
    )


def _place(told: dict[str, Any]) -> PlaceLook:
    return PlaceLook(**told | {"kept": Kept(**told["kept"])})
