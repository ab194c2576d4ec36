"""Who may import what: every import goes down by the list of rooms, and each outside library has its one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings import PROJECT_DIR
from scripts.rooms import PICTURE, ROOMS, Room, room_of

LIBRARIES = {name for room in ROOMS for name in room.libraries}
PAGES = next(room for room in ROOMS if room.name == "dashboard/PAGE/")
# Finer than by room. Everything in a folder is meant; the longest name that fits counts.
ONLY_IN = {
    "confluent_kafka.schema_registry": ("pipeline/kafka/schema_registry.py",),
    "httpx2": ("pipeline/kafka/schema_registry.py",),
    "fastavro": ("pipeline/orders/serde.py",),
    "sqlite3": ("pipeline/buffer/sqlite",),
    "watchdog": ("pipeline/orders/file_watch.py",),
    "prometheus_client": ("pipeline/watching/metrics.py",),
    "apprise": ("pipeline/watching/alerts.py",),
    "pipeline.buffer.sqlite": ("pipeline/buffer/sqlite", "pipeline/buffer/__init__.py"),
    # The app asks for something through the one door that looks at READ_ONLY.
    "pipeline.jobs": ("pipeline", "dashboard"),
}
DASHBOARD_ASKS_BY = "pipeline.jobs.requests"
# Below the entry points the time is passed in.
CLOCK_READERS = ("pipeline/clock.py", "pipeline/commands.py", "pipeline/roles.py", "dashboard/shared/context.py")
# Files whose work is to wait, with the reason beside each wait.
WAITING = {"pipeline/buffer/sqlite/write_queue.py": "a lock that another process holds has no condition to wait for"}
CODE = sorted(
    path.relative_to(PROJECT_DIR)
    for path in (
        PROJECT_DIR / "streamlit_app.py",
        *(file for folder in ("pages", "dashboard", "pipeline") for file in (PROJECT_DIR / folder).rglob("*.py")),
    )
)


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((PROJECT_DIR / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def file_of(name: str) -> Path | None:
    """The file of ours that an imported name is, or is in; None for an outside library."""
    parts = name.split(".")
    if parts[0] not in ("pipeline", "dashboard", "pages", "streamlit_app"):
        return None
    for length in range(len(parts), 0, -1):
        stem = Path(*parts[:length])
        for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
            if (PROJECT_DIR / candidate).is_file():
                return candidate
    raise AssertionError(f"{name} is imported and not there")


def within(path: Path, places: tuple[str, ...]) -> bool:
    return any(path == Path(place) or Path(place) in path.parents for place in places)


def room(path: Path) -> Room:
    found = room_of(path.as_posix())
    assert found is not None, f"{path} is in no room: add it to scripts/rooms.py"
    return found


@pytest.mark.parametrize("path", CODE, ids=str)
def test_a_file_imports_only_rooms_below_its_own(path):
    here = room(path)
    for name in imported(path):
        target = file_of(name)
        if target is not None:
            there = room(target)
            assert there is here or ROOMS.index(there) > ROOMS.index(here), f"{path} must not import {name}"


@pytest.mark.parametrize("path", CODE, ids=str)
def test_an_outside_library_is_imported_in_its_place_only(path):
    for name in imported(path):
        library = next((each for each in LIBRARIES if f"{name}.".startswith(f"{each}.")), None)
        assert library is None or library in room(path).libraries, f"{path} must not import {name}"
        rule = max((each for each in ONLY_IN if f"{name}.".startswith(f"{each}.")), key=len, default=None)
        assert rule is None or within(path, ONLY_IN[rule]), f"{path} must not import {name}"
        if name == "pipeline.clock.wall_clock_ms":
            assert within(path, CLOCK_READERS), f"{path} must be given a clock"


@pytest.mark.parametrize("path", [path for path in CODE if path.parts[0] in ("dashboard", "pages")], ids=str)
def test_the_app_asks_through_one_door_and_no_page_imports_another_ones_parts(path):
    for name in imported(path):
        assert not name.startswith("pipeline.jobs.") or name.startswith(f"{DASHBOARD_ASKS_BY}."), f"{path}: {name}"
        if room(path) is PAGES and name.startswith("dashboard.") and not name.startswith("dashboard.shared."):
            assert name.split(".")[1] == path.parts[1], f"{path} must not import {name}"


def test_every_room_and_every_library_that_is_named_is_there():
    for each in ROOMS:
        assert all((PROJECT_DIR / path).exists() for path in each.paths), each.name
    everything = {name.partition(".")[0] for path in CODE for name in imported(path)}
    assert everything >= LIBRARIES


def test_the_picture_in_the_docs_is_that_of_the_list():
    assert PICTURE.is_current(), "run `make docs`"


def test_the_pipeline_runs_without_any_package_of_the_app():
    look = (
        "import sys, pkgutil, importlib, pipeline\n"
        "for module in pkgutil.walk_packages(pipeline.__path__, 'pipeline.'):\n"
        "    module.name.endswith('__main__') or importlib.import_module(module.name)\n"
        "print([name for name in ('streamlit', 'altair', 'dashboard', 'pandas') if name in sys.modules])\n"
    )
    said = subprocess.run([sys.executable, "-c", look], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def calls(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse((PROJECT_DIR / path).read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio", "datetime"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", CODE, ids=str)
def test_nothing_sleeps_and_only_the_clock_tells_the_time(path):
    named = calls(path)
    assert named.isdisjoint({"time.sleep", "asyncio.sleep", "datetime.now", "datetime.utcnow"}), path
    assert named.isdisjoint({"time.time", "time.time_ns"}) or path == Path("pipeline/clock.py"), path
