#!/bin/sh
# Libraries: vl-convert-python 1.9.0.post1, with altair 6.3.0 and pandas 3.1.1.
# Guess: a column whose times are all marked UTC is drawn in UTC, on whatever server it is drawn.
# Behaviour: the axis shows the zone of the process that draws. The same chart of 10:00Z to 12:00Z has
#   other hours on a server in Tokyo. Times without a zone are drawn as they are everywhere.
# Seen in November 2026:
#   TZ=UTC with zone ['10:00', '11:00', '12:00'] without zone ['10:00', '11:00', '12:00']
#   TZ=Asia/Tokyo with zone ['19:00', '20:00', '21:00'] without zone ['10:00', '11:00', '12:00']
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check vl-convert-python==1.9.0.post1 altair==6.3.0 pandas==3.1.1
cat >"$tmp/f.py" <<'PY'
import os, re
import altair, pandas, vl_convert

def hours(times):
    axis = altair.X("t:T", axis=altair.Axis(format="%H:%M", tickCount=2))
    chart = altair.Chart(pandas.DataFrame({"t": times, "y": [1, 2]})).mark_point().encode(x=axis, y="y:Q")
    return re.findall(r">(\d\d:\d\d)<", vl_convert.vegalite_to_svg(chart.to_dict()))

times = pandas.to_datetime(pandas.Series(["2026-11-27T10:00:00Z", "2026-11-27T12:00:00Z"]))
print("TZ=" + os.environ["TZ"], "with zone", hours(times), "without zone", hours(times.dt.tz_localize(None)))
PY
for zone in UTC Asia/Tokyo; do
  TZ=$zone timeout 60 "$tmp/v/bin/python" "$tmp/f.py" | tee -a "$tmp/seen"
done
[ "$(cat "$tmp/seen")" = "TZ=UTC with zone ['10:00', '11:00', '12:00'] without zone ['10:00', '11:00', '12:00']
TZ=Asia/Tokyo with zone ['19:00', '20:00', '21:00'] without zone ['10:00', '11:00', '12:00']" ] ||
  { echo "CHANGED: times with a zone are drawn in another way now" >&2; exit 1; }
