"""Watches one file, through editors that replace it and links that move."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

# Reading the file is an event too ("opened", "closed_no_write"): following those would never end.
_CHANGES = frozenset({"created", "modified", "moved", "deleted", "closed"})
_JOIN_TIMEOUT_S = 5.0


class FileWatch(FileSystemEventHandler):
    """Calls back after every change in the folder of a file, and in the folder that its symbolic links lead to.

    The folder is watched, not the file: editors replace the old file by a new one, and a mounted ConfigMap moves a
    link beside it. `on_change` runs in the watching thread.
    """

    def __init__(self, path: Path, on_change: Callable[[], None]) -> None:
        self._path = path
        self._on_change = on_change
        self._observer: BaseObserver = Observer()
        self._watches: dict[Path, ObservedWatch] = {}

    def start(self) -> None:
        """Begins to watch. Raises OSError when the system refuses that."""
        self._follow()
        self._observer.start()

    def stop(self) -> None:
        """Ends watching."""
        self._observer.stop()
        self._observer.join(_JOIN_TIMEOUT_S)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog, in its thread."""
        if event.event_type in _CHANGES:
            # A folder may be deleted just before it is watched; what led to it is still watched and reports the next.
            with contextlib.suppress(OSError):
                self._follow()
            self._on_change()

    def _follow(self) -> None:
        """Watches where the links lead to now, and no longer where they led to."""
        # Not Path.resolve: it raises on links that go round in a circle.
        folders = {self._path.absolute().parent, Path(os.path.realpath(self._path)).parent}
        for folder in self._watches.keys() - folders:
            self._observer.unschedule(self._watches.pop(folder))
        for folder in folders - self._watches.keys():
            if folder.is_dir():
                self._watches[folder] = self._observer.schedule(self, str(folder))
