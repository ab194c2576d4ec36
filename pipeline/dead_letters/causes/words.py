"""Bare words of a message that are no words of the language of failures: names of people, places and things.

Which those are cannot be learned from the failures that came: a fingerprint must not change with what came before. So
the words that stay are a list: words.txt has what the comments and messages of the standard libraries of Go and Python
have in lower case often enough, and words of business and of databases; not what things look and taste like.
"""

from __future__ import annotations

import re
from importlib import resources

from pipeline.dead_letters.causes.naming import without_named
from pipeline.dead_letters.causes.payloads import VALUE

_WORDS = frozenset(resources.files(__package__).joinpath("words.txt").read_text("utf-8").split())
_ENDINGS = ("s", "es", "d", "ed", "ing", "ly", "'s", "able", "er", "ment")
_BEGINNINGS = ("un", "non", "re", "mis", "over")

_UPPER, _LOWER = r"A-ZÀ-ÖØ-Þ", r"a-zß-öø-ɏ"
_CAPITALIZED = rf"[{_UPPER}](?:[{_LOWER}]+|(?=['’]))(?:['’\-][{_UPPER}]?[{_LOWER}]+)*+"
_BEFORE, _AFTER = r"(?<![\w.$'\"\-/@<(\[\\])", r"(?![\w$(@\[\\]|\.\w|[:='\"]\w)"
_NAMES = re.compile(rf"{_BEFORE}{_CAPITALIZED}(?:[ /]{_CAPITALIZED})*+{_AFTER}")
_WORD = re.compile(rf"{_BEFORE}[^\W\d_]{{2,}}(?:['’/\-][^\W\d_]+)*+{_AFTER}")
_CAPITALS = re.compile(rf"{_BEFORE}(?:[{_UPPER}]{{2,}}|[{_UPPER}](?=['’]))(?:['’\-][{_UPPER}]+)*+(?!:){_AFTER}")
_ACRONYMS = frozenset(
    "HTTP HTTPS JSON XML YAML CSV SQL NULL URL URI ID UUID API UTC EOF NOT AND OR IN IS TO SKU VAT IBAN BIC ISO "
    "GET POST PUT "
    "PATCH DELETE HEAD TCP UDP TLS SSL DNS IP JDBC ORM AWS GCP DLQ OK ERROR WARN INFO FATAL SELECT INSERT "
    "UPDATE INTO FROM "
    "WHERE VALUES RAISE TRUE FALSE NaN OOM READONLY NOAUTH WRONGTYPE EAN PDF ASCII UTF CPU RAM IO VM JVM OS UI".split()
)
_PARTS = re.compile(r"[^\W\d_]+")
_JOINED = re.compile(r"[ /]")
_GOES_ON = re.compile(rf"[\w,;{VALUE}] \Z")
_ERROR_NUMBERS = frozenset(
    "ECONNREFUSED ECONNRESET ECONNABORTED ETIMEDOUT ESOCKETTIMEDOUT ENOTFOUND EPIPE ENOENT EACCES EEXIST EPERM "
    "EHOSTUNREACH "
    "ENETUNREACH EADDRINUSE EADDRNOTAVAIL EMFILE ENFILE ENOSPC EISDIR ENOTDIR ENOTEMPTY EBUSY EAGAIN EINVAL "
    "EROFS EXDEV ENOMEM "
    "EPROTO EBADF ECANCELED ENOTCONN ENOTSUP".split()
)


def without_names(text: str) -> str:
    """The text with VALUE in place of what stands where only a name does, and of capitalized words none of ours.

    Those of several one after another, or of one that does not begin a sentence.
    """
    held = {*_PARTS.findall(text.lower())}
    text = without_named(text, held)
    return _NAMES.sub(_unless_no_name, text) if any(map(_is_unknown, held - _WORDS)) else text


def without_unknown_words(text: str) -> str:
    """The text with VALUE in place of every word that is none of ours.

    For messages that the program itself has put together: those of libraries have words of their own.
    """
    text = without_names(text)
    if not text.isupper():
        text = _CAPITALS.sub(_unless_acronym, text)
    unknown = any(map(_is_unknown, {*_PARTS.findall(text.lower())} - _WORDS))
    return _WORD.sub(_unless_known, text) if unknown else text


def without_words_beyond(text: str, source: str) -> str:
    """The text with VALUE in place of every word that the line of source which wrote it does not hold."""
    held = set(_PARTS.findall(source.lower()))
    return _WORD.sub(lambda word: word[0] if held & {*_PARTS.findall(word[0].lower())} else VALUE, text)


def _unless_acronym(found: re.Match[str]) -> str:
    """A constant, such as a state or an article: else only what is short for something is in capitals in a sentence."""
    return found[0] if found[0] in _ACRONYMS or found[0] in _ERROR_NUMBERS else VALUE


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
    """Whether it is a name in a program: `unitPrice`, or the number of a system's error."""
    plain = word[1:].replace("'", "").replace("’", "")
    return word in _ERROR_NUMBERS or (word.isalpha() and not word.isupper() and not plain.islower())


def _is_unknown(word: str) -> bool:
    lower = word.lower()
    if lower in _WORDS:
        return False
    stems = [lower, *(lower[len(each) :] for each in _BEGINNINGS if lower.startswith(each))]
    return not any(
        stem in _WORDS or any(stem.endswith(ending) and stem[: -len(ending)] in _WORDS for ending in _ENDINGS)
        for stem in stems
    )
