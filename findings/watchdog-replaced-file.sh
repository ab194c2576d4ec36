#!/bin/sh
# Library: watchdog 7.1.0 (Python), on Linux.
# Guess: on_modified (or on_created) is called with the file's path whenever its content is new.
# Behaviour: many editors and all careful writers save to a second file and rename it over the first.
#   That is one "moved" event whose src_path is the second file; the watched path is in dest_path.
#   A handler of on_modified and on_created for that path never hears of it.
# Seen in November 2026 (events with rules.toml as src_path or dest_path; opened and closed left out):
#   written in place: [('modified', 'rules.toml', '')]
#   replaced: [('moved', 'rules.toml.new', 'rules.toml')]
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check watchdog==7.1.0
mkdir "$tmp/watched"
cd "$tmp/watched"
timeout 60 "$tmp/v/bin/python" - <<'PY'
import os, sys, time
from pathlib import Path
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

rules, events = Path("rules.toml"), []
rules.write_text("a = 1\n")

class Handler(FileSystemEventHandler):
    def on_any_event(self, event):
        names = (os.path.basename(event.src_path), os.path.basename(event.dest_path))
        if rules.name in names and event.event_type in ("created", "modified", "moved", "deleted"):
            events.append((event.event_type, *names))

observer = Observer()
observer.schedule(Handler(), ".")
observer.start()

def seen_after(what, change):
    events.clear()
    change()
    time.sleep(2)
    seen = sorted(set(events))
    print(f"{what}:", seen)
    return seen

def replace():
    Path("rules.toml.new").write_text("a = 3\n")
    os.replace("rules.toml.new", rules)

time.sleep(1)
written = seen_after("written in place", lambda: rules.write_text("a = 2\n"))
replaced = seen_after("replaced", replace)
observer.stop()
observer.join(10)
if written != [("modified", "rules.toml", "")] or replaced != [("moved", "rules.toml.new", "rules.toml")]:
    sys.exit("CHANGED: a replaced file is told of by other events now")
PY
