"""What a page says in Markdown holds no foreign text as it came: one out of a record or an error is made plain."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.settings import PROJECT_DIR

PAGES = sorted(
    path.relative_to(PROJECT_DIR)
    for path in (
        PROJECT_DIR / "streamlit_app.py",
        *(file for folder in ("pages", "dashboard") for file in (PROJECT_DIR / folder).rglob("*.py")),
    )
)
MESSAGES = {"error", "warning", "info", "success", "toast"}
MAKE_THEM_PLAIN = {"plain", "ago", "size", "number"}
OURS = {
    "reason": "what `refusal` says is a sentence of ours",
    "role.name": "one of our roles and a number",
    "shown.rows.cut": "a sentence of ours with a number in it",
    "settings().orders_topic": "a topic's name has no sign of Markdown but - and _, and stands as code",
    "sys.version.split()[0]": "Python's version",
}
"""What may be said as it is, and why."""


def parts(said: ast.expr) -> Iterator[ast.expr]:
    """What a message is put together from, without our own words."""
    match said:
        case ast.JoinedStr(values):
            for value in values:
                if isinstance(value, ast.FormattedValue) and value.format_spec is None:
                    yield from parts(value.value)
        case ast.BinOp(left, ast.Add(), right) | ast.IfExp(body=left, orelse=right):
            yield from parts(left)
            yield from parts(right)
        case ast.Constant():
            return
        case ast.Call(ast.Name(name)) if name in MAKE_THEM_PLAIN:
            return
        case _:
            yield said


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_a_message_holds_no_text_of_somebody_else_s_as_markdown(path: Path) -> None:
    for node in ast.walk(ast.parse((PROJECT_DIR / path).read_text(encoding="utf-8"))):
        match node:
            case ast.Call(ast.Attribute(ast.Name("st"), kind), [said, *_]) if kind in MESSAGES:
                found = {ast.unparse(part) for part in parts(said)}
                assert found <= OURS.keys(), f"{path}:{node.lineno}: show it through dashboard.shared.formats.plain"
