"""Bare words of a message that are no words of the language of failures: names of people, places and things.

Which those are cannot be learned from the failures that came: a fingerprint must not change with what came before. So the
words that stay are a list: words.txt has what the comments and messages of standard libraries have in lower case, and
words of business and of databases.
"""

from __future__ import annotations

import re
from importlib import resources

from pipeline.dead_letters.causes.payloads import VALUE

_WORDS = frozenset(resources.files(__package__).joinpath("words.txt").read_text("utf-8").split())
_ENDINGS = ("s", "es", "d", "ed", "ing", "ly", "'s")

_UPPER, _LOWER = r"A-ZÀ-ÖØ-Þ", r"a-zß-öø-ɏ"
_CAPITALIZED = rf"[{_UPPER}](?:[{_LOWER}]+|(?=['’]))(?:['’\-][{_UPPER}]?[{_LOWER}]+)*+"
_BEFORE, _AFTER = r"(?<![\w.$'\"\-/@<(\[\\])", r"(?![\w$(@\[\\]|\.\w|[:='\"]\w)"
_NAMES = re.compile(rf"{_BEFORE}{_CAPITALIZED}(?:[ /]{_CAPITALIZED})*+{_AFTER}")
_WORD = re.compile(rf"{_BEFORE}[^\W\d_]{{2,}}(?:['’/\-][^\W\d_]+)*+{_AFTER}")
_PARTS = re.compile(r"[^\W\d_]+")
_JOINED = re.compile(r"[ /]")
_GOES_ON = re.compile(rf"[\w,;{VALUE}] \Z")
_ERROR_NUMBER = re.compile(r"E[A-Z]{4,}")


def without_names(text: str) -> str:
    """The text with VALUE in place of capitalized words that are no words of ours.

    Of several one after another, or of one that does not begin a sentence.
    """
    return _NAMES.sub(_unless_no_name, text) if _has_unknown(text) else text


def without_unknown_words(text: str) -> str:
    """The text with VALUE in place of every word that is none of ours.

    For messages that the program itself has put together: those of libraries have words of their own.
    """
    return _WORD.sub(_unless_known, _NAMES.sub(_unless_no_name, text)) if _has_unknown(text) else text


def _has_unknown(text: str) -> bool:
    """Most messages have none, which this finds out at a fifth of the cost of looking at each word in its place."""
    return any(map(_is_unknown, {*_PARTS.findall(text.lower())} - _WORDS))


def _unless_no_name(found: re.Match[str]) -> str:
    words = _JOINED.split(found[0])
    kept = 0
    # `Customer Ilmaren`: the first says who that is.
    while kept < len(words) and words[kept].lower() in _WORDS:
        kept += 1
    name = words[kept:]
    if not any(map(_is_unknown, name)):
        return found[0]
    if len(name) == 1 and kept == 0 and not _GOES_ON.search(found.string, max(0, found.start() - 2), found.start()):
        return found[0]
    return " ".join([*words[:kept], VALUE])


def _unless_known(found: re.Match[str]) -> str:
    word = found[0]
    return VALUE if all(map(_is_unknown, _PARTS.findall(word))) and not _is_code(word) else word


def _is_code(word: str) -> bool:
    return _ERROR_NUMBER.fullmatch(word) is not None or not (
        word.isupper() or word[1:].replace("'", "").islower() or not word.isalpha()
    )


def _is_unknown(word: str) -> bool:
    lower = word.lower()
    return lower not in _WORDS and not any(
        lower.endswith(ending) and lower[: -len(ending)] in _WORDS for ending in _ENDINGS
    )
