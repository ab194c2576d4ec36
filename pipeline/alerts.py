"""Raises an alert when too large a share of the records ends as dead letters, and tells people."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.buffer import WatchStore
from pipeline.crash_points import reached
from pipeline.settings import Settings

log = logging.getLogger(__name__)

RULE = "dead-letter-rate"


class AlertWatch:
    """The dead-letter rate over the alert window, against its threshold."""

    def __init__(self, settings: Settings, watch: WatchStore) -> None:
        self._settings = settings
        self._watch = watch
        self._messenger = ThreadPoolExecutor(1, thread_name_prefix="alerts")
        self._under_way: list[tuple[int, Future[str]]] = []

    def check(self, now_ms: int) -> None:
        """Fires or resolves the alert, and notes which messages have gone out."""
        settings = self._settings
        window = self._watch.window(now_ms - settings.alert_window_s * 1000)
        records = window.orders + window.dead_letters
        share = window.dead_letters / records if records else 0.0
        reached("worker: before an alert is noted")
        if records >= settings.alert_min_records and share >= settings.alert_dead_letter_rate:
            message = (
                f"{share:.1%} of the last {records:,} records are dead letters "
                f"(threshold {settings.alert_dead_letter_rate:.1%}, window {settings.alert_window_s} s)"
            )
            self._tell(self._watch.fire(RULE, share, settings.alert_dead_letter_rate, message, now_ms), message)
        else:
            message = f"the dead-letter rate is back to {share:.1%}"
            self._tell(self._watch.resolve(RULE, now_ms), message)
        reached("worker: alert noted")
        self._note_what_went_out()

    def close(self) -> None:
        """Lets a message under way go out."""
        self._messenger.shutdown(wait=True)
        self._note_what_went_out()

    def _tell(self, alert_id: int | None, message: str) -> None:
        if alert_id is not None and self._settings.alert_urls:
            self._under_way.append((alert_id, self._messenger.submit(_notify, self._settings.alert_urls, message)))

    def _note_what_went_out(self) -> None:
        for alert_id, message in [each for each in self._under_way if each[1].done()]:
            self._watch.noticed(alert_id, message.result())
        self._under_way = [each for each in self._under_way if not each[1].done()]


def _notify(urls: tuple[str, ...], message: str) -> str:
    """Tells everybody; returns `sent`, or who could not be told."""
    # Slow to import, and most installations have nobody to tell.
    from apprise import Apprise, AppriseAsset

    failed = []
    for url in urls:
        target = Apprise(asset=AppriseAsset(app_id="OrderPulse"))
        if not target.add(url) or not target.notify(title="OrderPulse", body=message):
            # Only what kind of place it is: tokens stand anywhere in these URLs.
            failed.append(url.partition("://")[0])
    if failed:
        log.warning("the alert could not be sent to %s", ", ".join(failed))
    return f"not sent to {', '.join(failed)}" if failed else "sent"
