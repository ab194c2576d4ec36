"""Nothing that came from a record, an error or a setting gets into Markdown but through `formats.plain`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.settings import PROJECT_DIR

FILES = [
    PROJECT_DIR / "streamlit_app.py",
    *sorted((PROJECT_DIR / "pages").glob("*.py")),
    *sorted((PROJECT_DIR / "dashboard").rglob("*.py")),
]
MARKDOWN = set(
    "badge button caption checkbox dialog download_button error expander form_submit_button header html info latex "
    "link_button markdown metric multiselect number_input page_link pills popover segmented_control selectbox status "
    "spinner subheader success tabs text_input datetime_input title toast toggle warning write write_stream".split()
)
"""What of Streamlit shows its first text as Markdown."""
TEXTS = {"body", "label", "text", "title", "help", "caption"}
"""Parameters that are Markdown too, of whatever call."""
SAFE_CALLS = set(
    "plain number size share ago moment per_second variable_of len int title_in strftime "
    "_duration _group_rule _whole _title _how_far _progress_line _role_text _extent _line _share".split()
)
"""`plain` itself, what makes text of numbers and of our own names, and functions whose own texts are looked at here."""
NO_MARKDOWN = set("plain print code text table kept_files has_files forget_files BufferUnavailableError".split())
"""Where a text goes that is not Markdown, or is made it there."""
NUMBERS = (",", "d", "%", "f", "g")
"""A format that ends so takes a number and nothing else."""
OURS = set(
    # Parameters and variables with words of the source, names of our own, or numbers.
    "label explanation title icon hint refused extent goes verb how limit color share kind state_icon format_ "
    "first last job_id status orders dead_letters upper lower parked outbox file_size both so_far parts "
    # Put together in the same function, which is looked at.
    "told where key names error failed lines amount unit seconds most new why count".split()
)
"""Names that hold nothing from outside that did not go through `plain`, wherever they are used."""
OUR_ATTRIBUTES = set(
    "id cut total count rows settled size_bytes state label explanation kind major minor digits".split()
)
"""Attributes that do not either: numbers, our words on what was left out, states that the buffer has a list of."""


def texts(tree: ast.Module) -> Iterator[ast.expr]:
    """Every text that is given to Markdown, and every text put together in the functions that give some or are named
    in `SAFE_CALLS`."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            if _name(call) in MARKDOWN:
                yield from call.args[:1]
            if not _name(call).endswith("Filter") and not ast.unparse(call.func).startswith("alt."):
                yield from (keyword.value for keyword in call.keywords if keyword.arg in TEXTS)
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and (function.name in SAFE_CALLS or _gives(function)):
            calls = [call for call in ast.walk(function) if isinstance(call, ast.Call)]
            others = {id(part) for call in calls for whole in _not_shown(call) for part in ast.walk(whole)}
            formats = {id(part.format_spec) for part in ast.walk(function) if isinstance(part, ast.FormattedValue)}
            for part in ast.walk(function):
                if isinstance(part, ast.JoinedStr) and id(part) not in others | formats:
                    yield part


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _gives(function: ast.FunctionDef) -> bool:
    return any(isinstance(call, ast.Call) and _name(call) in MARKDOWN for call in ast.walk(function))


def _not_shown(call: ast.Call) -> Iterator[ast.expr]:
    """Keys and files, cells of tables, and what goes through `plain`, to the console or into st.text and st.code."""
    yield from (keyword.value for keyword in call.keywords if keyword.arg in ("key", "file", "file_name"))
    if _name(call) in NO_MARKDOWN:
        yield from call.args
    if _name(call) == "download_button":
        yield from call.args[2:3]


def is_ours(text: ast.expr) -> bool:
    """Whether all of a text is written in the source, is a number, or went through `plain`."""
    match text:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name.isupper() or name in OURS
        case ast.Attribute(value=ast.Subscript(value=table)):
            return is_ours(table)
        case ast.Attribute(attr=name):
            return name in OUR_ATTRIBUTES
        case ast.FormattedValue(value=value, format_spec=spec):
            return is_ours(value) or (isinstance(spec, ast.JoinedStr) and _takes_a_number(spec))
        case ast.BinOp(left=left, right=right):
            return is_ours(left) and is_ours(right)
        case ast.JoinedStr(values=parts) | ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            return all(is_ours(part) for part in parts)
        case ast.IfExp(body=one, orelse=other):
            return is_ours(one) and is_ours(other)
        case ast.Subscript(value=table):
            return is_ours(table)
        case ast.GeneratorExp(elt=part) | ast.ListComp(elt=part):
            return is_ours(part)
        case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="join"), args=[parts]):
            return is_ours(parts)
        case ast.Call(func=ast.Attribute(value=whole, attr="lower")):
            return is_ours(whole)
        case ast.Call():
            return _name(text) in SAFE_CALLS
    return False


def _takes_a_number(spec: ast.JoinedStr) -> bool:
    return "".join(str(part.value) for part in spec.values if isinstance(part, ast.Constant)).endswith(NUMBERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT_DIR)))
def test_outside_text_goes_through_plain(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert {ast.unparse(text) for text in texts(tree) if not is_ours(text)} == set()


@pytest.mark.parametrize(
    "line",
    [
        "st.error(error.reason)",
        "st.caption(f'it says {reason}')",
        "place.info('a' + row.reason)",
        "st.button('Go', help=message)",
        "st.metric(label='x', value=1, help=f'{settings().orders_topic}')",
        "def draw(rows):\n    words = f'at {rows.topic}'\n    st.markdown(words)",
    ],
)
def test_what_does_not_is_found(line: str) -> None:
    assert [text for text in texts(ast.parse(line)) if not is_ours(text)]
