"""The pages that the app's navigation lists, read out of its entry script."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.settings import PROJECT_DIR

ENTRY = PROJECT_DIR / "streamlit_app.py"


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page as `st.Page` lists it. `file` is its path from the project's folder."""

    file: str
    title: str
    icon: str
    default: bool

    @property
    def name(self) -> str:
        """Its file's name without the suffix; also the name of its folder in `dashboard`."""
        return PurePosixPath(self.file).stem

    @property
    def address(self) -> str:
        """What stands after the app's address; nothing for the first page."""
        return "" if self.default else self.name


def listed_pages() -> list[ListedPage]:
    """In the order of the navigation."""
    calls = [node for node in ast.walk(ast.parse(ENTRY.read_text())) if isinstance(node, ast.Call)]
    return [_page(call) for call in calls if ast.unparse(call.func) == "st.Page"]


def _page(call: ast.Call) -> ListedPage:
    [file] = [ast.literal_eval(each) for each in call.args]
    named = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
    return ListedPage(file, named["title"], named["icon"], named.get("default", False))


PAGES = listed_pages()
