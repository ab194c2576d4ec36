#!/bin/sh
# Library: apprise 2.3.0 (Python).
# Guess: notify() returns True or False (and None where no service was there to be told).
# Behaviour: it returns an object of its own. `is True`, `== True` and `is False` never hold, so such
#   a check takes every delivered alert for a failed one. Only its truth value works. json.dumps
#   refuses it. Where no service was there to be told, it is not None either.
# Seen in November 2026:
#   delivered: AppriseResult, bool True, == True False, == False False, is None False
#   refused: AppriseResult, bool False, == True False, == False False, is None False
#   no service: AppriseResult, bool False, == True False, == False False, is None False
#   json.dumps: TypeError
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check apprise==2.3.0
timeout 60 "$tmp/v/bin/python" - <<'PY'
import json, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
import apprise

class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.path == "/good" else 400)
        self.end_headers()

    def log_message(self, *args):
        pass

server = HTTPServer(("127.0.0.1", 0), Hook)
threading.Thread(target=server.serve_forever, daemon=True).start()
seen = []
for what, path in (("delivered", "good"), ("refused", "bad"), ("no service", None)):
    alerts = apprise.Apprise()
    if path:
        alerts.add(f"json://127.0.0.1:{server.server_port}/{path}")
    result = alerts.notify(body="late order")
    seen.append((bool(result), result == True, result == False, result is None))  # noqa: E712
    print(f"{what}: {type(result).__name__}, bool {seen[-1][0]}, == True {seen[-1][1]}, == False {seen[-1][2]}, is None {seen[-1][3]}")
server.shutdown()
try:
    text = json.dumps({"sent": result})
except TypeError as error:
    text = type(error).__name__
print("json.dumps:", text)
if seen != [(True, False, False, False), (False, False, False, False), (False, False, False, False)] or text != "TypeError":
    sys.exit("CHANGED: notify() returns something else now")
PY
