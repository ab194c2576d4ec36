"""The lists in CONTRIBUTING.md of what a source, a framing and a format touch are true of those that are there."""

from __future__ import annotations

import re

import pytest

from pipeline.settings import PROJECT_DIR

TEXT = (PROJECT_DIR / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = TEXT.partition("\n## Add a source, a framing or a format\n")[2].partition("\n## ")[0]
LISTS = dict(re.findall(r"^A (source|framing|format)\b[^\n]*:\n\n((?:(?:\d\.|   )[^\n]*\n)+)", SECTION, re.MULTILINE))
TOLD_BY = {
    "source": r"\bHeaderSource\b",
    "framing": r"\bApicurioContentId\b",
    "format": r"\bMessageTypes\b|\"PROTOBUF\"",
}
"""By what the code names one that is there: the sources' header, Apicurio's id, Protobuf."""
OF_PROTOBUF_ALONE = {
    "pipeline/orders/formats/protobuf_values.py",
    "pipeline/orders/formats/protobuf_files.py",
    "pipeline/orders/mapping/mapping_file.py",
}
"""Its own modules, and what reads its descriptor files, which other formats do not have."""


def listed(what: str) -> set[str]:
    return {name for name in re.findall(r"`([\w./]+)`", LISTS[what]) if "/" in name}


def test_there_are_three_lists() -> None:
    assert LISTS.keys() == TOLD_BY.keys()


@pytest.mark.parametrize("what", TOLD_BY)
def test_each_list_names_the_files_that_know_one_and_no_other(what: str) -> None:
    assert all((PROJECT_DIR / name).exists() for name in listed(what))
    knowing = {
        str(file.relative_to(PROJECT_DIR))
        for file in (PROJECT_DIR / "pipeline").rglob("*.py")
        if re.search(TOLD_BY[what], file.read_text(encoding="utf-8"))
    }
    modules = {name for name in listed(what) if name.endswith(".py")}
    assert modules == knowing - (OF_PROTOBUF_ALONE if what == "format" else set())
    assert "docs/mapping.md" in listed(what)
