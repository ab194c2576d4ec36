"""A page is a file in `pages`, a line in the navigation, a folder in `dashboard`, tests, and a word in the README."""

from __future__ import annotations

import ast
import re

import pytest

from pipeline.settings import PROJECT_DIR
from tests.support.navigation import PAGES, ListedPage

SHELL = "dashboard/shared/shell.py"
TICKING = "dashboard/shared/ticking.py"
APP_CODE = [
    path.relative_to(PROJECT_DIR).as_posix()
    for path in (
        PROJECT_DIR / "streamlit_app.py",
        *(file for folder in ("pages", "dashboard") for file in sorted((PROJECT_DIR / folder).rglob("*.py"))),
    )
]
SHARED_ONLY = {"cache_data", "session_state", "unsafe_allow_html", "dataframe", "table"}
"""What pages use through `dashboard/shared/` alone: `snapshots`, `StateKey`, `draw_table`; markup is never trusted."""
STILL_USED = {
    "dashboard/dead_letters/query_box.py": {"cache_data"},
    "dashboard/dead_letters/table.py": {"cache_data"},
    "dashboard/orders/explorer.py": {"dataframe"},
}
"""Those from before that rule. No file is added here."""
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def tree(file: str) -> ast.Module:
    return ast.parse((PROJECT_DIR / file).read_text())


def section(file: str, heading: str) -> str:
    """The text under a heading of the second level."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", (PROJECT_DIR / file).read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{file} has no section {heading}"
    return found[1]


def test_the_navigation_lists_the_files_in_pages_and_no_others():
    assert sorted(page.file for page in PAGES) == sorted(
        path.relative_to(PROJECT_DIR).as_posix() for path in (PROJECT_DIR / "pages").rglob("*.py")
    )
    assert [page.default for page in PAGES] == [True] + [False] * (len(PAGES) - 1)


@every_page
def test_a_page_begins_by_the_name_that_the_navigation_gives_it(page: ListedPage):
    """Nothing is drawn or read before `begin_page` has sent somebody who came here first through the entry script."""
    first = next(
        node
        for node in tree(page.file).body
        if not isinstance(node, ast.Import | ast.ImportFrom) and not _is_docstring(node)
    )
    expected = f"begin_page({page.title!r}, {page.icon!r})"
    called = first.value if isinstance(first, ast.Assign) else first
    assert ast.unparse(called) == expected, f"{page.file} must begin with {expected}"
    assert ("dashboard.shared.shell", "begin_page") in imports(page.file)


@every_page
def test_a_page_has_a_live_part(page: ListedPage):
    """Two at once are refused by `live` itself, in whichever state of the buffer they meet."""
    called = {ast.unparse(node.func) for node in ast.walk(tree(page.file)) if isinstance(node, ast.Call)}
    assert called & {"live", "watch"}, f"{page.file} draws once and never again"


@every_page
def test_a_page_draws_with_its_own_folder_and_what_pages_share(page: ListedPage):
    for module, _ in imports(page.file):
        assert not module.startswith("dashboard.") or module.split(".")[1] in ("shared", page.name), module


@every_page
def test_a_page_has_app_tests_of_its_own(page: ListedPage):
    assert (PROJECT_DIR / "tests" / "app" / f"test_{page.name}.py").is_file()


@every_page
def test_a_page_s_app_tests_open_it_on_a_buffer(page: ListedPage):
    tests = [node for node in tree(f"tests/app/test_{page.name}.py").body if isinstance(node, ast.FunctionDef)]
    arguments = [{each.arg for each in test.args.args} for test in tests if test.name.startswith("test_")]
    assert any("database_file" in each for each in arguments), "no test has the argument database_file"


def test_pages_share_how_they_cache_remember_and_draw_tables():
    used = {file: _names_used(file) & SHARED_ONLY for file in APP_CODE if not file.startswith("dashboard/shared/")}
    assert {file: names for file, names in used.items() if names} == STILL_USED


@pytest.mark.parametrize("file", APP_CODE)
def test_only_what_requests_something_writes(file: str):
    if ("dashboard.shared.context", "writer") in imports(file):
        assert "pipeline.jobs.requests" in {module for module, _ in imports(file)}, f"{file} writes past the requests"


@pytest.mark.parametrize("file", APP_CODE)
def test_only_the_shell_makes_a_part_tick(file: str):
    """Pages call `live` or `watch`, which refuse a second live part and show what goes wrong in words."""
    fragments = {
        ast.unparse(node)
        for node in ast.walk(tree(file))
        if (isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node).split(".")[-1] == "fragment")
        or (isinstance(node, ast.keyword) and node.arg == "run_every")
    }
    assert (file == TICKING) == bool(fragments), fragments
    assert (file == SHELL) == (("dashboard.shared.ticking", "draw_ticking") in imports(file))


def test_the_readme_names_every_page_in_the_order_of_the_navigation():
    bullets = re.findall(r"^- (\*\*.*?):", section("README.md", "What it does"), re.MULTILINE)
    named = [title for bullet in bullets for title in re.findall(r"\*\*(.+?)\*\*", bullet)]
    assert named == [page.title for page in PAGES]


@every_page
def test_what_contributing_says_that_a_page_needs_is_what_each_page_has(page: ListedPage):
    files = re.findall(r"`([\w./]+[./][\w./]*)`", section("CONTRIBUTING.md", "Add a page"))
    of_a_page = [file for file in files if "NAME" in file]
    assert {"dashboard/NAME/", "pages/NAME.py", "tests/app/test_NAME.py"} <= set(of_a_page)
    assert {"scripts/rooms.py", "streamlit_app.py", "README.md"} <= set(files)
    for file in files:
        assert (PROJECT_DIR / file.replace("NAME", page.name)).exists(), file


def imports(file: str) -> set[tuple[str, str]]:
    """What a file imports, by module and name."""
    return {
        (node.module or "", alias.name)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _names_used(file: str) -> set[str]:
    """Attributes of `st`, and names of arguments."""
    nodes = list(ast.walk(tree(file)))
    arguments = {node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg}
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "st"}
    return arguments | attributes


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
