"""The docs say what is true: settings, commands, links, tables and queries are compared with the program itself."""

from __future__ import annotations

import re
import shlex
import sqlite3

import pytest

from pipeline.__main__ import parser
from pipeline.buffer import columns_of, open_buffer
from pipeline.settings import PROJECT_DIR
from scripts.settings_table import TABLE

DOCS = (
    *sorted(PROJECT_DIR.glob("*.md")),
    PROJECT_DIR / "schemas" / "README.md",
    PROJECT_DIR / "findings" / "README.md",
    *sorted((PROJECT_DIR / "docs").rglob("*.md")),
)
BUFFER_DOC = PROJECT_DIR / "docs" / "buffer.md"


def code_blocks(text: str, language: str = "") -> list[str]:
    # All of them, one after another: the end of one must not be taken for the beginning of another.
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for named, block in blocks if named == language]


def pipeline_commands() -> list[str]:
    lines = "\n".join(block for path in DOCS for block in code_blocks(path.read_text())).splitlines()
    return [line.partition("python -m pipeline ")[2] for line in lines if "python -m pipeline " in line]


def test_the_settings_table_is_that_of_the_program():
    assert TABLE.is_current(), "run `make docs`"


@pytest.mark.parametrize("command", pipeline_commands())
def test_a_command_in_the_docs_is_one_that_there_is(command):
    assert callable(parser().parse_args(shlex.split(command, comments=True)).run)


def test_every_command_is_in_the_readme():
    roles = {"broker", "processor", "collector", "worker"}
    [choices] = [action.choices for action in parser()._actions if action.choices]
    named = {shlex.split(command)[0] for command in pipeline_commands()}
    assert set(choices) - roles <= named


def test_every_make_target_in_the_docs_is_one_that_there_is():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT_DIR / "Makefile").read_text(), re.MULTILINE))
    named = {
        target for path in DOCS for target in re.findall(r"\bmake ([a-z-]+)\b(?=[`\n]| [A-Z]+=)", path.read_text())
    }
    assert named
    assert named <= targets


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(PROJECT_DIR)))
def test_links_lead_to_files_that_are_there(path):
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(PROJECT_DIR)))
def test_files_named_in_the_text_are_there(path):
    roots = ("pipeline/", "dashboard/", "pages/", "tests/", "scripts/", "bench/", "schemas/", "docs/", "findings/")
    named = re.findall(rf"`((?:{'|'.join(roots)})[\w./-]*)`", path.read_text())
    for target in named:
        # NAME stands for what somebody is about to add.
        assert "NAME" in target or (PROJECT_DIR / target).exists(), target


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(PROJECT_DIR)))
def test_a_file_named_without_its_folder_is_somewhere(path):
    ours = ("pipeline", "dashboard", "pages", "tests", "scripts", "bench")
    there = {file.name for folder in ours for file in (PROJECT_DIR / folder).rglob("*.py")} | {"streamlit_app.py"}
    assert set(re.findall(r"`(\w+\.py)`", path.read_text())) <= there


def test_every_name_in_the_way_of_a_record_is_in_its_file():
    text = (PROJECT_DIR / "docs" / "architecture.md").read_text()
    named = re.findall(r"`(\w+)` in \[[\w.]+\]\(\.\./([\w./]+\.py)\)", text)
    assert len(named) >= 7
    for name, file in named:
        assert re.search(rf"^\s*(class|def) {name}\b", (PROJECT_DIR / file).read_text(), re.MULTILINE), (name, file)


def test_every_word_of_the_glossary_is_used_and_stands_in_order():
    glossary = PROJECT_DIR / "docs" / "glossary.md"
    words = re.findall(r"^\| ([a-z_][\w -]*) \|", glossary.read_text(), re.MULTILINE)[1:]
    assert words == sorted(words, key=lambda word: word.replace("_", " "))
    others = [path for path in (*DOCS, *(PROJECT_DIR / "pipeline").rglob("*.py")) if path != glossary]
    everything = " ".join(" ".join(path.read_text().split()) for path in others).lower()
    for word in words:
        assert word in everything or word.replace(" ", "_") in everything, f"nobody says {word!r}"


def documented_tables() -> dict[str, list[str]]:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", BUFFER_DOC.read_text(), re.MULTILINE)
    return {table: columns.split(", ") for table, columns in rows}


@pytest.mark.parametrize("table", ["orders", "dead_letters", "jobs", "job_items"])
def test_a_public_table_is_documented_as_it_is_exported(table):
    assert documented_tables()[table] == [column.name for column in columns_of(table)]


def test_every_documented_column_is_in_the_buffer_and_every_query_runs(tmp_path):
    path = tmp_path / "orderpulse.db"
    open_buffer(path).close()
    with sqlite3.connect(path) as connection:
        for table, columns in documented_tables().items():
            quoted = ", ".join(f'"{column}"' for column in columns)
            # In single quotes a name that is no column would be taken for a text; in a list of names it is an error.
            assert set(columns) <= {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            connection.execute(f"SELECT {quoted} FROM {table}").fetchall()
        queries = code_blocks(BUFFER_DOC.read_text(), "sql")
        assert queries
        for query in queries:
            connection.execute(query).fetchall()
    connection.close()
