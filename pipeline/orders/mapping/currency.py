"""How many digits behind the point a currency has, and its code."""

from __future__ import annotations

from pipeline.records import Currency

DEFAULT_DIGITS = 2
MAXIMUM_DIGITS = 4
# ISO 4217, list one of January 2026: the active currencies whose minor unit is not a hundredth.
_DIGITS = (
    dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
    | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
    | dict.fromkeys("CLF UYW".split(), 4)
)


def digits_of(code: str) -> int:
    """How many digits after the point the minor units of a currency have; two where the code says nothing else."""
    return _DIGITS.get(code, DEFAULT_DIGITS)


def is_code(found: object, code: str) -> bool:
    """Whether what a record says is this currency's code. ISO's are of capitals; some writers send small letters."""
    return found == code or (isinstance(found, str) and found.isascii() and found.upper() == code)


DEFAULT_CURRENCY = Currency()
"""What amounts are in where nobody says it: some currency of two digits."""
