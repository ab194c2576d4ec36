#!/bin/sh
# Library: msgspec 0.22.0 (Python).
# Guess: a field typed Decimal takes JSON numbers, and of JSON strings those that look like one; and
#   `Decimal | float` gives the Decimal, which is exact.
# Behaviour: any string that Python's Decimal() takes is let in: not-a-number, infinity, underscores
#   and spaces. In `Decimal | float` a JSON number always becomes the float.
# Seen in November 2026:
#   Decimal: "NaN" -> Decimal('NaN'), "Infinity" -> Decimal('Infinity'), "1_000" -> Decimal('1000'), " 1.5" -> Decimal('1.5')
#   Decimal: 90071992547409.93 -> Decimal('90071992547409.93')
#   Decimal | float: 90071992547409.93 -> 90071992547409.94
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check msgspec==0.22.0
timeout 60 "$tmp/v/bin/python" - <<'PY'
import sys
from decimal import Decimal
import msgspec

def decode(text, wanted):
    try:
        return repr(msgspec.json.decode(text, type=wanted))
    except msgspec.ValidationError as error:
        return f"refused: {error}"

texts = [f"{text} -> {decode(text, Decimal)}" for text in ('"NaN"', '"Infinity"', '"1_000"', '" 1.5"')]
number = "90071992547409.93"
seen = [
    "Decimal: " + ", ".join(texts),
    f"Decimal: {number} -> {decode(number, Decimal)}",
    f"Decimal | float: {number} -> {decode(number, Decimal | float)}",
]
print("\n".join(seen))
if seen != [
    """Decimal: "NaN" -> Decimal('NaN'), "Infinity" -> Decimal('Infinity'), "1_000" -> Decimal('1000'), " 1.5" -> Decimal('1.5')""",
    "Decimal: 90071992547409.93 -> Decimal('90071992547409.93')",
    "Decimal | float: 90071992547409.93 -> 90071992547409.94",
]:
    sys.exit("CHANGED: msgspec reads a Decimal in another way now")
PY
