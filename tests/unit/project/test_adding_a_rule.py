"""CONTRIBUTING's list of what a new rule touches: the files are there, and hold what the list says they hold."""

from __future__ import annotations

import re

from pipeline.settings import PROJECT_DIR

SECTION = (PROJECT_DIR / "CONTRIBUTING.md").read_text().partition("## Add a rule\n")[2].partition("\n## ")[0]
STEPS = re.findall(r"^\d\. `([\w./]+)`:(.*?)(?=^\d\.|^$)", SECTION, re.MULTILINE | re.DOTALL)


def test_the_list_of_a_new_rule_names_every_file_that_holds_something_of_each_rule() -> None:
    # A rule that is in other files too would be forgotten there: the list has to name them, or the rule has to move.
    names = re.compile(r"\b(price_max|max_ahead_s|products = \[)")
    code = [*(PROJECT_DIR / "pipeline").rglob("*.py"), *(PROJECT_DIR / "dashboard").rglob("*.py")]
    holders = {
        path.relative_to(PROJECT_DIR).as_posix()
        for path in (*code, PROJECT_DIR / "rules.toml", *(PROJECT_DIR / "tests" / "support").glob("*.py"))
        if names.search(path.read_text(encoding="utf-8"))
    }
    assert [path for path, _ in STEPS] == [
        "pipeline/orders/rules.py",
        "rules.toml",
        "tests/support/rule_samples.py",
        "CHANGELOG.md",
    ]
    assert holders == {path for path, _ in STEPS} - {"CHANGELOG.md"}


def test_each_file_holds_what_the_list_says_of_it() -> None:
    assert len(STEPS) == 4
    for path, words in STEPS:
        text = (PROJECT_DIR / path).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)[^`]*`", words):
            assert name in ("dict", "NAME", "rule", "table") or re.search(rf"\b{name}\b", text), f"{path}: no {name}"


def test_the_other_files_and_the_tests_that_the_section_names_are_there() -> None:
    paths = re.findall(r"\b[\w/]+/[\w.]+\.(?:py|toml|md)\b", SECTION)
    assert len(paths) >= 5
    assert all((PROJECT_DIR / path).is_file() for path in paths)
