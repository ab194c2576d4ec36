"""What stands in quotes or brackets: a name that tells causes apart, a text of its own, or a value.

What stands around it says so: `column "price"`, `'price' is a required property`, `desc = "no route to host"`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pipeline.dead_letters.causes.codes import word_before
from pipeline.dead_letters.causes.payloads import VALUE

QUOTED = (
    r"""'(?<!\w')(?:[^'\n]|'(?=\w))*+'(?!\w)"""
    r"""|"(?<!\w")(?:[^"\\\n]|\\.)*+"(?:\."[^"\n]*+")*+"""
    r"""|`[^`\n]*+`(?:\.`[^`\n]*+`)*+|“[^”\n]*+”|«[^»\n]*+»|‘[^’\n]*+’"""
)
"""Names that are quoted part by part are one."""
BRACKETED = r"\[[^\[\]\n]*+\]"

_NAMES = frozenset(
    "field fields column columns property properties attribute attributes constraint table relation type types class "
    "classes method function module named parameter parameters argument arguments param arg option header headers "
    "element member operator operation schema subject record enum bean collection index reading setting reference "
    "topic topics because object sequence view database role setter getter getting writing path annotation qualifier "
    "converter serializer tag tags label codes variable input directive keyword extension encoding codec "
    "charset algorithm".split()
)
"""What comes behind one of these is a name."""
_LEVELS = frozenset("ERROR WARN WARNING INFO DEBUG FATAL SEVERE error warn info main".split())
_OF_SENTENCES = frozenset(
    "is are was be not no must should can cannot could to of for the a an and or with in on at by from if error failed "
    "failure expected invalid unknown missing null none too already exists required unique check foreign select insert "
    "update delete into errno code status sqlstate winerror detail hint constraint".split()
)
_HAS_CODE = re.compile(r"(?<![\w-])\d{3}(?![\w-])")
_TYPES = frozenset(
    "int str list dict NoneType float bool tuple set bytes object string number integer boolean array null "
    "undefined long "
    "double decimal String Integer Long Double Boolean BigDecimal LocalDate Instant UUID utf-8 ascii".split()
)
"""Names of types in whatever language: no values that anybody would quote."""
_STRONG = frozenset(
    "field fields column columns property properties attribute attributes constraint topic topics because".split()
)
"""Behind these it is one with a digit, too."""
_NAMED_AFTER = re.compile(
    r"\s(?:field|column|property|attribute|header|parameter|param|argument|object|constraint|table|relation"
    r"|topic|tag|class"
    r"|type|method|function|module|element|operator|option|setting|bean|key)s?\b"
    r"|\s(?:is a required|is required|is not defined|is a dependency|must |should |has to |cannot be (?:null"
    r"|empty|blank|none)"
    r"|may not |was unexpected|is not allowed|is missing|was not set|not set|is null\b|because )"
    r"|\s?\(class ",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\s?(?:,|and|or|&)\s?[\"'`]")
"""Behind the first of a list, whose others come and go."""
_NAME = re.compile(r"[A-Za-z_$@][\w$.\-/ ]*")
_WITHOUT_SPACE = re.compile(r"[A-Za-z_$@][\w$.\-\[\]]*")
_CODE = re.compile(
    r"(?:[\w$<>]+\.)+[A-Z][\w$]*|<?[\w$.<>\[\]]+>?\.?[\w$<>]+\([\w$.,<>\[\] ]*\)"
    r"|(?:[a-z]\w*\.)+[A-Z]\w*(?:<[\w.<>, ?]+>)?"
)
_OPENS_A_TEXT = frozenset("details detail desc description message msg error reason cause errmsg".split())
_OF_EXCEPTION = re.compile(r"\b[A-Z]\w*\($")
_SUBSCRIPT = re.compile(r"""["']([A-Za-z_]\w*)["']""")
_ALONE = re.compile(r"[a-z_][A-Za-z_]*")
_INNER_QUOTES = re.compile(r"[`\"]")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_.$]*")
# `lines[3].price`: a name, whichever of the lines it is of.
_INDEXED = re.compile(r"[A-Za-z_][A-Za-z_.]*(?:\[\d+\][A-Za-z_.]*|\.\d+\.[A-Za-z_]+)+")
_INDEX = re.compile(r"\[\d+\]|\.\d+(?=\.)")
_OF_DATA = frozenset("value values got was found input actual received given data entry key id".split())
_LETTER = re.compile(r"[^\W\d_]")

