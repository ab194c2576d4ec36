"""Raises alerts when too much fails, the flow is held up or the disk runs full, and notifies people."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from operator import attrgetter

from pipeline.buffer import GROUP_STATES, HOW_TO_GO_ON, GroupStore, RereadStore, WatchStore
from pipeline.buffer.contract import FiringAlert
from pipeline.clock import is_due
from pipeline.crash_points import reached
from pipeline.errors import SettingsError
from pipeline.running.statusboard import read_roles
from pipeline.settings import Settings, masked, variable_of

log = logging.getLogger(__name__)

DEAD_LETTER_RATE = "dead-letter-rate"
DISK = "disk-full"
LOST = "lost-offsets"
BRAKE = "brake of "
HELD = "copies of "
"""A topic's own rules: these and its name."""
GROUP = "group "
"""A group's own rule: this and its fingerprint."""
GROUPS_EVERY_MS = 10_000
GROUPS_MOST = 20
TROUBLE = "trouble of "
"""A role's own rule: this and its name."""


_MEANS = {
    "new": "dead letters of a new cause",
    "regressed": "dead letters of a cause that was resolved",
    "escalating": "dead letters at ten times their usual rate or more",
}


@dataclass(frozen=True, slots=True)
class _Finding:
    """What is to be alerted of: a share, a number or, for a role in trouble, seconds, that reached the threshold.

    One that does not begin an alert keeps the one that fires from ending.
    """

    rule: str
    value: float
    threshold: float
    message: str
    begins: bool = True


class AlertWatch:
    """Every rule, against its threshold."""

    def __init__(self, settings: Settings, watch: WatchStore, rereads: RereadStore, groups: GroupStore) -> None:
        self._settings = settings
        self._watch = watch
        self._rereads = rereads
        self._groups = groups
        self._groups_at_ms = 0
        self._of_groups: list[_Finding] = []
        self._in_trouble_since_ms: dict[str, int] = {}
        self._well_since_ms: dict[str, int] = {}
        self._messenger = ThreadPoolExecutor(1, thread_name_prefix="alerts")
        self._under_way: list[tuple[int, Future[str]]] = []
        # Whoever was here before ended between noting an alert and notifying people, or while it did.
        for pending in watch.pending_notifications():
            self._notify(pending.alert_id, _ended(pending.message) if pending.over else pending.message)

    def check(self, now_ms: int) -> None:
        """Fires and resolves alerts, and notes which messages have gone out."""
        findings = [
            *self._dead_letter_rate(now_ms),
            *self._lost(),
            *self._brakes(),
            *self._held(),
            *self._groups_told_of(now_ms),
            *self._disk(),
            *self._roles(now_ms),
        ]
        reached("worker: before an alert is noted")
        for found in filter(attrgetter("begins"), findings):
            alert_id = self._watch.fire(
                found.rule, found.value, found.threshold, found.message, now_ms, self._has_recipients
            )
            self._notify(alert_id, found.message)
        for firing in self._over({found.rule for found in findings}, now_ms):
            self._notify(self._watch.resolve(firing.rule, now_ms, self._has_recipients), _ended(firing.message))
        reached("worker: alert noted")
        self._note_what_went_out()

    def _over(self, found: set[str], now_ms: int) -> list[FiringAlert]:
        """The alerts that fire and whose rules have found nothing for long enough."""
        well = [firing for firing in self._watch.firing() if firing.rule not in found]
        self._well_since_ms = {each.rule: self._well_since_ms.get(each.rule, now_ms) for each in well}
        hold_ms = self._settings.alert_hold_s * 1000
        # A clock that was set back must not keep an alert for ever.
        return [each for each in well if is_due(now_ms, self._well_since_ms[each.rule], hold_ms)]

    def _dead_letter_rate(self, now_ms: int) -> Iterator[_Finding]:
        settings = self._settings
        window = self._watch.alert_window(now_ms - settings.alert_window_s * 1000)
        records = window.orders + window.dead_letters
        share, threshold = window.dead_letters / max(records, 1), settings.alert_dead_letter_rate
        if records >= settings.alert_min_records and share >= threshold * settings.alert_end_share:
            message = (
                f"{share:.1%} of the last {records:,} records are dead letters "
                f"(threshold {threshold:.1%}, window {settings.alert_window_s} s)"
            )
            yield _Finding(DEAD_LETTER_RATE, share, threshold, message, share >= threshold)

    def _lost(self) -> Iterator[_Finding]:
        lost = self._watch.lost_offsets()
        if lost:
            topics = ", ".join(f"{each.topic} (up to {each.offsets:,} records)" for each in lost)
            message = f"Kafka removed records before they were read: {topics}; `check --accept-lost` says it is known"
            yield _Finding(LOST, sum(each.offsets for each in lost), 1, message)

    def _brakes(self) -> Iterator[_Finding]:
        for each in self._watch.stopped():
            share = each.failed / (each.accepted + each.failed)
            message = f"{each}; the Pipeline page or `python -m pipeline resume` lets it go on"
            yield _Finding(BRAKE + each.topic, share, self._settings.brake_share, message)

    def _held(self) -> Iterator[_Finding]:
        for each in self._rereads.unfinished():
            if each.state == "held":
                message = f"{each}; the Pipeline page or {HOW_TO_GO_ON.format(each.topic)}"
                yield _Finding(HELD + each.topic, 1, 1, message)

    def _groups_told_of(self, now_ms: int) -> list[_Finding]:
        # How groups stand changes with hours and clicks.
        if is_due(now_ms, self._groups_at_ms, GROUPS_EVERY_MS):
            self._groups_at_ms = now_ms
            states = tuple(state for state in GROUP_STATES if state in self._settings.alert_groups)
            told = self._groups.told_of(states, now_ms, GROUPS_MOST) if states else []
            self._of_groups = [
                _Finding(
                    f"{GROUP}{each.fingerprint} {each.state}",
                    each.last_hour,
                    1,
                    f"{_MEANS[each.state]}: {each.title} (group {each.fingerprint}, {each.last_hour:,} in an hour)",
                )
                for each in told
            ]
        return self._of_groups

    def _disk(self) -> Iterator[_Finding]:
        share, free_bytes = disk_used(self._settings)
        threshold = self._settings.alert_disk_share
        if share >= threshold:
            message = f"the disk of the buffer is {share:.1%} full, {free_bytes / 1e6:,.0f} MB are left"
            yield _Finding(DISK, share, threshold, f"{message} (threshold {threshold:.1%})")

    def _roles(self, now_ms: int) -> Iterator[_Finding]:
        threshold_s = self._settings.alert_trouble_s
        troubles: dict[str, str] = {}
        for role in read_roles(self._settings.data_dir):
            if role.silent(now_ms):
                troubles[f"{role.role}-{role.instance}"] = "says nothing"
            elif role.state in ("waiting", "failing") or role.detail:
                troubles[f"{role.role}-{role.instance}"] = role.detail or role.state
        self._in_trouble_since_ms = {name: self._in_trouble_since_ms.get(name, now_ms) for name in troubles}
        for name, trouble in troubles.items():
            lasted_s = (now_ms - self._in_trouble_since_ms[name]) / 1000
            if lasted_s >= threshold_s:
                yield _Finding(
                    TROUBLE + name, lasted_s, threshold_s, f"{name}: {trouble} (for {threshold_s} s or more)"
                )

    def close(self) -> None:
        """Lets a message under way go out."""
        self._messenger.shutdown(wait=True)
        self._note_what_went_out()

    @property
    def _has_recipients(self) -> bool:
        return bool(self._settings.alert_urls)

    def _notify(self, alert_id: int | None, message: str) -> None:
        if alert_id is not None and self._has_recipients:
            self._under_way.append((alert_id, self._messenger.submit(_send_to_all, self._settings.alert_urls, message)))

    def _note_what_went_out(self) -> None:
        for alert_id, message in [each for each in self._under_way if each[1].done()]:
            reached("worker: before a message is noted")
            self._watch.noticed(alert_id, message.result())
            reached("worker: message noted")
        self._under_way = [each for each in self._under_way if not each[1].done()]


