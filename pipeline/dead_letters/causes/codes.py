"""Tokens with a digit that tell causes apart: statuses, SQLSTATEs, codes of vendors, names, and words of the trade.

No pattern tells one digit from another: what is remembered of a message holds for the same one with other digits.
"""

from __future__ import annotations

import re

_LOOK_BACK = 48
_BETWEEN = " \t=:\"'([`{<#>→"
"""What may stand between a word and the token that it speaks of."""
_WORD_BACKWARDS = re.compile(r"[\w/.-]+")

_NAMED = frozenset(
    "field fields column columns property properties attribute attributes topic topics constraint".split()
)
_STATUS_WORDS = frozenset(
    "response http https status statuscode status_code httpstatus http_status responsecode".split()
)
_ANSWERED = frozenset("answered responded replied".split())
_ANSWERS = frozenset("returned says said got received with gave sent was".split())
_OF_HTTP = re.compile(
    r"\b(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|HTTP|http|https|[Rr]equest|[Rr]esponse|endpoint|URL|url)\b"
)
_STATUS_CODES = frozenset("status response http".split())
_CODE_WORDS = frozenset(
    "sqlcode errorcode error_code errcode errno errornumber hresult winerror sqlerror vendorcode exitcode resultcode "
    "returncode reasoncode sqlstate".split()
)
_CODES = frozenset("error err exit result return reason sql vendor grpc".split())
_BEFORE_NUMBERS = frozenset("error errno".split())

_STATUS = re.compile(r"\d{3}")
_SQLSTATE = re.compile(r"[A-Z\d]{5}")
_CODE = re.compile(r"[-+]?(?:\d{1,6}|\d[xX][\da-fA-F]{1,8})")
_REASON_PHRASE = re.compile(
    r":?\s(?:(?:client|server)\s)?(?:error\b|bad (?:request|gateway)|unauthori|payment req|forbidden|not found"
    r"|method not"
    r"|not acc|request (?:time|entity)|conflict|gone\b|precond|payload too|uri too|unsupp|unproc|locked"
    r"|too (?:many|early)"
    r"|internal|not impl|service (?:un|temp)|gateway time|url:)",
    re.IGNORECASE,
)
# Codes of vendors, and words of the trade.
_KEPT = re.compile(
    r"(?:ORA|PLS|TNS|DPY|DPI|SQL|AADSTS|HHH|WFLY[A-Z]{0,8}|AMQ|MSB|CCS|MQRC|SQLCODE)-?\d{4,6}|E\d{5}|S\d{4}"
    r"|(?i:(?:sha|md|utf|utf8mb|u?int|float|decimal|base|ipv|oauth|log\dj|iso|latin|rfc|tlsv?|sslv?|varchar"
    r"|bit)-?\d{1,4}"
    r"|x\.?\d{3}|iso-\d{4}-\d{1,2})"
)
_KEPT_LENGTH = 24
_CLASS = re.compile(r"(?:[a-z_]\w*\.)+[A-Z]\w*(?:\$[A-Za-z]\w*)*")
_SAID_NOWHERE_WITHOUT = ("SQL", "sqlS", "errno", " code", "ORA-")
"""One of these is in each of the next: most texts have none, which takes fewer looks to see."""
_SAID_BY = ("SQL state [", "SQLSTATE", "sqlState: ", "SQLState: ", "errno: ", "rror code", "tatus code", "ORA-")
_NEAR = 200
_SAID = re.compile(
    r"""(?i:sql ?state)['"]?\W{1,4}(?=\w{0,4}\d)[A-Z\d]{5}\b|(?:[Ee]rror code\W{1,3}|errno: )-?\d{2,6}\b"""
    r"""|[Ss]tatus code\W{1,3}\d{3}\b|\bORA-\d{5}|\bcode: '(?=\w{0,4}\d)[A-Z\d]{5}'"""
)
_STATUS_FIRST = re.compile(r"\d{3}(?: ?:| null|\s*\Z)")
_VENDOR_FIRST = re.compile(r"\(?\d{4,5}(?:, [\"']| \(\w{5}\):)")
"""As clients of MySQL tell it."""
_ENDS_A_CODE = re.compile(r"[^\s\w]| \(|\Z")
_INDEX_OF_MONGO = re.compile(r"[A-Za-z.]+(?:_-?\d(?:_[A-Za-z.]+)?)+")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


def word_before(text: str, index: int) -> tuple[str, int]:
    """The word that stands right before an index, but for punctuation, in lower case; and where it begins.

    An empty one where there is none.
    """
    begin = max(0, index - _LOOK_BACK)
    behind = text[begin:index].rstrip(_BETWEEN)
    found = _WORD_BACKWARDS.match(behind[::-1])
    if found is None:
        return "", index
    word = found[0][::-1]
    return word.lower(), begin + len(behind) - len(word)


def kept_of(token: str, text: str, start: int, end: int) -> str:
    """What of a token with a digit stays: all of it, the class of a hashed object, or nothing."""
    if not token.isdigit():
        if len(token) <= _KEPT_LENGTH and _KEPT.fullmatch(token):
            return token
        of_class = _CLASS.match(token) if "." in token else None
        if of_class is not None:
            return of_class[0]
    word, word_start = word_before(text, start)
    if not word:
        if start == 0 and _STATUS_FIRST.match(text):
            return token
        if _VENDOR_FIRST.match(text, max(0, start - 1)) and start < 2:
            return token
        return token if _STATUS.fullmatch(token) and _REASON_PHRASE.match(text, end) else ""
    return token if _is_kept(token, word, text, word_start, end) else ""


def codes_in(text: str) -> str:
    """The SQLSTATEs, statuses and codes of vendors that a message or a stack trace names beside the innermost cause.

    In the message of a wrapper, or as properties of the error behind the frames.
    """
    for each in _SAID_NOWHERE_WITHOUT:
        if each in text:
            break
    else:
        return ""
    for name in _SAID_BY:
        at = text.find(name)
        if at >= 0:
            return " ".join(dict.fromkeys(_SAID.findall(text, max(0, at - _NEAR), at + _NEAR)))
    return ""


def _is_kept(token: str, word: str, text: str, word_start: int, end: int) -> bool:
    if word in _NAMED:
        return _NAME.fullmatch(token) is not None
    if word == "index" and _INDEX_OF_MONGO.fullmatch(token):
        return True
    if _STATUS.fullmatch(token):
        if word in _STATUS_WORDS or word.startswith("http/") or _REASON_PHRASE.match(text, end):
            return True
        if word in _ANSWERED or (
            (word in _ANSWERS or "/" in word) and _OF_HTTP.search(text, 0, word_start + len(word))
        ):
            return True
        if word in ("code", "status") and word_before(text, word_start)[0] in _STATUS_CODES:
            return True
    if word == "sqlstate" and _SQLSTATE.fullmatch(token):
        return True
    if not _CODE.fullmatch(token):
        return False
    if word in _CODE_WORDS or (word in _BEFORE_NUMBERS and _ENDS_A_CODE.match(text, end)):
        return True
    before = word_before(text, word_start)[0]
    if word == "code":
        return (
            before in _CODES
            or text[end - len(token) - 1] in "=:"
            or text[end - len(token) - 2 : end - len(token)] == ": "
        )
    return word in ("number", "status") and before in _CODES
