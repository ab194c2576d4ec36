"""Keeps the buffer at its size while everything runs: retention, space given back, a bounded write-ahead log."""

from __future__ import annotations

import logging

from pipeline.buffer import Buffer, Retention
from pipeline.clock import Wait, is_due
from pipeline.crash_points import reached
from pipeline.settings import Settings

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
STEPS_AT_ONCE = 20
NOTED_AT_ONCE = 10
"""Steps of a round for search. At 8,192 dead letters each it keeps up with any collector."""
PAUSE_S = 0.005
"""Between two steps, so that whoever waits for the buffer gets it."""
PRUNE_SECONDS_EVERY_MS = 60_000
LOOK_AGAIN_MS = 10_000


class Upkeep:
    """One round is a handful of short transactions; the next one goes on where it ended."""

    def __init__(self, settings: Settings, buffer: Buffer, pause: Wait) -> None:
        self._settings = settings
        self._buffer = buffer
        self._pause = pause
        self._seconds_at_ms = 0
        self._looked_at_ms = 0
        self._too_big = False
        self._wal_held = False
        self.detail = ""
        """What takes long and is under way, in words."""

    def round(self, now_ms: int) -> None:
        """Does what is due, at most 20 steps of it."""
        if is_due(now_ms, self._seconds_at_ms, PRUNE_SECONDS_EVERY_MS):
            self._seconds_at_ms = now_ms
            kept_s = max(self._settings.seconds_kept_s, self._settings.alert_window_s)
            reached("worker: before old seconds go")
            self._buffer.watch.prune_seconds(now_ms - kept_s * 1000)
            reached("worker: old seconds gone")
        self._note_for_search()
        if is_due(now_ms, self._looked_at_ms, LOOK_AGAIN_MS) and not self._steps(
            retention_of(self._settings, now_ms), now_ms
        ):
            # Nothing was left to do.
            self._looked_at_ms = now_ms
            self._watch_size(now_ms)
        self._watch_wal(now_ms)

    def _steps(self, retention: Retention, now_ms: int) -> bool:
        """Whether there may be more to do."""
        for _ in range(STEPS_AT_ONCE):
            reached("worker: before old rows go")
            if (
                not self._conclude(now_ms)
                and not self._buffer.upkeep.prune(retention)
                and not self._compact(now_ms)
                and not self._buffer.upkeep.incremental_vacuum()
            ):
                return False
            reached("worker: old rows gone")
            self._pause(PAUSE_S)
        return True

    def _note_for_search(self) -> None:
        for _ in range(NOTED_AT_ONCE):
            if not self._buffer.upkeep.note_for_search():
                return
            self._pause(PAUSE_S)

    def _conclude(self, now_ms: int) -> bool:
        """Whether replays without an outcome were taken for recovered, since they have waited so long."""
        after_ms = int(self._settings.replayed_settled_after_h * HOUR_MS)
        return bool(after_ms) and self._buffer.upkeep.conclude(now_ms - after_ms, now_ms) > 0

    def _compact(self, now_ms: int) -> bool:
        """Whether a few dead letters of an older layout were stored as new ones are."""
        compaction = self._buffer.upkeep.compact()
        if compaction is None:
            if self.detail:
                self.detail = ""
                self._event(
                    "all dead letters of an older layout are stored as new ones now; the disk gets space back", now_ms
                )
            return False
        if not self.detail:
            self._event(
                f"about {compaction.total - compaction.done:,} dead letters of an older layout are being stored as new "
                "ones are, a few at a time; all goes on meanwhile",
                now_ms,
            )
        share = compaction.done / compaction.total
        self.detail = f"storing dead letters of an older layout as new ones: {share:.0%} of {compaction.total:,}"
        return True

    def _event(self, message: str, now_ms: int) -> None:
        log.info(message)
        self._buffer.watch.event("worker", "info", message, now_ms)

    def _watch_size(self, now_ms: int) -> None:
        max_bytes = self._settings.buffer_max_mb * 1_000_000
        too_big = bool(max_bytes) and self._buffer.upkeep.used_bytes() > max_bytes
        if too_big and not self._too_big:
            message = (
                f"the buffer holds more than {self._settings.buffer_max_mb} MB (ORDERPULSE_BUFFER_MAX_MB) and nothing "
                "more may be pruned: dead letters that are not settled stay"
            )
            self._buffer.watch.event("worker", "warning", message, now_ms)
        self._too_big = too_big

    def _watch_wal(self, now_ms: int) -> None:
        held = not self._buffer.upkeep.empty_wal()
        if held and not self._wal_held:
            size_mb = self._buffer.upkeep.wal_bytes() / 1e6
            message = f"a long read keeps the write-ahead log from being emptied; it is {size_mb:.0f} MB and grows"
            self._buffer.watch.event("worker", "warning", message, now_ms)
        self._wal_held = held


def retention_of(settings: Settings, now_ms: int) -> Retention:
    """What the settings allow to be pruned at this time."""
    return Retention(
        _before(settings.orders_kept_days, now_ms),
        _before(settings.dead_letters_kept_days, now_ms),
        settings.buffer_max_mb * 1_000_000,
    )


def _before(kept_days: float, now_ms: int) -> int | None:
    return now_ms - int(kept_days * DAY_MS) if kept_days else None
