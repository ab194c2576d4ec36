"""What happens on clusters of others: settings and topics that are changed, writers that have habits of their own."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

from pipeline.orders.serde import OrderCodec, SchemaStore
from pipeline.records import Order
from scripts.waiting import wait_for
from tests.support.buffer_rows import NOW_MS
from tests.support.kafkas import PARTITIONS, recreate_topic
from tests.support.order_writer import Account, Kind, OrderWriter
from tests.support.running_pipeline import RunningPipeline
from tests.support.transactions import ANY_PARTITION, TransactionalWriter

GOES_ON_S = 60.0
"""How long what is not hurt may take to be read up to where it ends now, on a machine that is busy."""
OF_ANOTHER_TOPIC = 200
FAULTY_OF_ANOTHER: dict[int, Kind] = {5: "invalid", 50: "malformed", 77: "transient"}
IN_A_TRANSACTION = 50
OPEN_S = 1.0
FORGOTTEN_MS = 2000
"""A transaction whose writer is gone is aborted after so long, and nothing behind it is read before."""
CENTS = 250


class OthersFaults:
    """Some of the kinds of `Faults`. `restart` has the supervisor end by that signal, and starts another one."""

    def __init__(
        self,
        pipeline: RunningPipeline,
        writer: OrderWriter,
        draw: random.Random,
        settle: Callable[[], None],
        wait: Callable[[float], None],
        restart: Callable[[signal.Signals], None],
    ) -> None:
        self._pipeline = pipeline
        self._writer = writer
        self._draw = draw
        self._settle = settle
        self._wait = wait
        self._restart = restart
        self._orders_of_another = 0
        self.kinds: dict[str, Callable[[], None]] = {
            "change the orders topic and back": self._change_the_topic,
            "recreate the orders topic with fewer partitions": self._recreate_with_fewer,
            "write in transactions": self._write_in_transactions,
        }

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

    # -- writers

    def _write_in_transactions(self) -> None:
        """One that all may see, and two that nobody ever may: aborted, and forgotten by who wrote it."""
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
        TransactionalWriter(settings.bootstrap_servers, FORGOTTEN_MS).begin(
            settings.orders_topic, orders, ANY_PARTITION
        )