Scan = Callable[[str], str]


def of_quotes(content: str, text: str, start: int, end: int, scan: Scan) -> str:
    """What stays of a quoted text, which is `text[start:end]` with its quotes."""
    if VALUE in content:
        return VALUE if len(content) == 1 or not _is_prose(content) else scan(content)
    if not content:
        return VALUE
    if _INDEXED.fullmatch(content):
        content = _INDEX.sub("[]", content)
    word, _ = word_before(text, start)
    if "`.`" in content or '"."' in content:
        content = _INNER_QUOTES.sub("", content)
        # Nobody quotes data part by part.
        if _IDENTIFIER.fullmatch(content):
            return f"'{content}'"
    if _is_name(content, word, text, end):
        return f"'{content}'"
    if _is_all(text, start, end) and _is_prose(content):
        return scan(content)
    if _OF_EXCEPTION.search(text, max(0, start - 40), start) or (word in _OPENS_A_TEXT and " " in content):
        return scan(content)
    # The only word of a KeyError.
    if start == 0 and end == len(text) and _ALONE.fullmatch(content):
        return f"'{content}'"
    return VALUE


def _is_all(text: str, start: int, end: int) -> bool:
    """Whether the message says nothing outside of the quotes."""
    return not _LETTER.search(text, 0, start) and not _LETTER.search(text, end)


def _is_prose(content: str) -> bool:
    return content.count(" ") >= 3


def _is_name(content: str, word: str, text: str, end: int) -> bool:
    if len(content) > 120:
        return False
    if content in _TYPES:
        return True
    if _CODE.fullmatch(content):
        return True
    has_digit = any(map(str.isdigit, content))
    if word in _NAMES and not _GOES_ON.match(text, end):
        return (not has_digit or word in _STRONG or _CODE.fullmatch(content) is not None) and (
            _WITHOUT_SPACE.fullmatch(content) is not None
        )
    if has_digit or not _WITHOUT_SPACE.fullmatch(content):
        return False
    if word == "key" and word_before(text, text.rfind("key", 0, end))[0] == "for":
        return True
    return _NAMED_AFTER.match(text, end) is not None


def of_brackets(content: str, text: str, start: int, end: int, scan: Scan) -> str:
    """What stays of `text[start:end]`, which stands in square brackets: a name, a list, a position, a text."""
    if start and (text[start - 1].isalnum() or text[start - 1] in "_)]"):
        named = _SUBSCRIPT.fullmatch(content)
        return f"[{named[1]}]" if named else VALUE if not content or content.isdigit() else scan(content)
    if VALUE in content and not _is_prose(content):
        return VALUE
    word, _ = word_before(text, start)
    if _WITHOUT_SPACE.fullmatch(content) and "," not in content and word in _NAMES:
        if word in _STRONG or not any(map(str.isdigit, content)):
            return f"[{content}]"
        return VALUE
    if not content or word in _OF_DATA or _is_list(content):
        return VALUE
    return f"[{scan(content)}]"


def _is_list(content: str) -> bool:
    """Whether it is values one after another: each of few words."""
    items = re.split(r"[,;|]", content)
    if len(items) == 1:
        words = {word.strip(".:").lower() for word in content.split()}
        return content not in _LEVELS and words.isdisjoint(_OF_SENTENCES) and not _HAS_CODE.search(content)
    return all(item.strip().count(" ") < 2 for item in items)
