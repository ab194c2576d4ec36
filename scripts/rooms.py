"""The rooms of the code, from the top floor down: a room imports only rooms below it.

`tests/unit/project/test_import_rules.py` holds every import against this list, and `make docs` draws the picture in
docs/architecture.md from it. `python -m scripts.rooms --write` does that alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.settings import PROJECT_DIR
from scripts.generated import GeneratedPart


@dataclass(frozen=True, slots=True)
class Room:
    """A part of the code: the paths that are in it, what happens there, and the outside libraries that only it imports.

    A path is a file, or a folder with all that is in it. The longest path that fits a file counts.
    """

    name: str
    paths: tuple[str, ...]
    holds: str
    libraries: tuple[str, ...] = ()


ROOMS = (
    Room("streamlit_app.py", ("streamlit_app.py",), "the app's entry: theme, navigation, sidebar", ("streamlit",)),
    Room("pages/", ("pages",), "a file a page: layout and calls", ("streamlit",)),
    Room(
        "dashboard/PAGE/",
        (
            "dashboard/overview",
            "dashboard/orders",
            "dashboard/dead_letters",
            "dashboard/jobs",
            "dashboard/pipeline",
            "dashboard/alerts",
            "dashboard/connect",
        ),
        "what one page draws; no page imports another's",
        ("streamlit", "altair"),
    ),
    Room("dashboard/shared/", ("dashboard/shared", "dashboard/__init__.py"), "what pages share", ("streamlit",)),
    Room(
        "pipeline/ (entry)",
        (
            "pipeline/__main__.py",
            "pipeline/commands.py",
            "pipeline/export_command.py",
            "pipeline/import_command.py",
            "pipeline/mapping_commands.py",
            "pipeline/payload_decoding.py",
            "pipeline/search_command.py",
            "pipeline/roles.py",
        ),
        "the command line, and what puts each role together",
    ),
    Room("jobs/", ("pipeline/jobs",), "what people ask for: produce and replay jobs"),
    Room(
        "watching/",
        ("pipeline/watching",),
        "looks at the rest, changes no record: alerts, metrics, retention, check",
        ("apprise", "prometheus_client"),
    ),
    Room("processing/", ("pipeline/processing",), "orders in: the processor, attempts, retries, outbox"),
    Room("dead_letters/", ("pipeline/dead_letters",), "dead letters in: the collector, what failures have in common"),
    Room(
        "consuming/",
        ("pipeline/consuming",),
        "what processor and collector do alike: session, partitions, reports",
    ),
    Room("exports.py", ("pipeline/exports.py",), "rows to CSV, JSON Lines, Parquet"),
    Room("buffer/", ("pipeline/buffer",), "the contract of the buffer, and SQLite that keeps it", ("sqlite3",)),
    Room("search/", ("pipeline/search",), "the query language of dead letters"),
    Room(
        "orders/",
        ("pipeline/orders",),
        "what an order is: bytes, columns, rules, handlers, samples",
        ("fastavro", "google", "msgspec", "watchdog"),
    ),
    Room("kafka/", ("pipeline/kafka",), "the client library, in our words", ("confluent_kafka", "httpx2")),
    Room("running/", ("pipeline/running",), "sessions, supervisor, instances, status board"),
    Room("headers/", ("pipeline/headers",), "dead-letter headers, one module a dialect"),
    Room(
        "pipeline/ (ground)",
        (
            "pipeline/__init__.py",
            "pipeline/settings.py",
            "pipeline/starts.py",
            "pipeline/environment.py",
            "pipeline/setting_values.py",
            "pipeline/records.py",
            "pipeline/schema_source.py",
            "pipeline/errors.py",
            "pipeline/clock.py",
            "pipeline/crash_points.py",
            "pipeline/version.py",
        ),
        "settings, records, schema source, errors, clock, crash points, version",
        ("dotenv",),
    ),
)
"""From the top floor down."""


def room_of(path: str) -> Room | None:
    """The room that a file is in, by its path from the project's folder."""
    fits = [(len(each), room) for room in ROOMS for each in room.paths if f"{path}/".startswith(f"{each}/")]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def picture() -> str:
    """The floors as text: a room may import those below it, and of the libraries named only its own."""
    width = max(len(room.name) for room in ROOMS)
    holds = max(len(room.holds) for room in ROOMS)
    line = f"+{'-' * (width + 2)}+{'-' * (holds + 2)}+"
    floors = [
        f"| {room.name:<{width}} | {room.holds:<{holds}} | {', '.join(room.libraries)}".rstrip() for room in ROOMS
    ]
    return "\n".join(["```", line, *floors, line, "```"])


PICTURE = GeneratedPart(PROJECT_DIR / "docs" / "architecture.md", "rooms", picture)

if __name__ == "__main__":
    PICTURE.main()
