"""What happens on clusters of others: settings and topics that are changed, writers that have habits of their own."""

from __future__ import annotations

import itertools
import random
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property

from confluent_kafka.admin import AclOperation

from pipeline.buffer import DeadLetterFilter, HeldTopic, open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.jobs.requests import read_on, request_replay
from pipeline.kafka import Delivery, Sender, records_since
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order, Record
from pipeline.running.statusboard import read_roles
from scripts.waiting import wait_for
from tests.chaos.surroundings import DEAD_LETTERS_OF_OTHERS, OWN_DEAD_LETTERS, Surroundings
from tests.support.buffer_rows import NOW_MS
from tests.support.kafka_admin import KafkaAdmin
from tests.support.kafkas import PARTITIONS, recreate_topic
from tests.support.order_writer import Account, Kind, OrderWriter
from tests.support.transactions import ANY_PARTITION, TransactionalWriter

GOES_ON_S = 60.0
"""How long what is not hurt may take to be read up to where it ends now, on a machine that is busy."""
OF_ANOTHER_TOPIC = 200
FAULTY_OF_ANOTHER: dict[int, Kind] = {5: "invalid", 50: "malformed", 77: "transient"}
IN_A_TRANSACTION = 50
OPEN_S = 1.0
CENTS = 250
OF_OTHERS = 20
COPIES = 100
"""Of each partition's newest records, on a mirror."""
SECOND = 2
"""The broker that is no controller."""
MAX_BYTES = "max.message.bytes"
NARROW_BYTES = 20_000
SMALL_BYTES, SMALL_ONES = 1000, 100
LARGE_BYTES, LARGE_ONES = 50_000, 3
BEHIND_S = 540
"""How far behind the roles' clock is set at most."""


