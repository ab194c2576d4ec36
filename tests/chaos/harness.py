"""Faults of many kinds, one after another by a seeded schedule, against a pipeline on Apache Kafka under load.

An outsider writes and counts, and asks for replays. When the last fault is over, the buffer must agree with its count,
and `check` with both.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.buffer import DeadLetterFilter, open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.errors import UsageError
from pipeline.jobs.requests import request_replay
from pipeline.kafka import ClusterView
from pipeline.running.statusboard import read_roles
from pipeline.search.query import Named, Query
from scripts.local.cluster import KafkaCluster
from scripts.local.server_properties import CLIENTS
from scripts.waiting import wait_for
from tests.chaos.faults import SESSION_MS, Faults, copy_of_settings_files
from tests.chaos.surroundings import DEAD_LETTERS_OF_OTHERS, OWN_DEAD_LETTERS, Surroundings
from tests.support.faulty_handler import FAIL_AS_ASKED
from tests.support.kafka_admin import KafkaAdmin
from tests.support.kafkas import PARTITIONS
from tests.support.order_writer import Account, Kind, OrderWriter
from tests.support.running_pipeline import RunningPipeline
from tests.support.small_disk import SmallDisk
from tests.support.tcp_proxy import TcpProxy
from tests.support.wall_clock import WallClock

FAULTY: dict[int, Kind] = {7: "invalid", 23: "malformed", 41: "transient", 42: "transient", 80: "invalid"}
REPLAYED_AT_ONCE = 20
SETTLE_S = 120.0
ANSWER_MS = 10_000
"""A half-open connection is found out by an answer that does not come; librdkafka's default is a minute."""
SELDOM = frozenset(
    {
        "lock the buffer",
        "pause a role past its session",
        "recreate the orders topic",
        "recreate the orders topic with fewer partitions",
        "wipe the broker",
        "change the orders topic and back",
        "take one of two brokers away",
        "replace the brokers by a mirror",
    }
)
"""They take long, so they come once and then a third as often as others."""

BROKERS = 2
PROPERTIES = {
    "num.partitions": str(PARTITIONS),
    # A partition whose broker is away has no leader.
    "default.replication.factor": "1",
}
FORBIDDING = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""Everybody may do everything, until an ACL forbids it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run did and how it ended."""

    faults: dict[str, int]
    account: Account
    replays: int
    took_s: float


@contextmanager
def surroundings(folder: Path, disk_mb: int) -> Iterator[Surroundings]:
    """A pipeline's settings, brokers behind proxies, and a disk of its own."""
    rules, schemas = copy_of_settings_files(folder)
    data_dir = folder / "data"
    data_dir.mkdir()
    with TcpProxy() as first, TcpProxy() as second:
        proxies = first, second
        addresses = [proxy.address for proxy in proxies]
        # Whoever asks a broker where to go is sent through the proxies. Each broker leads half of the partitions.
        cluster = KafkaCluster(folder / "kafka", BROKERS, PROPERTIES | FORBIDDING, controllers=1, advertised=addresses)
        with cluster as kafka, SmallDisk(data_dir, disk_mb) as disk:
            for broker, proxy in enumerate(proxies, 1):
                proxy.target_port = kafka.port(broker, CLIENTS)
            pipeline = RunningPipeline(
                data_dir,
                bootstrap_servers=",".join(addresses),
                dlq_topics=f"{OWN_DEAD_LETTERS},{DEAD_LETTERS_OF_OTHERS}",
                processors=2,
                rules_file=str(rules),
                schemas_dir=str(schemas),
                handler=FAIL_AS_ASKED,
                kafka_config={"session.timeout.ms": SESSION_MS, "socket.timeout.ms": ANSWER_MS},
            )
            clock = WallClock(folder / "clock", pipeline)
            try:
                yield Surroundings(pipeline, kafka, proxies, disk, rules, schemas, clock)
            finally:
                pipeline.end()


