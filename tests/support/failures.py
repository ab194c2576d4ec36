"""Real failures whose cause is known: tests/data/failures/README.md says how `make recordings` makes them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.records import Position, Record

FOLDER = Path(__file__).resolve().parents[1] / "data" / "failures"
SEEN = FOLDER / "failures.jsonl"
UNSEEN = FOLDER / "unseen.jsonl"


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure as a dead letter's headers tell it, and its cause, as in `java-orders/price-null`."""

    program: str
    language: str
    cause: str
    error_class: str
    message: str
    stacktrace: str


def failures(file: Path) -> list[Failed]:
    """All failures of a file, in its order."""
    return [Failed(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def write_failures(file: Path, of: Sequence[Failed]) -> None:
    """Writes a file as `failures` reads it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(asdict(failed), ensure_ascii=False) + "\n" for failed in of)
    file.write_text(text, encoding="utf-8")


def dead_letter(failed: Failed) -> Record:
    """The failure as a dead letter: with the headers of Spring where it failed in Java, else with those of Connect."""
    if failed.language == "java":
        cause = re.search(r"^Caused by: ([\w.$]+)", failed.stacktrace, re.MULTILINE)
        texts = {
            "kafka_dlt-original-topic": failed.program,
            "kafka_dlt-exception-fqcn": failed.error_class,
            **({"kafka_dlt-exception-cause-fqcn": cause[1]} if cause else {}),
            "kafka_dlt-exception-message": failed.message,
            "kafka_dlt-exception-stacktrace": failed.stacktrace,
        }
    else:
        texts = {
            "__connect.errors.topic": failed.program,
            "__connect.errors.exception.class.name": failed.error_class,
            "__connect.errors.exception.message": failed.message,
            "__connect.errors.exception.stacktrace": failed.stacktrace,
        }
    headers = tuple((name, text.encode("utf-8", "surrogatepass")) for name, text in texts.items())
    return Record(Position(f"{failed.program}-dlq", 0, 0), 1_767_268_800_000, None, None, headers)
