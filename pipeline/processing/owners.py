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
        self._since_ms: dict[int, int] = {}
        self._unowned: list[int] = []
        self.partition_count: int | None = None
        """How many partitions the topic has; None before the first look."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="owners-watch", daemon=True)
        self._thread.start()

    def pop_unowned(self) -> list[int]:
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
        topic = self._settings.orders_topic
        self.partition_count = self._view.partitions().get(topic, 0)
        everything = range(self.partition_count)
        owned = self._owned()
        unowned = set(everything).difference(*owned.values()) if owned else set()
        steady_ms = self._steady_clock()
        self._since_ms = {partition_id: self._since_ms.get(partition_id, steady_ms) for partition_id in unowned}
        if not unowned:
            self._patience_ms = self._min_patience_ms
        late = [
            partition_id
            for partition_id, since_ms in self._since_ms.items()
            if steady_ms - since_ms >= self._patience_ms
        ]
        if late:
            # Each time more patiently: a member of the group that is none of ours may have them.
            self._patience_ms = min(self._patience_ms * 2, MAX_PATIENCE_MS)
            self._since_ms = {}
            # One for all: the processor that has the fewest.
            if min((len(partition_ids), instance) for instance, partition_ids in owned.items())[1] == self._instance:
                self._unowned = sorted(late)

    def _owned(self) -> dict[int, set[int]]:
        """The partitions of each processor that runs and reads this topic, by its instance."""
        now_ms, topic = self._clock(), self._settings.orders_topic
        return {
            role.instance: {int(name.rpartition("[")[2][:-1]) for name in _owned_by(role)}
            for role in read_roles(self._settings.data_dir)
            if role.role == "processor"
            and is_member(role)
            and not role.silent(now_ms)
            and role.figures.get("topic", topic) == topic
        }


def is_member(role: RoleStatus) -> bool:
    """Whether a processor reads; one that waits since none of its partitions can be read still has them."""
    return role.state == "running" or (role.state == "waiting" and bool(_owned_by(role)))


def _owned_by(role: RoleStatus) -> set[str]:
    return {*role.figures.get("partitions", {}), *role.figures.get("unreadable", {})}
