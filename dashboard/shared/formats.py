"""Figures as people read them. Money is minor units of the currency until here, cents in most."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

from pipeline.records import Currency

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_MADE_OF_TEXT = re.compile(r"(?<=.)(?=[:@])|(?<=[<>~=-])(?=[<>~=-])|(?<=ww)(?=w\.)", re.IGNORECASE)
_SPACE = re.compile(r"\s")
_NOTHING = ":color[]"
LINE_LETTERS = 2_000
"""What a line of a page shows of a text."""


def money(minor_units: float | None, currency: Currency) -> str:
    """Whole units with the currency's symbol and digits, and thousands apart; a dash for none."""
    if minor_units is None:
        return "–"
    amount = currency.apart(abs(minor_units))
    return f"{'-' if minor_units < 0 else ''}{currency.symbol}{amount}"


def big_money(minor_units: float | None, currency: Currency) -> str:
    """Money on a card: no decimals from a million up, millions from a billion up."""
    unit = 10**currency.digits
    if minor_units is None or abs(minor_units) < unit * 10**6:
        return money(minor_units, currency)
    units = abs(minor_units) / unit
    amount = f"{units:,.0f}" if units < 10**9 else f"{units / 10**6:,.0f}M"
    return f"{'-' if minor_units < 0 else ''}{currency.symbol}{amount}"


def number(value: int) -> str:
    """Thousands apart."""
    return f"{value:,}"


def share(part: int, whole: int) -> str:
    """A share in per cent; a dash of nothing."""
    return f"{part / whole:.1%}" if whole else "–"


def progress(settled: int, total: int) -> float:
    """How far a bar has come, from 0 to 1."""
    return min(1.0, settled / total) if total else 0.0


def per_second(rate: float) -> str:
    """Records a second."""
    return f"{rate:,.1f}/s" if rate < 1000 else f"{rate:,.0f}/s"


def moment(at_ms: int | None, zone: tzinfo) -> str:
    """Date and time to the millisecond in a zone; a dash for none."""
    if at_ms is None:
        return "–"
    return datetime.fromtimestamp(at_ms / 1000, zone).isoformat(sep=" ", timespec="milliseconds")[:23]


def ago(at_ms: int, now_ms: int) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0, now_ms - at_ms) / 1000
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def size(count_bytes: int) -> str:
    """Bytes in the unit that fits."""
    amount = float(count_bytes)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} GB"


def beginning(text: str, letters: int) -> str:
    """A text that may be of any length for a part of a page that has room for so many letters of it."""
    return text if len(text) <= letters else f"{text[:letters]}… ({number(len(text))} letters)"


def plain(text: str) -> str:
    """Text of outside origin for Markdown: shown as it stands, whatever it holds, as one line, of a long one the
    beginning.

    All punctuation is escaped. That does not help where Streamlit looks for something in the text that is left when
    Markdown was read: addresses, e-mail addresses, arrows, `:icon:` names. An empty piece of Markdown between their
    letters keeps these apart, and is not seen.
    """
    pieces = _MADE_OF_TEXT.split(_SPACE.sub(" ", beginning(text, LINE_LETTERS)).strip())
    return _NOTHING.join(_PUNCTUATION.sub(r"\\\1", piece) for piece in pieces)


def position_text(topic: str | None, partition: int | None, offset: int | None) -> str | None:
    """Where a record was sent to; None when it was not."""
    return None if offset is None else f"{topic}[{partition}] offset {offset}"
