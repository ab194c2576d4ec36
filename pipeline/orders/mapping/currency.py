"""Currencies: how many digits of one are minor units, and how an amount is shown."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

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


@dataclass(frozen=True, slots=True)
class Currency:
    """What amounts are in. `code` is empty where nobody said; `symbol` stands before an amount."""

    code: str = ""
    digits: int = DEFAULT_DIGITS
    symbol: str = ""

    def text(self, minor_units: int) -> str:
        """An amount as text without a symbol: 1999 is "19.99", with no digits "1999"."""
        whole, rest = divmod(abs(minor_units), 10**self.digits)
        sign = "-" if minor_units < 0 else ""
        return f"{sign}{whole}.{rest:0{self.digits}}" if self.digits else f"{sign}{whole}"

    def minor_units(self, amount: Decimal) -> Decimal:
        """An amount in minor units, exactly: with digits after the point where it is finer than the currency."""
        return amount.scaleb(self.digits)


DEFAULT_CURRENCY = Currency()
"""What amounts are in where nobody says it: some currency of two digits."""
