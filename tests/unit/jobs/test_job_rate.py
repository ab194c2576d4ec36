"""A job with a rate sends what is due, never more, whatever the clocks on the walls say."""

from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.buffer import Job, open_buffer
from pipeline.jobs.requests import request_produce
from pipeline.jobs.runs import JobRun, SendWindow
from pipeline.jobs.sending import Outcome
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.records import Outgoing
from pipeline.settings import load_settings


class Confirmed:
    """A window_sender whose records are confirmed at once."""

    def __init__(self) -> None:
        self.handed_over = 0

    def describe(self, topics: set[str]) -> dict[str, object]:
        return {}

    def begin(self, records: list[Outgoing]) -> None:
        self.handed_over += len(records)

    def poll(self, wait_s: float) -> Outcome:
        return Outcome([], {})


class Paced(JobRun):
    """A job that has records without end, and as much room as it is told."""

    free = 10_000

    def records_of_window(self, described: Mapping[str, Any]) -> list[Outgoing]:
        return [Outgoing(f"{number}", "orders", None, b"", ()) for number in range(described["records"])]

    def next_send_window(self, limit: int) -> SendWindow:
        described = {"records": limit}
        return SendWindow(self.records_of_window(described), described)

    def room(self) -> int:
        return self.free


class Run:
    """A job at 50 records/s whose time and wall clock are the test's."""

    def __init__(self, job: Job, buffer) -> None:
        self.steady_ms = self.wall_ms = 1_000_000
        self.window_sender = Confirmed()
        self.job = Paced(job, buffer, self.window_sender, lambda: self.wall_ms, lambda: self.steady_ms, 50.0)

    def goes_on(self, ms: int) -> None:
        """Steps every 10 ms of that time."""
        for _ in range(ms // 10):
            self.job.step(0)
            self.steady_ms += 10
            self.wall_ms += 10


@pytest.fixture
def run(tmp_path):
    settings = load_settings(data_dir=tmp_path)
    with open_buffer(settings.database_file) as buffer:
        request_produce(settings, buffer, lambda: 1, ProduceRequest(10_000, 50.0), "test")
        yield Run(buffer.jobs.next_job(1), buffer)


def test_records_leave_evenly(run):
    handed_over = []
    for _ in range(10):
        run.goes_on(200)
        handed_over.append(run.window_sender.handed_over)
    steps = [later - earlier for earlier, later in zip(handed_over, handed_over[1:], strict=False)]
    assert 100 <= handed_over[-1] <= 106
    assert set(steps) <= {8, 9, 10, 11, 12}


@pytest.mark.parametrize("jump_ms", [3_600_000, -3_600_000])
def test_a_clock_that_is_set_makes_no_burst_and_no_pause(run, jump_ms):
    run.goes_on(1000)
    before = run.window_sender.handed_over
    run.wall_ms += jump_ms
    run.goes_on(1000)
    assert 45 <= run.window_sender.handed_over - before <= 55


def test_what_could_not_be_sent_in_time_is_not_made_up_for(run):
    run.goes_on(1000)
    run.job.free = 0
    run.goes_on(10_000)
    before = run.window_sender.handed_over
    run.job.free = 10_000
    run.goes_on(1000)
    assert 45 <= run.window_sender.handed_over - before <= 60
