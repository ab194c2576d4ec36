"""A message without what varies from one failure to the next: its template.

The same fault writes the same template whatever ids, amounts, hosts, rows and lists are in its message. What tells
faults apart stays, though it looks like a value: see `codes` and `quotes`. Every step takes time that grows with the
length of the message and no more, whatever stands in it.
"""

from __future__ import annotations

import re

from pipeline.dead_letters.causes.codes import kept_of
from pipeline.dead_letters.causes.payloads import VALUE, without_payloads
from pipeline.dead_letters.causes.quotes import BRACKETED, QUOTED, of_brackets, of_quotes
from pipeline.dead_letters.causes.remembered import Remembered
from pipeline.dead_letters.causes.repeats import once
from pipeline.dead_letters.causes.words import without_names, without_unknown_words, without_words_beyond

MESSAGE_LIMIT = 1_000
"""Only so much of a message is looked at: it bounds the work, and what follows seldom tells causes apart."""

PLACEHOLDER = "<value>"
_KNOWN = Remembered[tuple[str, bool, bool], str](1_000)
"""Templates by messages, whose digits are all the same where they made no difference: those of a burst share one."""
_KNOWN_SCANNED = Remembered[tuple[str, bool], str](1_000)
"""The same by messages whose values are found already: those of one cause are one text by then, whatever their ids."""
_DIGITS = str.maketrans("023456789", "111111111")
_DIGIT = re.compile(r"\d")

_ENCLOSED = re.compile(rf"{QUOTED}|{BRACKETED}")
_SPECIAL = re.compile(r"[\d./\\@=]")
_SPACE = re.compile(r"\s")
# A run of these is one token: a place, an id, a time, an address. One that has a digit is a value.
_LETTERS = r"A-Za-z_À-ɏͰ-ӿ"
_JOINTS = r".:~@%+\-"
_HOST = (
    r"(?:[A-Za-z0-9_\-]++\.)+(?:com|net|org|io|dev|local|internal|svc|lan|cloud|localdomain|consul|example|test|invalid"
    r"|cluster)(?::\d+)?(?![\w\-]|\.\w)"
)
_HOSTS = re.compile(rf"(?<![\w{_JOINTS}])(?P<host>{_HOST})")
_BEYOND_DOTS = re.compile(r"[\d/\\@=]")
_TOKENS = re.compile(
    rf"""
    (?<![\w{_JOINTS}]) (?:
        (?P<url>[a-zA-Z][a-zA-Z0-9+.\-]{{1,20}}://[^\s"'<>)\]}}]*)
      | (?P<path>(?<![/\\])~?(?:[A-Za-z]:)?[\w.@%+~\-]*+(?:[/\\][\w.@%+~=:$\-]++){{2,}}+[/\\]?)
      | (?P<host>{_HOST})
      | (?P<email>[\w+\-]++(?:\.[\w+\-]++)*+@[\w\-]++(?:\.[\w\-]++)++)
      | (?P<steps>[A-Za-z_]\w*+(?:\.\d+(?=\.)|\.[A-Za-z_]\w*)++(?![\w{_JOINTS}]*\d))
      | (?P<run>[{_LETTERS}{_JOINTS}]*+\d(?:[{_JOINTS}]*+[\w%])*+)
    )
  | (?P<assigned>(?<=[\w"']=)[^\s"'`,;()\[\]{{}}<>\x1a]++)
    """,
    re.VERBOSE,
)
# `data/lines/3/count`, as validators have it.
_POINTER = re.compile(r"[A-Za-z_]+(?:/\d{1,4}(?=/)|/[A-Za-z_]+)+")
_INDEX = re.compile(r"/\d+")
_STEP = re.compile(r"\.\d+")
_PLACE = re.compile(r"\A[\w.\-]++\[\d+\] offset \d+: ")
_TOLD_VALUE = re.compile(r"(?<=\bvalue: )[^\s\"'`,;()\[\]{}<>]+")
_MONTHS = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_MONTH = re.compile(r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)")
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_DATE = re.compile(
    rf"(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{{0,6}},?\s)?(?:\b\d{{1,2}}[ -]{_MONTHS}|\b{_MONTHS}\s{{1,2}}\d{{1,2}})"
    rf"(?:,?[ -](?:{_CLOCK}\s)?(?:[A-Z]{{3,4}}\s)?\d{{4}})?(?:,?\s(?:at\s)?{_CLOCK}(?:\s[AP]M)?)?"
    r"(?:\s(?:UTC|GMT|CES?T|EST|PST|[+-]\d{4}))*"
)
_ENUM_CONSTANT = re.compile(r"(?<=enum constant )([\w.$]+)\.[\w$]+")
_CURRENCIES = "EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|HUF|JPY|CNY|INR|CAD|AUD"
_UNIT = (
    rf"(?:\s?(?:UTC|GMT|CES?T|[AP]M|[ap]m|{_CURRENCIES}|[€$£¥]|ms|milliseconds?|s|secs?|seconds?|min|minutes?"
    rf"|hours?|days?"
    r"|bytes?|[kMG]i?B|%)(?!\w))?"
)
_BRACKETS = re.compile(rf"\[\s?(?:{VALUE}\s?)?\]|<{VALUE}>|\(\s?{VALUE}\s?\)|\((?:\s?[?,])++\s?\)")
_MONEY = re.compile(rf"(?:[€$£¥]\s?|\b(?:{_CURRENCIES})\s)(?={VALUE})")
_MONEYS = (*"€$£¥", *_CURRENCIES.split("|"))
_VALUES = re.compile(rf"{VALUE}{_UNIT}(?:[\s,;:/|&=.+*x<>→\-]{{0,4}}(?:(?:and|or|to)\s)?{VALUE}{_UNIT})*+")


