#!/bin/sh
# Library: msgspec 0.22.0 (Python).
# Guess: what decodes without an error is JSON, so it is UTF-8: msgspec checks numbers and escapes also in fields
#   that the Struct does not have.
# Behaviour: bytes that are no UTF-8 are noticed only in texts that are made. A field that the Struct does not have,
#   and whatever is decoded to Raw, may hold any. The same document is refused where somebody decodes all of it.
# Seen in November 2026:
#   note is not decoded -> Order(id='7')
#   note is Raw         -> b'"\xff"'
#   note is decoded     -> 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte
#   an escape that is none, not decoded -> JSON is malformed: invalid escaped character (byte 19)
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check msgspec==0.22.0
timeout 60 "$tmp/v/bin/python" - <<'PY'
import sys
import msgspec

class Order(msgspec.Struct):
    id: str

class OrderWithRaw(Order):
    note: msgspec.Raw

class OrderWithNote(Order):
    note: str

def decode(text, wanted):
    try:
        return msgspec.json.decode(text, type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return error

bad = b'{"id":"7","note":"\xff"}'
no_escape = bad.replace(b"\xff", b"\\x")
raw = decode(bad, OrderWithRaw)
seen = [
    f"note is not decoded -> {decode(bad, Order)}",
    f"note is Raw         -> {bytes(raw.note) if isinstance(raw, OrderWithRaw) else raw}",
    f"note is decoded     -> {decode(bad, OrderWithNote)}",
    f"an escape that is none, not decoded -> {decode(no_escape, Order)}",
]
print("\n".join(seen))
if not seen[0].endswith("Order(id='7')") or not isinstance(raw, OrderWithRaw) or "can't decode" not in seen[2]:
    sys.exit("CHANGED: msgspec looks at the bytes of texts that it skips now")
PY
