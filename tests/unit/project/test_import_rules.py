"""Who may import what: every import goes down by the list of rooms, and each outside library has its one room."""

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
    "confluent_kafka.schema_registry": ("pipeline/kafka/schema_registry.py", "pipeline/kafka/registries"),
    "httpx2": ("pipeline/kafka/schema_registry.py", "pipeline/kafka/registries"),
    "fastavro": ("pipeline/orders/serde.py", "pipeline/orders/avro_schemas.py"),
    "msgspec": ("pipeline/orders/formats",),
    "google.protobuf": ("pipeline/orders/formats",),
    "sqlite3": ("pipeline/buffer/sqlite",),
    "watchdog": ("pipeline/orders/file_watch.py",),
    "prometheus_client": ("pipeline/watching/metrics.py",),
    "apprise": ("pipeline/watching/alerts.py",),
    "pipeline.buffer.sqlite": ("pipeline/buffer/sqlite", "pipeline/buffer/__init__.py"),
    # The app asks for something through the one door that looks at READ_ONLY.
    "pipeline.jobs": ("pipeline", "dashboard"),
}
DASHBOARD_ASKS_BY = "pipeline.jobs.requests"
CLOCK = Path("pipeline/clock.py")
CLOCKS = {f"pipeline.clock.{name}" for name in ("wall_clock_ms", "steady_clock_ms", "pause")}
# Below the entry points the time is passed in.
CLOCK_READERS = (
    "pipeline/clock.py",
    "pipeline/__main__.py",
    "pipeline/commands.py",
    "pipeline/roles.py",
    "dashboard/shared/context.py",
)
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


def within(path: Path, allowed: tuple[str, ...]) -> bool:
    return any(path == Path(each) or Path(each) in path.parents for each in allowed)


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


def parsed(path: Path) -> ast.Module:
    return ast.parse((PROJECT_DIR / path).read_text())


def full_names(tree: ast.Module) -> dict[str, str]:
    """What the names that a module imports stand for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def name_of(node: ast.expr, names: dict[str, str]) -> str:
    """`time.sleep` or `self._event`, with what is imported by its full name; empty for what is no name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = name_of(node.value, names)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def clocks_read(tree: ast.Module) -> set[str]:
    """What of the standard library tells the time or sleeps, called or passed on."""
    names = full_names(tree)
    used = {name_of(node, names) for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute))}
    moments = {"datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"}
    return {name for name in used if name.startswith("time.") or name in moments | {"asyncio.sleep"}}


# Waited on, each is a sleep where nothing in the module ever does what ends the wait.
WOKEN_BY = {
    "threading.Event": {"set"},
    "threading.Condition": {"notify", "notify_all"},
    "threading.Semaphore": {"release"},
    "threading.BoundedSemaphore": {"release"},
    "threading.Barrier": {"wait"},
    "queue.Queue": {"put", "put_nowait"},
    "queue.SimpleQueue": {"put", "put_nowait"},
}
WAITS = {"wait", "wait_for", "acquire", "get"}
NOTHING_TO_SELECT = {"select.select": 3, "signal.sigtimedwait": 1}
"""With so many empty lists in front of its time limit, a call waits for nothing but the limit."""


def sleeps(tree: ast.Module) -> set[str]:
    """What only pauses, by other means than the clock: waits that nothing in the module can end before their time."""
    names = full_names(tree)
    made: dict[str, str] = {}
    done: dict[str, set[str]] = {}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
            kind = name_of(node.value.func, names)
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if kind in WOKEN_BY:
                made |= {name_of(target, names): kind for target in targets}
        elif isinstance(node, ast.Attribute):
            done.setdefault(name_of(node.value, names), set()).add(node.attr)
            if isinstance(node.value, ast.Call) and node.attr in WAITS | {"join"}:
                kind = name_of(node.value.func, names)
                if kind in WOKEN_BY or kind == "threading.Thread":
                    found.add(f"{kind}().{node.attr}")
        if isinstance(node, ast.Call):
            called = name_of(node.func, names)
            lists = node.args[: NOTHING_TO_SELECT.get(called, 0)]
            if lists and all(isinstance(each, (ast.List, ast.Tuple, ast.Set)) and not each.elts for each in lists):
                found.add(called)
    return found | {
        name
        for name, kind in made.items()
        if done.get(name, set()) & (WAITS - WOKEN_BY[kind]) and not done[name] & WOKEN_BY[kind]
    }


