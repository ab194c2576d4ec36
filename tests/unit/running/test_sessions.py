"""A role that waits for something says so for as long as it waits."""

from __future__ import annotations

from pathlib import Path

from pipeline.clock import StopSignal
from pipeline.errors import RegistryUnavailableError
from pipeline.running.sessions import keep_going
from pipeline.running.statusboard import StatusWriter, read_roles

START_MS = 1_700_000_000_000


class StopAfter(StopSignal):
    """A wait is over at once, and the clock is later by it; asks to stop when so much time has passed."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.now_ms = START_MS
        self._end_ms = START_MS + int(seconds * 1000)

    def wait(self, seconds: float) -> bool:
        self.now_ms += int(seconds * 1000)
        if self.now_ms >= self._end_ms:
            self.set()
        return self.is_set()


def test_a_role_that_waits_long_never_counts_as_silent(tmp_path: Path) -> None:
    stop = StopAfter(120)
    status = StatusWriter(tmp_path, "collector", 0, lambda: stop.now_ms)
    began_at_ms: list[int] = []

    def session() -> None:
        began_at_ms.append(stop.now_ms)
        for role in read_roles(tmp_path):
            first = len(began_at_ms) == 1
            expected = ("starting", "connecting") if first else ("waiting", "the registry is away")
            assert (role.state, role.detail) == expected
            # An attempt may take 3 s until it is given up.
            assert not role.silent(stop.now_ms + 3000)
        raise RegistryUnavailableError("the registry is away")

    keep_going(session, status, lambda: stop.now_ms, stop)
    waits_s = [(later - earlier) / 1000 for earlier, later in zip(began_at_ms, began_at_ms[1:], strict=False)]
    assert waits_s[:6] == [0.25, 0.5, 1, 2, 4, 5]
    assert set(waits_s[5:]) == {5}
    status.close()
