"""Sends records and reports the confirmation of each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pipeline.errors import KafkaUnavailableError
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.client import LEAVE_S, Trouble, client_config, new_client, words_of
from pipeline.kafka.connection.properties import set_default
from pipeline.kafka.connection.refusals import Asked, in_words
from pipeline.settings import Settings

log = logging.getLogger(__name__)

WAIT_S = 0.1
"""How long one poll lasts where a record cannot be queued."""
DEAD_LETTER_TIMEOUT_MS = 30_000
"""So long a dead letter may be on its way; without a confirmation it stays in the outbox."""


def sender_config(settings: Settings, cluster: Cluster, trouble: Trouble, message_timeout_ms: int) -> dict[str, Any]:
    """The properties of a sender."""
    config = client_config(settings, cluster, "producer", trouble)
    config |= {"enable.idempotence": True, "acks": "all"}
    set_default(config, "message.timeout.ms", message_timeout_ms)
    set_default(config, "linger.ms", 5)
    # Java's default partitioner, so that a key goes where the writers of other languages put it.
    set_default(config, "partitioner", "murmur2_random")
    return config


class Delivery(NamedTuple):
    """What became of one record that was sent. `error` empty: confirmed by all in-sync replicas at `offset`.

    `send_id` is what `send` was given. A tuple, which is made in a third of a frozen dataclass's time.
    """

    send_id: str
    topic: str
    partition: int
    offset: int
    error: str


class Sender:
    """Sends records, idempotently, and reports each one's confirmation from inside `poll` and `flush`.

    Connects with the first record, unless asked to before. `message_timeout_ms` 0 keeps trying for ever. Raises
    KafkaUnavailableError when the brokers turn us away as a whole; what is not confirmed then may be in Kafka or not.
    """

    def __init__(self, settings: Settings, cluster: Cluster, message_timeout_ms: int = 0) -> None:
        self._settings = settings
        self._trouble = Trouble(cluster)
        self._config = sender_config(settings, cluster, self._trouble, message_timeout_ms)
        self._producer: Producer | None = None
        self._may_not_write = False

    def connect(self) -> None:
        """Connects now, so that the first record need not wait for it."""
        # The library asks for its producer id at once, finds no connection yet, and asks again after half a second.
        self._connected()

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes | None]],
        done: Callable[[Delivery], None],
        partition: int | None = None,
        timestamp_ms: int = 0,
        send_id: str = "",
    ) -> None:
        """Queues one record; waits while the queue is full. `timestamp_ms` 0 is now.

        `send_id` comes back in the Delivery, so that one `done` can serve many records.
        """
        anywhere = -1  # the library's sign that the key decides
        while True:
            producer = self._connected()
            try:
                # By position: the library takes names at twice the price.
                producer.produce(
                    topic,
                    value,
                    key,
                    anywhere if partition is None else partition,
                    partial(self._report, topic, send_id, done),
                    None,
                    max(timestamp_ms, 0),
                    list(headers),
                )
            except BufferError:
                self.poll(WAIT_S)
            except KafkaException as error:
                if error.args[0].code() == KafkaError._FATAL:
                    # Its producer id was refused before this record came: poll learns why, and gives it up.
                    self.poll(WAIT_S)
                    continue
                done(Delivery(send_id, topic, -1, -1, self._error_of(topic, error.args[0])))
                return
            else:
                return

    def poll(self, timeout_s: float = 0.0) -> None:
        """Hands out the confirmations that have come."""
        if self._producer is None:
            return
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            self._give_up(self._producer, error)
        if self._trouble.refusal:
            raise KafkaUnavailableError(f"sending: {self._trouble.refusal}")

    def flush(self, timeout_s: float) -> int:
        """Waits for confirmations; returns how many records still have none."""
        return 0 if self._producer is None else int(self._producer.flush(timeout_s))

    @property
    def trouble(self) -> str:
        """What the client library complained of last."""
        return self._trouble.last

    def close(self) -> None:
        """Gives up what is not confirmed."""
        if self._producer is not None:
            _end(self._producer)

    def _connected(self) -> Producer:
        if self._producer is None:
            self._producer = new_client(Producer, self._settings, self._config)
            self._may_not_write = False
        return self._producer

    def _give_up(self, producer: Producer, error: KafkaException) -> None:
        """Ends a producer that has failed for good; the next record makes another one."""
        self._producer = None
        self._may_not_write = error.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED
        if not self._may_not_write:
            _end(producer)
            raise KafkaUnavailableError(f"sending: {words_of(error.args[0])}") from error
        # It got no producer id, so nothing was sent: each record is reported as refused.
        self._trouble.clear()
        _end(producer)

    def _report(
        self, topic: str, send_id: str, done: Callable[[Delivery], None], error: KafkaError | None, message: Message
    ) -> None:
        if error is not None:
            done(Delivery(send_id, topic, message.partition() or 0, -1, self._error_of(topic, error)))
            return
        if self._trouble.last:
            self._trouble.clear()
        done(Delivery(send_id, topic, message.partition() or 0, message.offset() or 0, ""))

    def _error_of(self, topic: str, error: KafkaError) -> str:
        asked = Asked("Write", topic)
        if self._may_not_write:
            return in_words("CLUSTER_AUTHORIZATION_FAILED", "Cluster authorization failed", asked)
        return words_of(error, asked)


def _end(producer: Producer) -> None:
    producer.purge()
    try:
        producer.flush(LEAVE_S)
    except KafkaException as error:
        log.debug("ending a producer: %s", error)
