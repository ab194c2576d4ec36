"""Which instance a role's process is on one data folder, and the name it has in Kafka's group.

A process that is given its instance id (by `up`) takes that one. One that is given none takes the first that is free:
so replicas in containers need no ids from outside, and a replica that is restarted takes its id again. An instance id
is held by a lock on a file, which the kernel frees when the process ends, however it ends. The locks hold between
containers too, as long as they share the folder on one host.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from pipeline.clock import StopSignal
from pipeline.running.statusboard import FOLDER, host_name

log = logging.getLogger(__name__)

FOLDER_ID_FILE = "folder.id"
LOOK_EVERY_S = 0.2


@contextmanager
def first_free_instance(data_dir: Path, role: str) -> Iterator[int]:
    """Holds the lowest instance id that no process of this role holds."""
    with ExitStack() as held:
        # One at a time, so that nobody's look at an instance makes it seem taken to the next.
        with _opened(data_dir, f"{role}.lock") as queue:
            fcntl.flock(queue, fcntl.LOCK_EX)
            instance = next(each for each in itertools.count() if _take(held, data_dir, role, each))
            _forget_earlier_ones(data_dir, role, instance)
        yield instance


@contextmanager
def given_instance(data_dir: Path, role: str, instance: int, stop: StopSignal) -> Iterator[bool]:
    """Holds this instance id, after waiting for the process that holds it; yields false when asked to stop before."""
    with ExitStack() as held:
        while not (taken := _take(held, data_dir, role, instance)):
            log.warning("another process is %s-%d on %s: waiting for its end", role, instance, data_dir)
            if _wait_for_end(data_dir, role, instance, stop):
                break
        yield taken


def member_name(data_dir: Path, instance: int) -> str:
    """Kafka's static member id: the same after a restart, so that the same partitions come back without a rebalance.

    Of the data folder and the instance alone: a container's host name is another one each time it is made. The folder
    has an id of its own, because its path (`/data`) is the same on every host.
    """
    return f"orderpulse-{_folder_id(data_dir)}-{instance}"


def _take(held: ExitStack, data_dir: Path, role: str, instance: int) -> bool:
    lock = _opened(data_dir, f"{role}-{instance}.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    held.enter_context(lock)
    return True


def _wait_for_end(data_dir: Path, role: str, instance: int, stop: StopSignal) -> bool:
    """Returns when the instance id is free, or true when asked to stop."""
    while not stop.wait(LOOK_EVERY_S):
        with ExitStack() as looking:
            if _take(looking, data_dir, role, instance):
                return False
    return True


def _forget_earlier_ones(data_dir: Path, role: str, instance: int) -> None:
    """Takes off the status board what a dead process of this host left there under another id."""
    for path in (data_dir / FOLDER).glob(f"{role}-*.json"):
        other = path.stem.rpartition("-")[2]
        if other.isdigit() and int(other) != instance and _host_in(path) == host_name():
            with ExitStack() as looking:
                if _take(looking, data_dir, role, int(other)):
                    path.unlink(missing_ok=True)


def _host_in(status_file: Path) -> str:
    try:
        return str(json.loads(status_file.read_bytes()).get("host", ""))
    except (ValueError, FileNotFoundError):
        return ""  # caught between two writes, so its process lives


def _folder_id(data_dir: Path) -> str:
    with (data_dir / FOLDER_ID_FILE).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        found = file.read().strip()
        if not found:
            found = uuid.uuid4().hex[:12]
            file.write(found)
            file.flush()
        return found


def _opened(data_dir: Path, name: str) -> IO[str]:
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / name).open("a")
