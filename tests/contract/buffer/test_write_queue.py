"""Several writers: each gets its turn, and none holds the others up by dying."""

import fcntl
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.buffer import Reader, open_buffer
from pipeline.buffer.sqlite.connection import atomic
from pipeline.buffer.sqlite.write_queue import LOCK_SUFFIXES, turn
from pipeline.errors import BufferUnavailableError

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60
LONGEST_LOG_BYTES = 10_000_000
"""With turns it was 8.6 MB, without them 11.4 MB and more."""
TAKES_A_TURN = """
import pathlib, sys
from pipeline.buffer.sqlite.write_queue import turn
with turn(pathlib.Path(sys.argv[1]), 60):
    print("mine", flush=True)
    sys.stdin.read()
"""


def somebody_is_next(path):
    """Whether somebody stands before the turn."""
    with path.with_name(path.name + LOCK_SUFFIXES[0]).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_who_waits_comes_before_who_has_just_written(tmp_path):
    path, order = tmp_path / "orderpulse.db", []

    def other():
        with turn(path, PATIENCE_S):
            order.append("other")

    with ThreadPoolExecutor(1) as pool:
        with turn(path, PATIENCE_S):
            order.append("first")
            waiting = pool.submit(other)
            while not somebody_is_next(path):
                threading.Event().wait(0.001)
        with turn(path, PATIENCE_S):
            order.append("again")
        waiting.result()
    assert order == ["first", "other", "again"]


def test_a_process_that_is_killed_in_its_turn_holds_up_nobody(tmp_path):
    path = tmp_path / "orderpulse.db"
    with subprocess.Popen(
        [sys.executable, "-c", TAKES_A_TURN, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"mine\n"
        with pytest.raises(BufferUnavailableError, match="another process"), turn(path, 0.01):
            pass
        process.send_signal(signal.SIGKILL)
        with turn(path, PATIENCE_S):
            pass


def test_who_fails_in_its_turn_gives_it_back(tmp_path):
    path = tmp_path / "orderpulse.db"
    with pytest.raises(ZeroDivisionError), turn(path, PATIENCE_S):
        raise ZeroDivisionError
    with turn(path, 0):
        pass


def test_a_transaction_is_a_turn_to_its_end(tmp_path):
    path = tmp_path / "orderpulse.db"
    with (
        open_buffer(path) as buffer,
        atomic(buffer._connection),
        pytest.raises(BufferUnavailableError, match="another process"),
        turn(path, 0),
    ):
        pass
    with turn(path, 0):
        pass


WRITES = """
import pathlib, sys
from pipeline.buffer import open_buffer
from tests.support.buffer_rows import accept, processor
with open_buffer(pathlib.Path(sys.argv[1])) as buffer:
    partition = processor(buffer, int(sys.argv[2]))
    for number in range(BATCHES):
        accept(buffer, partition, number * ORDERS, ORDERS)
"""
BATCHES, ORDERS_A_BATCH = 80, 2500


def test_two_that_write_all_the_time_leave_room_for_the_log_to_start_over(tmp_path):
    path = tmp_path / "orderpulse.db"
    open_buffer(path).close()
    log = path.with_name(path.name + "-wal")
    script = WRITES.replace("BATCHES", str(BATCHES)).replace("ORDERS", str(ORDERS_A_BATCH))
    longest = 0
    with open_buffer(path):  # the last one who closes it empties the log
        writers = [subprocess.Popen([sys.executable, "-c", script, path, str(number)], cwd=ROOT) for number in range(2)]
        while any(writer.poll() is None for writer in writers):
            longest = max(longest, log.stat().st_size)
            threading.Event().wait(0.01)
        assert [writer.returncode for writer in writers] == [0, 0]
        assert Reader(path).totals().orders == 2 * BATCHES * ORDERS_A_BATCH
    assert longest < LONGEST_LOG_BYTES
