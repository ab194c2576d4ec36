"""Who may import what, file by file: finer than the linter, which can only allow everything or nothing in a file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pipeline.settings import PROJECT_DIR

# Module: where it may be imported. A folder means everything in it. The longest name that fits counts.
ALLOWED = {
    "streamlit": ("streamlit_app.py", "pages", "dashboard"),
    "altair": ("dashboard",),
    "dashboard": ("streamlit_app.py", "pages", "dashboard"),
    "confluent_kafka": ("pipeline/kafka",),
    "confluent_kafka.schema_registry": ("pipeline/registry.py",),
    "httpx2": ("pipeline/registry.py",),
    "fastavro": ("pipeline/serde.py",),
    "sqlite3": ("pipeline/buffer",),
    "watchdog": ("pipeline/rules.py",),
    "prometheus_client": ("pipeline/metrics.py",),
    "apprise": ("pipeline/alerts.py",),
}
# Below the entry points the time is passed in.
CLOCK_READERS = ("pipeline/clock.py", "pipeline/commands.py", "pipeline/roles.py", "dashboard/context.py")
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


def rule_for(name: str) -> str | None:
    """The longest name in ALLOWED that an imported name is, or is in."""
    return max((rule for rule in ALLOWED if f"{name}.".startswith(f"{rule}.")), key=len, default=None)


def within(path: Path, places: tuple[str, ...]) -> bool:
    return any(path == Path(place) or Path(place) in path.parents for place in places)


@pytest.mark.parametrize("path", CODE, ids=str)
def test_a_file_imports_only_what_it_may(path):
    for name in imported(path):
        rule = rule_for(name)
        assert rule is None or within(path, ALLOWED[rule]), f"{path} must not import {name}"
        if name == "pipeline.clock.wall_clock_ms":
            assert within(path, CLOCK_READERS), f"{path} must be given a clock"


def test_nothing_sleeps_and_only_the_clock_tells_the_time():
    for path in CODE:
        for node in ast.walk(ast.parse((PROJECT_DIR / path).read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                call = f"{node.value.id}.{node.attr}"
                assert call not in ("time.sleep", "datetime.now", "datetime.utcnow"), f"{path} calls {call}"
                assert call not in ("time.time", "time.time_ns") or path == Path("pipeline/clock.py"), path