class OthersFaults:
    """Some of the kinds of `Faults`. `restart` has the supervisor end by that signal, and starts another one."""

    def __init__(
        self,
        around: Surroundings,
        writer: OrderWriter,
        draw: random.Random,
        settle: Callable[[], None],
        wait: Callable[[float], None],
        restart: Callable[[signal.Signals], None],
        say: Callable[[str], None],
    ) -> None:
        self._around = around
        self._pipeline = around.pipeline
        self._writer = writer
        self._draw = draw
        self._settle = settle
        self._wait = wait
        self._restart = restart
        self._say = say
        self._orders_of_another = 0
        self._numbers = itertools.count(1)
        self.kinds: dict[str, Callable[[], None]] = {
            "change the orders topic and back": self._change_the_topic,
            "recreate the orders topic with fewer partitions": self._recreate_with_fewer,
            "write in transactions": self._write_in_transactions,
            "write what the dead-letter topic does not take": self._write_too_much,
            "forbid a topic": self._forbid_a_topic,
            "take one of two brokers away": self._take_a_broker,
            "replace the brokers by a mirror": self._replace_by_a_mirror,
        }

    @cached_property
    def _admin(self) -> KafkaAdmin:
        return KafkaAdmin(self._around.kafka.bootstrap_servers)

    # -- settings

    def _change_the_topic(self) -> None:
        """Twice, and within the session: the group deals out partitions of the topic before."""
        before = self._pipeline.settings.orders_topic
        other = f"{before}-other"
        self._read_orders_of(other)
        with OrderWriter(self._pipeline, 0, FAULTY_OF_ANOTHER) as writer:
            writer.write(OF_ANOTHER_TOPIC)
        self._writer.add(writer.account)
        self._orders_of_another += writer.account.orders
        wait_for(
            f"{self._orders_of_another} orders of {other}, and no other ones",
            lambda: self._orders_of(other) == self._orders_of_another,
            GOES_ON_S,
        )
        self._read_orders_of(before)

    def _read_orders_of(self, topic: str) -> None:
        self._pipeline.environment["ORDERPULSE_ORDERS_TOPIC"] = topic
        self._pipeline.settings = self._pipeline.settings.model_copy(update={"orders_topic": topic})
        self._restart(self._draw.choice([signal.SIGTERM, signal.SIGKILL]))

    def _orders_of(self, topic: str) -> int:
        with self._pipeline.reader() as reader:
            rows = reader._rows(
                "SELECT count(*) FROM partitions JOIN topics USING (topic_ref) JOIN order_rows "
                "ON record_id BETWEEN partition_ref << 40 AND (partition_ref << 40) + 1099511627775 "
                f"WHERE topic = '{topic}'"
            )
        return int(rows.rows[0][0])

    # -- topics; what they forget must have been read before, or nobody could say what was lost

    def _recreate_with_fewer(self) -> None:
        with self._writer.pausing():
            self._settle()
            fewer = self._draw.randrange(1, PARTITIONS)
            recreate_topic(self._pipeline.cluster, self._pipeline.settings.orders_topic, fewer)

    def _replace_by_a_mirror(self) -> None:
        """Another cluster holds copies of what was read: they are not read, and what comes behind them is."""
        with self._writer.pausing():
            self._settle()
            copies = [record for topic in self._topics() for record in self._newest_records(topic)]
            self._around.kafka.wipe()
            sender = Sender(self._pipeline.settings, self._pipeline.cluster)
            with closing(sender):
                for each in copies:
                    topic, partition = each.position.topic, each.position.partition
                    sender.send(topic, each.key, each.value, each.headers, _confirmed, partition, each.timestamp_ms)
                assert sender.flush(GOES_ON_S) == 0
            topics = {each.position.topic for each in copies}
            wait_for(f"a stop of {topics}", lambda: {each.topic for each in self._held()} == topics, GOES_ON_S)
            with open_buffer(self._pipeline.settings.database_file) as buffer:
                for held in self._held():
                    read_on(self._pipeline.settings, buffer, wall_clock_ms, held.id, "latest", "chaos")
            wait_for("reading to go on", lambda: not self._held(), GOES_ON_S)
            if OWN_DEAD_LETTERS not in topics:
                self.tell_that_it_holds_no_copies()

    def tell_that_it_holds_no_copies(self) -> None:
        """Dead letters have the roles' time: those that come after that was set back look like copies of older ones."""
        with self._pipeline.reader() as reader:
            [newest_ms] = reader._rows(
                "SELECT coalesce(max(newest_ms), -1) FROM partitions JOIN topics USING (topic_ref) "
                f"WHERE topic = '{OWN_DEAD_LETTERS}'"
            ).rows[0]
        if newest_ms >= wall_clock_ms() - BEHIND_S * 1000:
            tell = ("reread", "--topic", OWN_DEAD_LETTERS, "--from", "earliest", "--yes")
            wait_for("a reread", lambda: self._pipeline.command(*tell).returncode == 0)

    def _topics(self) -> set[str]:
        """Those that are read and are there."""
        settings = self._pipeline.settings
        return {settings.orders_topic, *settings.dlq_topics} & self._admin.topics()

    def _newest_records(self, topic: str) -> Iterator[Record]:
        begin = {partition: max(0, end - COPIES) for partition, end in self._admin.ends(topic).items()}
        return records_since(self._pipeline.settings, self._pipeline.cluster, topic, begin)

    def _held(self) -> list[HeldTopic]:
        with self._pipeline.reader() as reader:
            return reader.held()

    def _write_too_much(self) -> None:
        """Dead letters, as a batch or each, and replays that are larger than their topic allows."""
        small = [(b"one key", b"no order %d" % number + bytes(SMALL_BYTES), ()) for number in range(SMALL_ONES)]
        large = [(b"large", b"no order %d" % number + bytes(LARGE_BYTES), ()) for number in range(LARGE_ONES)]
        before = self._undeliverable()
        with self._narrow(OWN_DEAD_LETTERS):
            self._pipeline.send(*small, *large)
            self._writer.add(Account(dead_letters=len(small) + len(large)))
            wait_for("the large ones", lambda: len(self._undeliverable()) >= len(before) + LARGE_ONES)
        ids = sorted(set(self._undeliverable()) - set(before))[:LARGE_ONES]
        with self._narrow(self._pipeline.settings.orders_topic):
            self._replay_in_vain(ids)

    @contextmanager
    def _narrow(self, topic: str) -> Iterator[None]:
        """A topic takes none of the large ones."""
        sender = Sender(self._pipeline.settings, self._pipeline.cluster)
        with closing(sender), self._admin.topic_config(topic, MAX_BYTES, str(NARROW_BYTES)):
            # Each broker hears of it by itself, and takes some until then.
            for partition in self._admin.ends(topic):
                wait_for(
                    f"{topic}[{partition}] to refuse a large one",
                    lambda partition=partition: self._is_refused(sender, topic, partition),
                )
            yield

    def _is_refused(self, sender: Sender, topic: str, partition: int) -> bool:
        answers: list[Delivery] = []
        sender.send(topic, b"large", bytes(LARGE_BYTES), (), answers.append, partition)
        assert sender.flush(GOES_ON_S) == 0
        if not answers[0].error:
            self._writer.add(Account(dead_letters=1))
        return answers[0].refused

    def _undeliverable(self) -> list[int]:
        """Dead letters that are on no topic for their size; with the clock far ahead, all are for their time."""
        with self._pipeline.reader() as reader:
            rows = reader._rows(f"SELECT id FROM dead_letters WHERE topic IS NULL AND length(value) >= {LARGE_BYTES}")
        return rows.column("id")

    def _replay_in_vain(self, ids: Sequence[int]) -> None:
        """They stay open, so that a replay can be asked for again."""
        settings = self._pipeline.settings
        with open_buffer(settings.database_file) as buffer:
            which = DeadLetterFilter(ids=tuple(ids))
            job_id = request_replay(settings, buffer, wall_clock_ms, which, "chaos", force=True)
        with self._pipeline.reader() as reader:
            wait_for("the end of the replays", lambda: reader.unfinished_job() is None)
            job = reader.job(job_id)
            assert (job.done, job.failed) == (0, len(ids)), job

    # -- topics and partitions that cannot be read or written to

    def _forbid_a_topic(self) -> None:
        """One that is read, or the one that is written to; all others go on."""
        orders = self._pipeline.settings.orders_topic
        topic, operation = self._draw.choice(
            [
                (orders, AclOperation.READ),
                (OWN_DEAD_LETTERS, AclOperation.READ),
                (OWN_DEAD_LETTERS, AclOperation.WRITE),
                (DEAD_LETTERS_OF_OTHERS, AclOperation.READ),
            ]
        )
        self._say(f"nobody may {operation.name} {topic}")
        self._write_letters_of_others()
        with self._admin.forbidding(topic, operation):
            self._write_letters_of_others()
            if operation == AclOperation.READ:
                self._wait_until_named(topic)
                self._wait_until_read(but=topic)
            else:
                wait_for("dead letters that wait", lambda: "dead letters wait" in self._details())
                self._wait_until_read()

    def _take_a_broker(self) -> None:
        """Half of the partitions have no leader meanwhile; the others are read and written to."""
        self._write_letters_of_others()
        self._around.kafka.stop_broker(SECOND)
        try:
            self._wait_until_named(DEAD_LETTERS_OF_OTHERS)
            self._wait_until_read()
        finally:
            self._around.kafka.restart(SECOND)

    def _write_letters_of_others(self) -> None:
        """Onto a topic of theirs, in a dialect that says where a replay goes."""
        origin = (("__connect.errors.topic", self._pipeline.settings.orders_topic.encode()),)
        numbers = [next(self._numbers) for _ in range(OF_OTHERS)]
        letters = [(b"%d" % number, b"letter %d of others" % number, origin) for number in numbers]
        self._pipeline.send(*letters, topic=DEAD_LETTERS_OF_OTHERS)
        self._writer.add(Account(dead_letters=len(letters)))

    def _wait_until_named(self, topic: str) -> None:
        """Until a role says that it cannot read some of a topic."""
        wait_for(f"{topic} among what is not read", lambda: f"{topic}[" in " ".join(self._unreadable()), GOES_ON_S)

    def _unreadable(self) -> Iterator[str]:
        for role in read_roles(self._pipeline.data_dir):
            yield from role.figures.get("unreadable", ())

    def _details(self) -> str:
        return "; ".join(role.detail for role in read_roles(self._pipeline.data_dir))

    def _wait_until_read(self, but: str = "") -> None:
        """Until all partitions that have a leader are read up to where they end now, except of this topic."""
        for topic in self._topics() - {but}:
            ends = self._admin.ends(topic)
            wait_for(f"{topic} up to {ends}", lambda topic=topic, ends=ends: self._is_read(topic, ends), GOES_ON_S)

    def _is_read(self, topic: str, ends: Mapping[int, int]) -> bool:
        with self._pipeline.reader() as reader:
            rows = reader.partitions()
        # The newest generation comes last.
        next_offsets = {row[2]: row[3] for row in rows.rows if row[1] == topic}
        return all(next_offsets.get(partition, 0) >= end for partition, end in ends.items())

    # -- writers

    def _write_in_transactions(self) -> None:
        """One that all may see, and two that nobody ever may: aborted, and left open until its writer's successor."""
        settings = self._pipeline.settings
        codec = OrderCodec(SchemaStore(settings.schemas_dir))
        orders = [
            codec.encode(Order(f"T-{number}", f"C{number}", "Cup", CENTS, NOW_MS)) for number in range(IN_A_TRANSACTION)
        ]
        writer = TransactionalWriter(settings.bootstrap_servers)
        writer.begin(settings.orders_topic, orders, ANY_PARTITION)
        self._wait(OPEN_S)
        writer.commit()
        self._writer.add(Account(orders=len(orders), revenue_cents=len(orders) * CENTS))
        writer.write_and_abort(settings.orders_topic, orders, ANY_PARTITION)
        writer.write_and_abort(settings.own_dlq_topic, [b"not an order"], ANY_PARTITION)
        name = f"successors-{next(self._numbers)}"
        TransactionalWriter(settings.bootstrap_servers, name).begin(settings.orders_topic, orders, ANY_PARTITION)
        self._wait(OPEN_S)
        # Not left to the brokers' timeout: restarted within it, they were seen to leave a transaction open for good.
        TransactionalWriter(settings.bootstrap_servers, name)


def _confirmed(delivery: Delivery) -> None:
    assert not delivery.error, delivery.error
