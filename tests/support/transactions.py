"""A writer that writes in transactions, as Kafka's own exactly-once applications do."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from confluent_kafka import Producer

ANSWER_S = 30.0


class TransactionalWriter:
    """Writes to one partition; each transaction ends as the test says, or not yet."""

    def __init__(self, bootstrap_servers: str) -> None:
        name = f"writer-{uuid.uuid4().hex[:8]}"
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": name, "log_level": 2})
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