def of_source(made: str, source: str) -> str:
    """A template without the words that the line of source which wrote its message does not hold."""
    text = without_words_beyond(made.replace(PLACEHOLDER, VALUE), source)
    return _VALUES.sub(VALUE, text).replace(VALUE, PLACEHOLDER)


def template(message: str, of_program: bool = False) -> str:
    """The first MESSAGE_LIMIT characters of a message with `<value>` where a value was.

    A place in a topic that it begins with says nothing of the cause and goes. `of_program`: the program itself has
    written it, no library.
    """
    message = message[:MESSAGE_LIMIT]
    shape = message.translate(_DIGITS)
    known = _KNOWN.get((shape, of_program, False)) or _KNOWN.get((message, of_program, True))
    if known is None:
        known = _made(message, of_program)
        # To the patterns one digit is as good as another: only where one is left does it matter which it was.
        matters = _DIGIT.search(known) is not None
        _KNOWN.keep((message if matters else shape, of_program, matters), known)
    return known


def _made(message: str, of_program: bool) -> str:
    message = _PLACE.sub("", message)
    if _MONTH.search(message):
        message = _DATE.sub(VALUE, message)
    if "enum constant " in message:
        message = _ENUM_CONSTANT.sub(rf"\1.{VALUE}", message)
    if "value: " in message:
        message = _TOLD_VALUE.sub(VALUE, message)
    scanned = _scan(without_payloads(message))
    known = _KNOWN_SCANNED.get((scanned, of_program))
    if known is None:
        known = _without_words(scanned, of_program)
        _KNOWN_SCANNED.keep((scanned, of_program), known)
    return known


def _without_words(text: str, of_program: bool) -> str:
    text = (without_unknown_words if of_program else without_names)(text)
    if any(map(text.__contains__, _MONEYS)):
        text = _MONEY.sub("", text)
    text = _VALUES.sub(VALUE, _BRACKETS.sub(VALUE, _VALUES.sub(VALUE, text)))
    return once(text).replace(VALUE, PLACEHOLDER)


def _scan(text: str) -> str:
    """What stands in quotes and brackets is looked at as a whole, the rest token by token."""
    parts: list[str] = []
    done = 0
    for enclosed in _ENCLOSED.finditer(text):
        start, end = enclosed.span()
        _scan_between(text, done, start, parts)
        of = of_brackets if text[start] == "[" else of_quotes
        parts.append(of(text[start + 1 : end - 1], text, start, end, _scan))
        done = end
    _scan_between(text, done, len(text), parts)
    return "".join(parts)


def _scan_between(text: str, start: int, end: int, parts: list[str]) -> None:
    done = start
    # Most words have nothing that a token needs, and are passed over at once.
    while special := _SPECIAL.search(text, start, end):
        begin = max(text.rfind(" ", start, special.start()) + 1, start)
        space = _SPACE.search(text, special.end(), end)
        start = space.start() if space else end
        tokens = _TOKENS if _BEYOND_DOTS.search(text, begin, start) else _HOSTS
        for token in tokens.finditer(text, begin, start):
            parts.append(text[done : token.start()])
            parts.append(_instead(token))
            done = token.end()
    parts.append(text[done:end])


def _instead(token: re.Match[str]) -> str:
    kind = token.lastgroup
    if kind == "run":
        kept = kept_of(token[0], token.string, *token.span())
        return kept if kept == token[0] else f"{kept}@{VALUE}" if kept else VALUE
    if kind == "path" and _POINTER.fullmatch(token[0]):
        return _INDEX.sub(f"/{VALUE}", token[0])
    if kind == "steps":
        return _STEP.sub(f".{VALUE}", token[0])
    if kind == "assigned" and token[0].isalpha() and token[0].isupper():
        return token[0]
    return VALUE
