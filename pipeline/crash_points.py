"""Names for the moments before, inside and after each durable step, so that tests can end a process at any of them.

No installation ever asks for it. A test names a folder in the environment; a file in it, named after a role, lists
the points at which that role dies, one a line, in that order.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

FOLDER_VARIABLE = "CRASH_POINTS_FOLDER"
"""Without the prefix of the settings: it is none."""

POINTS = (
    "processor: before a partition is taken over",
    "processor: partition taken over",
    "processor: before a batch",
    "processor: batch not committed",
    "processor: batch committed",
    "processor: before dead letters are sent",
    "processor: dead letters handed over",
    "processor: dead letters confirmed",
    "processor: outbox not committed",
    "processor: outbox emptied",
    "processor: before a gap is skipped",
    "processor: gap skipped",
    "processor: before offsets are committed to Kafka",
    "processor: offsets committed to Kafka",
    "processor: before undeliverable dead letters are kept",
    "processor: undeliverable dead letters not committed",
    "processor: undeliverable dead letters kept",
    "collector: before a partition is taken over",
    "collector: partition taken over",
    "collector: before a gap is skipped",
    "collector: gap skipped",
    "collector: before offsets are committed to Kafka",
    "collector: offsets committed to Kafka",
    "collector: before dead letters are collected",
    "collector: dead letters not committed",
    "collector: dead letters collected",
    "worker: before a job begins",
    "worker: beginning not committed",
    "worker: job begun",
    "worker: before a window is written down",
    "worker: window not committed",
    "worker: window written down",
    "worker: window handed over",
    "worker: window confirmed",
    "worker: closing not committed",
    "worker: window closed",
    "worker: before an open window is looked for",
    "worker: open window looked for",
    "worker: rest of a window handed over",
    "worker: before a job ends",
    "worker: end not committed",
    "worker: job ended",
    "worker: before an alert is noted",
    "worker: alert noted",
    "worker: before a message is noted",
    "worker: message noted",
    "worker: before old seconds go",
    "worker: old seconds gone",
    "worker: before texts are indexed",
    "worker: texts not committed",
    "worker: texts indexed",
    "worker: before old rows go",
    "worker: old rows gone",
    "reread: before a topic is closed",
    "reread: closing not committed",
    "reread: topic closed",
    "reread: before orders are taken out",
    "reread: orders not taken out",
    "reread: orders taken out",
    "reread: end not committed",
    "regroup: before letters are moved",
    "regroup: move not committed",
    "regroup: letters moved",
    "groups: move not committed",
    "compaction: before dead letters are stored anew",
    "compaction: dead letters not stored anew",
    "compaction: dead letters stored anew",
    "import: exported dead letters not committed",
    "import: records not committed",
    "import: links not committed",
    "import: batch added",
    "start: before it is decided",
    "start: not committed",
    "start: decided",
)
"""Every point, `role: moment`; a test compares them with the calls of `reached`.

A reread is done by the worker and by the command of that name, an import by its command, compaction by the worker.
Where a topic starts is decided by processors.
"""

_FOLDER = os.environ.get(FOLDER_VARIABLE)


def reached(point: str) -> None:
    """Does nothing, unless a test wants this process to end here. Called once a batch or window, never per record."""
    if _FOLDER:
        _die_if_told(Path(_FOLDER), point)


def _die_if_told(folder: Path, point: str) -> None:
    told = folder / point.partition(":")[0]
    points = told.read_text().splitlines() if told.exists() else []
    if points and points[0] == point:
        # The next life goes on with the next line.
        told.write_text("\n".join(points[1:]))
        os.kill(os.getpid(), signal.SIGKILL)
