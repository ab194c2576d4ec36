"""Texts as they are compared: in any script and case, composed or not."""

from __future__ import annotations

from unicodedata import normalize, unidata_version

FOLDING = f"1 by Unicode {unidata_version}"
"""Which rule folds. Texts that were folded by another one are folded again before they are compared."""


def folded(text: str) -> str:
    """The text without what case and composition tell. A text that holds another does so folded too, letter by letter.

    Unicode's canonical caseless matching (The Unicode Standard, D145).
    """
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFD", text).casefold())
