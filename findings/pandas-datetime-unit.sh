#!/bin/sh
# Library: pandas 3.1.1, with pyarrow 26.0.1.
# Guess: astype("int64") of a column of datetimes counts nanoseconds, as Timestamp.value does.
# Behaviour: it counts the column's own unit: microseconds, milliseconds or nanoseconds, depending on
#   where the column came from. Timestamp.value of the same cell is always nanoseconds. So
#   `astype("int64") // 10**9` gives a wrong time without an error.
# Seen in November 2026 (the same instant, 1795773600 seconds, four times):
#   to_datetime of a text: datetime64[us, UTC] 1795773600000000, its Timestamp.value 1795773600000000000
#   to_datetime of a text with nanoseconds: datetime64[ns, UTC] 1795773600000000000, its Timestamp.value 1795773600000000000
#   to_datetime of seconds: datetime64[us, UTC] 1795773600000000, its Timestamp.value 1795773600000000000
#   Arrow column of milliseconds: datetime64[ms, UTC] 1795773600000, its Timestamp.value 1795773600000000000
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check pandas==3.1.1 pyarrow==26.0.1
timeout 60 "$tmp/v/bin/python" - <<'PY'
import sys
import pandas, pyarrow

seconds = 1795773600  # 2026-11-27T10:00:00Z
columns = {
    "to_datetime of a text": pandas.to_datetime(pandas.Series(["2026-11-27T10:00:00Z"])),
    "to_datetime of a text with nanoseconds": pandas.to_datetime(pandas.Series(["2026-11-27T10:00:00.000000000Z"])),
    "to_datetime of seconds": pandas.to_datetime(pandas.Series([seconds]), unit="s", utc=True),
    "Arrow column of milliseconds": pyarrow.array([seconds * 1000], pyarrow.timestamp("ms", tz="UTC")).to_pandas(),
}
seen = []
for name, column in columns.items():
    number = int(column.astype("int64")[0])
    print(f"{name}: {column.dtype} {number}, its Timestamp.value {column[0].value}")
    seen.append((str(column.dtype)[11:13], number // seconds, column[0].value // seconds))
if seen != [("us", 10**6, 10**9), ("ns", 10**9, 10**9), ("us", 10**6, 10**9), ("ms", 10**3, 10**9)]:
    sys.exit("CHANGED: the units of the columns are no longer as described")
PY
