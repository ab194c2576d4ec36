"""Places in a message where only a name or a value stands: `unknown status NAME`, `customer NAME is blocked`.

What stands there goes, though it may be a word like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from functools import cache

from pipeline.dead_letters.causes.payloads import VALUE

_KINDS = (
    "currency country status state type kind category channel carrier region language unit mode event command action "
    "user customer product item sku account tenant store warehouse shop city zone level priority color colour size "
    "supplier vendor buyer seller merchant partner plan voucher coupon queue bucket room hotel driver patient employee"
).split()
"""Of what there are several, each with a name."""
_KIND_WORDS = frozenset(_KINDS)
_COMPLAINT_WORDS = frozenset(
    "unknown unsupported invalid unexpected illegal unrecognized unrecognised no bad malformed wrong "
    "unparseable not".split()
)
_CONVERSION_WORDS = frozenset(
    "convert parse parsing decode decoding read reading cast casting coerce interpret".split()
)
_CHARACTER_WORDS = frozenset("character char letter".split())
_PLACE_WORDS = frozenset("in by from".split())

# Each begins with letters of its own, so that most of a message is passed over at once.
_COMPLAINT = (
    "(?:[Uu]nknown|[Uu]nsupported|[Ii]nvalid|[Uu]nexpected|[Ii]llegal|[Uu]nrecogni[sz]ed|[Nn]o|[Nn]o such|[Bb]ad"
    "|[Mm]alformed|[Ww]rong|[Uu]nparseable|[Nn]ot a valid)"
)
_COMPLAINT_AT = re.compile(
    "unknown|Unknown|unsupp|Unsupp|invalid|Invalid|unexp|Unexp|illegal|Illegal|unrec|Unrec|no|No|bad|Bad|malf|Malf|wrong"
    "|Wrong|unpars|Unpars"
)
"""Where one may begin; plain alternatives are found ten times as fast."""
_WORD = r"[^\W\d_][\w\-]*"
_UNKNOWN_KIND = re.compile(
    rf"({_COMPLAINT}\s(?:\w+\s)?(?:{'|'.join(_KINDS)})):?\s({_WORD})"
    r"(?=[.,;]?(?:\Z|\n|[,;]\s)|\s(?:in|for|of|at|on)\s)"
)
_TOLD = re.compile(
    rf"({_COMPLAINT}\s(?:[\w\-]+\s)?(?:string|address|value|format|name|code|id|ID|locale|zone|date|time|number|uuid"
    rf"|UUID|key|token|url|URL|email|literal|identifier|amount|input|symbol|{'|'.join(_KINDS)})):"
    rf"\s((?:[\w\-{VALUE}]+\s?){{1,3}})(?=\Z|\n)"
)
_CONVERTED = re.compile(
    rf"((?:convert|parse|parsing|decode|decoding|read|cast|coerce|interpret)(?:ing)?)\s(?:[a-z]+\s){{1,2}}?{VALUE}"
)
_CHARACTER = re.compile(r"([Cc]haracter|[Cc]har|[Ll]etter)\s\w(?!\w)")
# Where somebody lives or who has done it; no product that one connects to, and no class.
_PLACE = re.compile(
    r"( (?:in|by|from) )(?!Kafka|Redis|Postgres|MySQL|Maria|Mongo|Oracle|Elastic|Java|Python|Enum|Array|Object|String"
    r"|Go\b)[A-ZÀ-ÖØ-Þ][a-zß-öø-ɏ]+(?![\w$(@\[\\]|\.\w|[:='\"]\w)"
)
_ATTRIBUTES = frozenset(
    "name names id ids number code type kind status state total amount date time address email phone field value "
    "values list price quantity key keys line lines record request data message count limit balance rate reference "
    "version format size that which it this he and or is was has not cannot does must should may can with without for "
    "of in on to from by service server client group row table info details header payload currency country product "
    "order item account entry change transition error mismatch conflict".split()
)
"""What a thing has: no name of one."""
_EXPLANATIONS = frozenset(
    "eof missing expected unexpected failed error timeout refused denied syntax range overflow empty required closed "
    "not no must should cannot only too already exists unknown invalid unsupported illegal bad wrong null none".split()
)
_PARTS = re.compile(r"[^\W\d_]+")


def without_named(text: str, held: Set[str]) -> str:
    """The text with VALUE in place of names that stand where only a name does; `held` are its words in small letters.

    Looking whether a pattern's word is there at all takes a hundredth of the time of looking for the pattern.
    """
    complains = not _COMPLAINT_WORDS.isdisjoint(held)
    kinds = _KIND_WORDS & held
    if kinds and complains:
        text = _behind_complaints(_UNKNOWN_KIND, _unless_attribute, text)
    for kind in sorted(kinds):
        text = _of_kind(kind).sub(_unless_attribute, text)
    if not _CONVERSION_WORDS.isdisjoint(held):
        text = _CONVERTED.sub(rf"\1 {VALUE}", text)
    if not _CHARACTER_WORDS.isdisjoint(held):
        text = _CHARACTER.sub(rf"\1 {VALUE}", text)
    if complains and ": " in text:
        text = _behind_complaints(_TOLD, _unless_explained, text)
    if not _PLACE_WORDS.isdisjoint(held):
        text = _PLACE.sub(rf"\1{VALUE}", text)
    return text


def _behind_complaints(pattern: re.Pattern[str], instead: Callable[[re.Match[str]], str], text: str) -> str:
    """The text with `instead` of what the pattern finds, which begins with a complaint: only there is it looked for."""
    parts: list[str] = []
    done = 0
    for complaint in _COMPLAINT_AT.finditer(text):
        found = pattern.match(text, complaint.start())
        if found is not None and found.start() >= done:
            parts += [text[done : found.start()], instead(found)]
            done = found.end()
    return "".join([*parts, text[done:]]) if parts else text


@cache
def _of_kind(kind: str) -> re.Pattern[str]:
    verbs = "is|was|has|does|did|do|cannot|can't|isn't|doesn't|hasn't|not"
    return re.compile(rf"([{kind[0]}{kind[0].upper()}]{kind[1:]})\s({_WORD})(?=\s(?:{verbs})\s)")


def _unless_attribute(found: re.Match[str]) -> str:
    return found[0] if found[2].lower() in _ATTRIBUTES else f"{found[1]} {VALUE}"


def _unless_explained(found: re.Match[str]) -> str:
    """Behind the colon stands what is wrong, or why it is."""
    explains = not _EXPLANATIONS.isdisjoint(_PARTS.findall(found[2].lower()))
    return found[0] if explains else f"{found[1]}: {VALUE}"