class Chaos:
    """One run. `say` is called with each fault as it happens."""

    def __init__(self, around: Surroundings, seed: int, say: Callable[[str], None]) -> None:
        self._pipeline = around.pipeline
        self._around = around
        self._draw = random.Random(seed)
        self._say = say
        self._replays = 0

    def run(self, faults: int, rate_per_s: int, kinds: Sequence[str] = ()) -> Result:
        """Plays so many faults under that load, of all kinds or of these.

        Raises AssertionError when anything was lost, doubled or is stuck, UsageError for an unknown kind.
        """
        began_s = time.monotonic()
        played: Counter[str] = Counter()
        ClusterView(self._pipeline.settings, self._pipeline.cluster).ensure_topic(self._pipeline.settings.orders_topic)
        self._pipeline.up()
        with OrderWriter(self._pipeline, rate_per_s, FAULTY) as writer:
            around = Faults(self._around, writer, self._draw, lambda: self._settle(writer.account), self._say)
            for number, kind in enumerate(self._schedule(_chosen(around.kinds, kinds), faults), 1):
                self._say(f"{number}: {kind}")
                with self._noting_last_words(writer.account):
                    around.play(kind)
                played[kind] += 1
                self._replay_some()
                around.wait(self._draw.uniform(0.1, 1.0))
        self._settle(writer.account)
        self._hold_against(writer.account)
        return Result(dict(played), writer.account, self._replays, time.monotonic() - began_s)

    def _schedule(self, kinds: list[str], faults: int) -> list[str]:
        """Every kind once first, in an order of its own, so that a short run has met them all."""
        first = self._draw.sample(kinds, len(kinds))
        weights = [1 if kind in SELDOM else 3 for kind in kinds]
        return [*first, *self._draw.choices(kinds, weights, k=max(0, faults - len(first)))][:faults]

    def _replay_some(self) -> None:
        """Asks for a replay of dead letters that will fail again, on the topic that is read now."""
        settings = self._pipeline.settings
        which = DeadLetterFilter(Query((Named("status", "open"), Named("source", settings.orders_topic))))
        with self._pipeline.reader() as reader:
            letters = reader.dead_letters(which, limit=REPLAYED_AT_ONCE)
        if letters:
            which = DeadLetterFilter(ids=tuple(letter.id for letter in letters))
            with open_buffer(settings.database_file) as buffer:
                request_replay(settings, buffer, wall_clock_ms, which, "chaos", force=True)
            self._replays += len(letters)

    def _settle(self, account: Account) -> None:
        """Waits until all that was written and replayed has come to its end."""
        wanted = account.records + self._replays
        with self._noting_last_words(account), self._pipeline.reader() as reader:
            wait_for(f"all {wanted} records", lambda: self._pipeline.settled() >= wanted, SETTLE_S)
            wait_for("an empty outbox", lambda: reader.outbox_count() == reader.parked_count() == 0)
            wait_for("the end of the replays", lambda: reader.unfinished_job() is None)

    @contextmanager
    def _noting_last_words(self, account: Account) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            # Now: with the writer's next records nobody could tell what is missing.
            if not hasattr(error, "__notes__"):
                error.add_note(f"{account}\n{self._last_words()}")
            raise

    def _hold_against(self, account: Account) -> None:
        with self._pipeline.reader() as reader:
            totals = reader.totals()
            [sent] = reader._rows("SELECT count(*) FROM job_items WHERE state = 'dead_again'").rows[0]
        found = (totals.orders, totals.revenue_cents, totals.dead_letters, sent)
        wanted = (account.orders, account.revenue_cents, account.dead_letters + self._replays, self._replays)
        assert found == wanted, f"orders, cents, dead letters, replays: {found}, not {wanted}"
        checked = self._pipeline.command("check", deadline_s=SETTLE_S)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        # Nothing is left to read where transactions came to nothing, either.
        wait_for("a lag of 0", lambda: self._lags() == (0, 0))

    def _lags(self) -> tuple[int, int]:
        status = self._pipeline.status()
        return status["lag"], status["dead_letter_lag"]

    def _last_words(self) -> str:
        roles = [
            f"{role.role}-{role.instance} {role.state}: {role.detail} {role.figures}"
            for role in read_roles(self._pipeline.data_dir)
        ]
        with self._pipeline.reader() as reader:
            totals = reader.totals()
            jobs = [str(job) for job in reader.jobs() if job.dead_again != job.total]
        settled = f"{totals}, {self._replays} replays asked for"
        admin, topic = KafkaAdmin(self._around.kafka.bootstrap_servers), self._pipeline.settings.orders_topic
        ends = f"{topic} ends at {admin.ends(topic)}, without open transactions at {admin.ends(topic, decided=True)}"
        return "\n".join([*roles, settled, ends, *jobs, *self._pipeline.log().splitlines()[-40:]])


def _chosen(kinds: Iterable[str], asked: Sequence[str]) -> list[str]:
    """All kinds, or those that were asked for."""
    known = list(kinds)
    unknown = set(asked) - set(known)
    if unknown:
        raise UsageError(f"no kinds of faults: {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    return list(asked) or known
