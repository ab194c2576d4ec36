"""Finds partitions that no processor of the group reads, so that one of them can do something about it.

Kafka moves a partition in two steps: its owner gives it up and joins again, then the new owner gets it. Now and then
nobody asks for the second step, and the partition stays without an owner until something else makes the group
rebalance. Partitions that are added to a topic are nobody's at first.

What the processors say of themselves is enough, since all that share a group share a data folder. Kafka is not asked
who owns what: librdkafka was seen to abort the process over that question.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Mapping

from pipeline.clock import Clock
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import ClusterView
from pipeline.running.statusboard import RoleStatus, read_roles
from pipeline.settings import Settings

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
PATIENCE_MS = 5_000
"""Beyond a session's length: so long a member that is gone for good keeps what it had."""
MAX_PATIENCE_MS = 300_000


class OwnersWatch:
    """Looks every 2 s, in a thread of its own. `session_ms` is how long Kafka waits for a silent member."""

    def __init__(
        self,
        settings: Settings,
        view: ClusterView,
        instance: int,
        session_ms: int,
        clock: Clock,
        steady_clock: Clock,
    ) -> None:
        self._settings = settings
        self._view = view
        self._instance = instance
        self._min_patience_ms = self._patience_ms = session_ms + PATIENCE_MS
        self._clock = clock
        self._steady_clock = steady_clock
        self._since_ms: dict[str, int] = {}
        self._unowned: list[str] = []
        self._partitions: dict[str, int] | None = None
        self.topics: Collection[str] = ()
        """The topics that this processor reads; its owner says so."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="owners-watch", daemon=True)
        self._thread.start()

    def pop_partitions(self) -> dict[str, int] | None:
        """All topics that there are, with the count of their partitions, once for each look."""
        partitions, self._partitions = self._partitions, None
        return partitions

    def pop_unowned(self) -> list[str]:
        """Partitions that have had no owner for too long, if it is for this processor to do something about it."""
        unowned, self._unowned = self._unowned, []
        return unowned

    def close(self) -> None:
        """Ends the thread, without waiting for an answer that may never come."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            try:
                self._look()
            except KafkaUnavailableError as error:
                self._since_ms = {}
                log.debug("partitions not known: %s", error)  # the readers and senders report what is away

    def _look(self) -> None:
        partitions = self._view.partitions()
        self._partitions = partitions
        members = self._members()
        unowned = _everything(partitions, set(self.topics) & _read_by(members)).difference(*map(_owned_by, members))
        steady_ms = self._steady_clock()
        self._since_ms = {name: self._since_ms.get(name, steady_ms) for name in unowned}
        if not unowned:
            self._patience_ms = self._min_patience_ms
        late = [name for name, since_ms in self._since_ms.items() if steady_ms - since_ms >= self._patience_ms]
        if late:
            # Each time more patiently: a member of the group that is none of ours may have them.
            self._patience_ms = min(self._patience_ms * 2, MAX_PATIENCE_MS)
            self._since_ms = {}
            # One for all: of those that read such a topic, the processor that has the fewest.
            topics = {name.rpartition("[")[0] for name in late}
            readers = [(len(_owned_by(role)), role.instance) for role in members if topics & topics_of(role)]
            if min(readers)[1] == self._instance:
                self._unowned = sorted(late)

    def _members(self) -> list[RoleStatus]:
        """All processors that run."""
        now_ms = self._clock()
        return [
            role
            for role in read_roles(self._settings.data_dir)
            if role.role == "processor" and is_member(role) and not role.silent(now_ms)
        ]


def _everything(partitions: Mapping[str, int], topics: Iterable[str]) -> set[str]:
    return {f"{topic}[{partition}]" for topic in topics for partition in range(partitions.get(topic, 0))}


def _read_by(members: Iterable[RoleStatus]) -> set[str]:
    return set().union(*map(topics_of, members))


BETWEEN_TOPICS = ", "


def topics_of(role: RoleStatus) -> set[str]:
    """The topics that a processor reads."""
    return set(filter(None, str(role.figures.get("topic", "")).split(BETWEEN_TOPICS)))


def is_member(role: RoleStatus) -> bool:
    """Whether a processor reads; one that waits since none of its partitions can be read still has them."""
    return role.state == "running" or (role.state == "waiting" and bool(_owned_by(role)))


def _owned_by(role: RoleStatus) -> set[str]:
    return {*role.figures.get("partitions", {}), *role.figures.get("unreadable", {})}
