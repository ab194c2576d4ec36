#!/bin/sh
# Library: streamlit 1.67.0, served by st.App.
# Guess: what a page's run drew reaches the browser, whatever the browser asks for next.
# Behaviour: a fragment's refresh that is handled after the run has ended, but before the event loop came to send what
#   the run drew, starts another script runner. All that the one before has not sent yet is dropped without a word, and a
#   refresh draws the fragment alone: the browser shows the run before, until the whole page is drawn again. Here the
#   loop is held up for half a second at each refresh, as on a busy machine.
#   A fragment's id is made of its function's name and its place, and one that the last run did not draw is not run: so
#   a fragment with another name in each run tells by its id which run the browser has seen.
# Seen in November 2026:
#   names of the part: one for all: the browser has run 1, the server made run 2
#   names of the part: one a run: the browser has run 2, the server made run 2
set -eu
tmp=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check streamlit==1.67.0 websockets==17.4
cat >"$tmp/app.py" <<'PY'
import time

import streamlit as st
from starlette.middleware import Middleware
from streamlit.proto.BackMsg_pb2 import BackMsg

class BusyAtRefreshes:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def late():
            message = await receive()
            if BackMsg.FromString(message.get("bytes") or b"").rerun_script.is_auto_rerun:
                time.sleep(0.5)
            return message
        await self.app(scope, late if scope["type"] == "websocket" else receive, send)

app = st.App("page.py", middleware=[Middleware(BusyAtRefreshes)])
PY
cat >"$tmp/page.py" <<'PY'
import os
import time

import streamlit as st

run = st.session_state["run"] = st.session_state.get("run", 0) + 1

def part():
    st.write("a part")

if os.environ["NAMES"] == "one a run":
    part.__qualname__ = f"part_{run}"
st.write("begun")
time.sleep(0.2)
st.fragment(part, run_every=60)()
st.write(f"run {run}")
open("made", "w").write(str(run))
PY
cat >"$tmp/client.py" <<'PY'
import asyncio
import sys

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

def ask(fragment_id=""):
    message = BackMsg()
    message.rerun_script.fragment_id = fragment_id
    message.rerun_script.is_auto_rerun = bool(fragment_id)
    return message.SerializeToString()

async def main(port):
    shown, fragment = 0, ""
    async with connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"]) as app:
        async def read_until(wanted, seconds=20):
            nonlocal shown, fragment
            try:
                async with asyncio.timeout(seconds):
                    async for data in app:
                        message = ForwardMsg.FromString(data)
                        text = message.delta.new_element.markdown.body
                        shown = int(text[4:]) if text.startswith("run ") else shown
                        fragment = message.auto_rerun.fragment_id or fragment
                        if wanted == message.WhichOneof("type"):
                            return
            except TimeoutError:
                pass
        await app.send(ask())
        await read_until("script_finished")
        await app.send(ask())
        await read_until("new_session")
        await app.send(ask(fragment))  # the timer of the run that the browser shows
        await read_until(None, 5)
    print("the browser has run", shown, end=", ")

asyncio.run(main(sys.argv[1]))
PY
cd "$tmp"
for names in "one for all" "one a run"; do
  port=$("$tmp/v/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  NAMES=$names timeout 120 "$tmp/v/bin/streamlit" run app.py --server.port "$port" --server.address 127.0.0.1 \
    --server.headless true --browser.gatherUsageStats false >"$tmp/log" 2>&1 &
  server=$!
  tries=0
  until "$tmp/v/bin/python" -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/_stcore/health')" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { cat "$tmp/log" >&2; exit 1; }
    sleep 1
  done
  { printf 'names of the part: %s: ' "$names"; timeout 60 "$tmp/v/bin/python" client.py "$port"; echo "the server made run $(cat made)"; } |
    tee -a "$tmp/seen"
  kill "$server"
  wait "$server" || true
  server=
done
[ "$(cat "$tmp/seen")" = "names of the part: one for all: the browser has run 1, the server made run 2
names of the part: one a run: the browser has run 2, the server made run 2" ] ||
  { echo "CHANGED: what a run drew is sent in another way now" >&2; exit 1; }
