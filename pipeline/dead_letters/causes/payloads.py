"""Payloads and rows that a message echoes: JSON, maps, rows of a database, keys of an index."""

from __future__ import annotations

import re

VALUE = "\x1a"
"""Where a value was, until the template is whole. `Substitute`: no text of people has it."""

_BRACES = re.compile(r"[{}]")
_BEGINS_A_PAYLOAD = re.compile(r"""\{\s*(?:["'}\[{$\d]|[\w.-]{1,60}\s?[=:]|\Z)""")
_CODES = re.compile(
    r"""["']?(?:error[_-]?code|error|code|err|reason)["']?\s*[:=]\s*["']?([A-Za-z][A-Za-z_.]{2,40}|\d{3})(?=["',}])""",
    re.IGNORECASE,
)
_STRINGS = re.compile(r"""(?<!\w)(["'])((?:[^"'\\]|(?!\1)["']|\\.)*+)\1(\s*:)?""")
_PAIRS = re.compile(r"[{,]\s*([A-Za-z_]\w*)=([^,{}]*)")
_IS_PAYLOAD = re.compile(r"\{|\[\s*\{")
# What validators tell of a field: where it is, and what is wrong with it.
_OF_FIELD = re.compile(
    r"""["'](?:path|loc|instancePath|dataPath|field|property|param|message|msg|code|type|keyword|expected"""
    r"""|reason)["']\s*:"""
    r"""\s*(\[[^\]]{0,200}\]|"[^"\n]{0,80}"|'[^'\n]{0,80}')"""
)
_NAMES = re.compile(r"(?<![\w.-])[A-Za-z_][A-Za-z_.]*(?![\w-])")
_NAME = re.compile(r"[A-Za-z_][A-Za-z_.\-]*")
# What a body or an object says of an error: which field it is of, and a sentence.
_SAID = re.compile(
    r"""["']?\b(?:message|msg|detail|error_description|title"""
    r"""|interpolatedMessage)["']?\s?[:=]\s?(?:"([^"\n]{1,200})"|'([^'\n]{1,200})')"""
    r"""|\b(?:propertyPath|field|param|property|loc)["']?\s?[:=]\s?["']?([A-Za-z_][\w.]{0,60})"""
)
_OF_AN_ERROR = re.compile(r"""\b(?:status|statusCode|error|errors|code|interpolatedMessage)["']?\s?[:=]""")
_QUOTES = "\"'`"

# `Key (order_id)=(7) already exists.` keeps its columns, as the constraint has a name and may have none here.
_KEYED = re.compile(r"\)=\([^\n]*?\)(?= (?:already|is |conflict)|\.?$)", re.MULTILINE)
_ROW = re.compile(r"(?<=Failing row contains )\([^\n]*|(?<=duplicate key value is )\([^\n]*", re.IGNORECASE)
# What Jackson and others show of their source, and what SQLAlchemy and Hibernate show of a statement's parameters.
_SOURCE = re.compile(r"\[Source: [^\n]*?(?=line: |$)|\[parameters: [^\n]*", re.MULTILINE)


_OBJECT = re.compile(r"\b[A-Z][\w.$]*[(\[](?=\w+=)|\bmap\[")
_BRACKETS = re.compile(r"[()\[\]{}]")
_OF_V8 = re.compile(
    r"""(?:\.\.\.)?"[^\n]*"(?:\.\.\.)?(?= is not valid JSON)|(?<=regular expression: )/[^\n]*?/[a-z]{0,8}(?=: )"""
)
"""What Node shows of a text that it could not read."""


def without_payloads(text: str) -> str:
    """The text with VALUE in place of payloads and rows."""
    if "[Source: " in text or "[parameters: " in text:
        text = _SOURCE.sub(VALUE, text)
    if "is not valid JSON" in text or "regular expression: /" in text:
        text = _OF_V8.sub(VALUE, text)
    if "=" in text or "map[" in text:
        text = _without_objects(text)
    if "{" in text:
        stripped = text.strip()
        text = _told_by(stripped) if _IS_PAYLOAD.match(stripped) and stripped[-1] in "}]" else _without_braces(text)
    if ")=(" in text:
        text = _KEYED.sub(f")={VALUE}", text)
    if "row contains (" in text or "key value is (" in text:
        text = _ROW.sub(VALUE, text)
    return text


def _without_objects(text: str) -> str:
    """Without objects as Java, Kotlin and Python print them, `Order(id=7, lines=[])`: all but the class goes."""
    parts: list[str] = []
    done = 0
    while begins := _OBJECT.search(text, done):
        depth, end = 1, len(text)
        for bracket in _BRACKETS.finditer(text, begins.end()):
            depth += 1 if bracket[0] in "([{" else -1
            if depth == 0:
                end = bracket.end()
                break
        parts += [text[done : begins.end() - 1], VALUE]
        done = end
    return "".join([*parts, text[done:]])


def _told_by(payload: str) -> str:
    """What a message says that is a payload as a whole, as of validators: its names and its sentences."""
    told: list[str] = []
    for text in _STRINGS.finditer(payload):
        string = text[2]
        if (text[3] and _NAME.fullmatch(string)) or string.count(" ") >= 2 or string.isupper():
            told.append(string)
    for names in _OF_FIELD.findall(payload):
        told += _NAMES.findall(names)
    for name, text in _PAIRS.findall(payload):
        told.append(f"{name}: {text}" if text.count(" ") >= 2 else name)
    return "; ".join(dict.fromkeys(told)) or VALUE


def _without_braces(text: str) -> str:
    """What stands in braces goes, nested or not, with the quotes around it; codes of errors in it stay."""
    parts: list[str] = []
    done, depth, begin = 0, 0, 0
    for brace in _BRACES.finditer(text):
        at = brace.start()
        if brace[0] == "{":
            if depth == 0:
                begin = at
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                done = _take_out(text, parts, done, begin, at + 1)
    if depth and _BEGINS_A_PAYLOAD.match(text, begin):
        done = _take_out(text, parts, done, begin, len(text))  # cut before it ended
    parts.append(text[done:])
    return "".join(parts)


def _told_of_error(text: str, begin: int, end: int) -> str:
    """Codes that a payload holds; of one that tells of an error, which has a status or a code, what it says, too."""
    told = _CODES.findall(text, begin, end)
    if _OF_AN_ERROR.search(text, begin, end):
        told += [one or another or name for one, another, name in _SAID.findall(text, begin, end)]
    return " ".join(dict.fromkeys(told))


def _take_out(text: str, parts: list[str], done: int, begin: int, end: int) -> int:
    codes = _told_of_error(text, begin, end)
    if begin > done and end < len(text) and text[begin - 1] == text[end] and text[end] in _QUOTES:
        begin, end = begin - 1, end + 1
    parts.append(text[done:begin])
    parts.append(f"{VALUE} ({codes})" if codes else VALUE)
    return end
