#!/bin/sh
# Library: msgspec 0.22.0 (Python).
# Guess: "Input data was truncated" says that bytes are missing, as when a message was cut; so a reader of
#   a stream may wait for the rest of it.
# Behaviour: a whole JSON text with half of a surrogate pair, as JSON.stringify of JavaScript writes it, is
#   called truncated when fewer than six bytes come after the escape, and malformed when more do. json reads both.
#   The field need not be one that is decoded.
# Seen in November 2026:
#   {"a":"\ud800"} -> Input data was truncated
#   {"a":"\ud800","b":"x"} -> JSON is malformed: unexpected end of escaped utf-16 surrogate pair (byte 12)
#   {"b":"x","z":"\ud800"} -> Input data was truncated
#   json reads all three
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check msgspec==0.22.0
timeout 60 "$tmp/v/bin/python" - <<'PY'
import json, sys
import msgspec

class Order(msgspec.Struct):
    a: str = ""
    b: str = ""

def decode(text):
    try:
        return repr(msgspec.json.decode(text, type=Order))
    except msgspec.DecodeError as error:
        return str(error)

texts = [r'{"a":"\ud800"}', r'{"a":"\ud800","b":"x"}', r'{"b":"x","z":"\ud800"}']
seen = [f"{text} -> {decode(text)}" for text in texts]
print("\n".join(seen))
print("json reads all three" if all(json.loads(text) for text in texts) else "")
if [line.partition(" -> ")[2] for line in seen] != [
    "Input data was truncated",
    "JSON is malformed: unexpected end of escaped utf-16 surrogate pair (byte 12)",
    "Input data was truncated",
]:
    sys.exit("CHANGED: msgspec says something else of half a surrogate pair now")
PY
