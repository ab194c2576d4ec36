"""CONTRIBUTING's list for a new setting is whole, and a step that was left out fails here."""

from __future__ import annotations

import re

import pytest

from pipeline.settings import MASK, PROJECT_DIR, Settings, is_secret, masked_setting, variable_of
from scripts.settings_table import README

CONTRIBUTING = (PROJECT_DIR / "CONTRIBUTING.md").read_text(encoding="utf-8")
SETTINGS_FILE = PROJECT_DIR / "pipeline" / "settings.py"
CODE = {
    path: path.read_text(encoding="utf-8")
    for path in (
        PROJECT_DIR / "streamlit_app.py",
        *(file for folder in ("pipeline", "dashboard", "pages") for file in (PROJECT_DIR / folder).rglob("*.py")),
    )
}
READS_THE_ENVIRONMENT_TOO = {
    "environment.py": "where settings.py has it read",
    "__main__.py": "how many threads a library starts, which is set before it is imported",
    "crash_points.py": "a test's folder, which is no setting: no installation ever asks for it",
}
NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]


def section(title: str) -> str:
    return CONTRIBUTING.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_list_names_the_files_in_their_order():
    named = re.findall(r"`([\w./-]+\.(?:py|md|yml)|\.env\.example)`", section("Add a setting"))
    assert named == [
        "pipeline/settings.py",
        "README.md",
        ".env.example",
        "docker-compose.yml",
        "CHANGELOG.md",
        "tests/unit/project/test_add_a_setting.py",
    ]
    assert all((PROJECT_DIR / file).exists() for file in named)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_read(name):
    readers = [
        path
        for path, text in CODE.items()
        if re.search(rf"settings(\(\))?\.{name}\b" if path != SETTINGS_FILE else rf"self\.{name}\b", text)
    ]
    assert readers, f"nothing reads settings.{name}"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_has_a_sentence_of_help_that_is_in_the_readme(name):
    text = Settings.model_fields[name].description or ""
    assert re.fullmatch(r"[A-Z`].{10,}\.", text), f"the help of {name} is no sentence: {text!r}"
    [row] = [line for line in README.read_text(encoding="utf-8").splitlines() if f"| `{variable_of(name)}` |" in line]
    assert text in row, "run `make docs`"


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_has_a_lower_bound(name):
    bounds = [type(each).__name__ for each in Settings.model_fields[name].metadata]
    assert {"Ge", "Gt"} & set(bounds), f"{name} may be any number"


def test_nothing_else_reads_the_environment():
    readers = {path.name for path, text in CODE.items() if re.search(r"\b(environ|getenv)\b", text)}
    assert readers == {SETTINGS_FILE.name, *READS_THE_ENVIRONMENT_TOO}


@pytest.mark.parametrize("name", ["smtp_password", "webhook_secret", "pager_token", "kafka_passphrase"])
def test_a_setting_that_sounds_like_a_secret_is_masked_as_a_whole(name):
    assert masked_setting(name, "hunter2") == MASK
    assert masked_setting(name, "") == ""


@pytest.mark.parametrize("name", Settings.model_fields)
def test_what_may_be_secret_is_in_no_repr(name):
    field = Settings.model_fields[name]
    if is_secret(name) or field.annotation == Settings.model_fields["kafka_config"].annotation or "URLs" in str(field):
        assert field.repr is False, f"repr(settings) shows {name}"
