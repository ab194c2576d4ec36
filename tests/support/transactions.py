"""A writer that writes in transactions, as Kafka's own exactly-once applications do."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from confluent_kafka import Producer

ANSWER_S = 30.0
ANY_PARTITION = -1
"""The library's sign that it may choose."""


class TransactionalWriter:
    """Writes to one partition, or to any with ANY_PARTITION; each transaction ends as the test says, or not yet.

    What another one of the same name has left open comes to nothing as soon as this one is there.
    """

    def __init__(self, bootstrap_servers: str, name: str = "") -> None:
        own = {"transactional.id": name or f"writer-{uuid.uuid4().hex[:8]}"}
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "log_level": 2, **own})
        self._producer.init_transactions(ANSWER_S)

    def begin(self, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
        """Writes records that nobody may see yet."""
        self._producer.begin_transaction()
        for value in values:
            self._producer.produce(topic, value, partition=partition)
        assert self._producer.flush(ANSWER_S) == 0

    def commit(self) -> None:
        """Lets all see them."""
        self._producer.commit_transaction(ANSWER_S)

    def abort(self) -> None:
        """Lets nobody ever see them."""
        self._producer.abort_transaction(ANSWER_S)

    def write(self, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
        """A whole transaction."""
        self.begin(topic, values, partition)
        self.commit()

    def write_and_abort(self, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
        """A transaction that comes to nothing."""
        self.begin(topic, values, partition)
        self.abort()