def _ended(message: str) -> str:
    return f"over: {message}"


def disk_used(settings: Settings) -> tuple[float, int]:
    """How full the disk of the data folder is, as a share, and the bytes that are left to us."""
    usage = shutil.disk_usage(settings.data_dir)
    return usage.used / max(usage.used + usage.free, 1), usage.free


def check_addresses(settings: Settings) -> None:
    """Raises SettingsError for an alert address that is none to Apprise; sends nothing."""
    if not settings.alert_urls:
        return
    from apprise import Apprise

    _keep_addresses_out_of_logs()
    for number, url in enumerate(settings.alert_urls, start=1):
        if Apprise.instantiate(url) is None:
            where = f"{variable_of('alert_urls')}: address {number} of {len(settings.alert_urls)}"
            raise SettingsError(
                f"{where} ({masked((url,))}) is none that Apprise knows: check its scheme and that all its parts are "
                "there; one that holds a comma before another scheme:// must stand in a JSON array"
            )


def _keep_addresses_out_of_logs() -> None:
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _send_to_all(urls: tuple[str, ...], message: str) -> str:
    """Notifies everybody; returns `sent`, or the kinds of address that could not be reached."""
    failed = [url.partition("://")[0] for url in urls if not _sent(url, message)]
    if failed:
        log.warning("the alert could not be sent to %s", ", ".join(failed))
    return f"not sent to {', '.join(failed)}" if failed else "sent"


def _sent(url: str, message: str) -> bool:
    # Slow to import, and most installations have nobody to notify.
    from apprise import Apprise, AppriseAsset

    _keep_addresses_out_of_logs()
    target = Apprise(asset=AppriseAsset(app_id="OrderPulse"))
    # Made by itself: `add` would look for several addresses in one.
    service = Apprise.instantiate(url, asset=target.asset)
    try:
        return service is not None and target.add(service) and bool(target.notify(title="OrderPulse", body=message))
    except Exception as error:  # noqa: BLE001 - a plugin of somebody else's; its text may quote the address
        log.debug("a plugin of Apprise raised %s", type(error).__name__)
        return False