def calls_the_clock(tree: ast.Module) -> set[str]:
    """The clocks and pauses of `pipeline.clock` that a module uses otherwise than as the default of a parameter."""
    names = full_names(tree)
    defaults = {
        default
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for default in (*node.args.defaults, *node.args.kw_defaults)
    }
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Name, ast.Attribute)) and node not in defaults
        if (name := name_of(node, names)) in CLOCKS
    }


@pytest.mark.parametrize("path", CODE, ids=str)
def test_only_the_clock_tells_the_time_and_pauses(path):
    assert not clocks_read(parsed(path)) or path == CLOCK, path
    assert not sleeps(parsed(path)), path


@pytest.mark.parametrize("path", [path for path in CODE if not within(path, CLOCK_READERS)], ids=str)
def test_below_the_entry_points_the_time_is_passed_in(path):
    assert not calls_the_clock(parsed(path)), path


PAUSE_OF_ITS_OWN = """
import threading
_NEVER = threading.Event()
def look(): _NEVER.wait(0.0005)
"""


@pytest.mark.parametrize(
    "code",
    [
        PAUSE_OF_ITS_OWN,
        "from threading import Event\ndef ask():\n    pause = Event()\n    pause.wait(0.1)",
        "import threading\nclass Looks:\n    def __init__(self): self._stop: threading.Event = threading.Event()\n"
        "    def run(self):\n        while not self._stop.wait(1): pass",
        "import threading\nthreading.Event().wait(1)",
        "import threading\nthreading.Thread(target=print).join(1)",
        "import threading as t\nturn = t.Condition()\nwith turn: turn.wait(1)",
        "import threading\ngate = threading.Semaphore(0)\ngate.acquire(timeout=1)",
        "import queue\nempty = queue.Queue()\nempty.get(timeout=1)",
        "import select\nselect.select([], [], [], 1)",
        "from select import select\nselect((), [], (), 1)",
        "import signal\nsignal.sigtimedwait([], 1)",
    ],
)
def test_a_pause_by_other_means_is_seen(code):
    assert sleeps(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        "import threading\nclass Looks:\n    def __init__(self): self._stop = threading.Event()\n"
        "    def close(self): self._stop.set()\n    def run(self):\n        while not self._stop.wait(1): pass",
        "import threading\nturn = threading.Condition()\nturn.wait(1)\nturn.notify_all()",
        "import queue\nwork = queue.Queue()\nwork.put(1)\nwork.get(timeout=1)",
        "import select\nselect.select([4], [], [], 1)",
    ],
)
def test_a_wait_that_something_ends_is_no_pause(code):
    assert not sleeps(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        "import time\nuntil = time.monotonic() + 1",
        "from time import perf_counter as now\nbegan = now()",
        "import time as t\npause = t.sleep",
        "from datetime import datetime\ndatetime.now()",
        "import datetime as d\nd.datetime.today()",
        "import asyncio\nasyncio.sleep(1)",
    ],
)
def test_a_clock_is_seen_by_whatever_name_it_is_called(code):
    assert clocks_read(ast.parse(code))


def test_a_clock_may_be_a_default_and_is_not_called():
    imported_as = "from pipeline.clock import pause, steady_clock_ms\n"
    assert not calls_the_clock(ast.parse(imported_as + "def wait(clock=steady_clock_ms, *, pause=pause): ..."))
    assert calls_the_clock(ast.parse(imported_as + "def wait(): return steady_clock_ms()"))
    assert calls_the_clock(ast.parse(imported_as + "WAIT = pause"))
    assert calls_the_clock(ast.parse("from pipeline import clock\nclock.pause(1)"))
