"""The list in CONTRIBUTING.md of what a new dialect touches is true of the dialects that are there."""

from __future__ import annotations

import re

import pytest

from pipeline.headers import DIALECTS
from pipeline.settings import PROJECT_DIR

TEXT = (PROJECT_DIR / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = TEXT.split("\n## Add a dialect of dead-letter headers\n")[1].split("\n## ")[0]
LISTED = re.findall(r"^\d\. `([^`]+)`", SECTION, re.MULTILINE)
COUNTED_ONLY = {"README.md", "CHANGELOG.md"}
"""Files that do not name each dialect."""
LIKE_ANY_OTHER = ("spring-cloud-stream", "kafka-streams", "karafka", "nservicebus", "wolverine", "brighter")
"""Dialects that nothing but their headers sets apart; others have reasons of their own to be named elsewhere."""
SEARCHED = [
    *(PROJECT_DIR / name for name in ("README.md", "CHANGELOG.md", "streamlit_app.py")),
    *(
        file
        for folder in ("pipeline", "dashboard", "pages", "scripts")
        for file in (PROJECT_DIR / folder).rglob("*.py")
    ),
    *(PROJECT_DIR / "docs").glob("*.md"),
    *(PROJECT_DIR / "tests" / "support").rglob("*.py"),
]


def listed_for(name: str) -> set[str]:
    module = f"{name.replace('-', '_')}.py"
    return {f"{path}{module}" if path.endswith("/") else path for path in LISTED}


@pytest.mark.parametrize("name", [dialect.name for dialect in DIALECTS])
def test_every_file_of_the_list_is_there(name: str) -> None:
    assert LISTED
    assert all((PROJECT_DIR / path).is_file() for path in listed_for(name))


@pytest.mark.parametrize("name", LIKE_ANY_OTHER)
def test_a_dialect_is_named_in_the_files_of_the_list_and_in_no_other(name: str) -> None:
    word = re.compile(rf"\b({name}|{name.replace('-', '_')})\b")
    naming = {str(path.relative_to(PROJECT_DIR)) for path in SEARCHED if word.search(path.read_text(encoding="utf-8"))}
    assert naming == listed_for(name) - COUNTED_ONLY
