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
REFUSES_A_RECORD = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_RECORD,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    }
)
"""What a broker says of a record that it will not take however often it comes."""
_OF_A_BATCH = REFUSES_A_RECORD | {KafkaError.INVALID_MSG, KafkaError.POLICY_VIOLATION}
"""What a broker says of a whole batch because of one of its records, or because the batch is too large."""
_OF_A_PARTITION = frozenset(
    {
        KafkaError._MSG_TIMED_OUT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    }
)
"""What may be wrong with one partition while others take records."""

_What = tuple[str, bytes | None, bytes | None, int]
"""Topic, value, key and partition."""
_WhenAndMore = tuple[int, list[Any]]
"""Timestamp and headers."""
_Report = Callable[[KafkaError | None, Message | None], None]


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

    `send_id` is what `send` was given. An error is about `partition`, or about more than that where it is -1.
    `refused`: the record was judged alone, and no repetition will change the answer. A tuple, which is made in a third
    of a frozen dataclass's time.
    """

    send_id: str
    topic: str
    partition: int
    offset: int
    error: str
    refused: bool = False


class Sender:
    """Sends records, idempotently, and reports each one's confirmation from inside `poll` and `flush`.

    Connects with the first record, unless asked to before. `message_timeout_ms` 0 keeps trying for ever. A broker
    refuses a batch as a whole: its records are sent again, each alone, before one of them is called refused. Raises
    KafkaUnavailableError when the brokers turn us away as a whole; what is not confirmed then may be in Kafka or not.
    """

    def __init__(self, settings: Settings, cluster: Cluster, message_timeout_ms: int = 0) -> None:
        self._settings = settings
        self._trouble = Trouble(cluster)
        self._config = sender_config(settings, cluster, self._trouble, message_timeout_ms)
        self._producer: Producer | None = None
        self._one_by_one: Producer | None = None
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
        # By position, and in the library's order: it takes names at twice the price.
        what = (topic, value, key, anywhere if partition is None else partition)
        when_and_more: _WhenAndMore = (max(timestamp_ms, 0), list(headers))
        report = partial(self._report, what, when_and_more, send_id, done)
        while True:
            producer = self._connected()
            try:
                producer.produce(*what, report, None, *when_and_more)
            except BufferError:
                self.poll(WAIT_S)
            except KafkaException as error:
                if error.args[0].code() == KafkaError._FATAL:
                    # Its producer id was refused before this record came: poll learns why, and gives it up.
                    self.poll(WAIT_S)
                    continue
                done(self._not_taken(topic, send_id, -1, error.args[0]))
                return
            else:
                return

    def poll(self, timeout_s: float = 0.0) -> None:
        """Hands out the confirmations that have come."""
        one_by_one = self._one_by_one is not None and len(self._one_by_one) > 0
        try:
            if self._producer is not None:
                self._producer.poll(0.0 if one_by_one else timeout_s)
            if self._one_by_one is not None:
                self._one_by_one.poll(timeout_s if one_by_one else 0.0)
        except KafkaException as error:
            self._give_up(error)
        if self._trouble.refusal:
            raise KafkaUnavailableError(f"sending: {self._trouble.refusal}")

    def flush(self, timeout_s: float) -> int:
        """Waits for confirmations; returns how many records still have none."""
        try:
            left = 0 if self._producer is None else int(self._producer.flush(timeout_s))
            # Only now is it known what has to be sent again.
            return left + (0 if self._one_by_one is None else int(self._one_by_one.flush(timeout_s)))
        except KafkaException as error:
            # Whose producer id is refused meanwhile hears of that here, and of each record as it gives up.
            self._give_up(error)
            return 0

    @property
    def trouble(self) -> str:
        """What the client library complained of last."""
        return self._trouble.last

    def close(self) -> None:
        """Gives up what is not confirmed."""
        for producer in (self._producer, self._one_by_one):
            if producer is not None:
                _end(producer)

    def _connected(self) -> Producer:
        if self._producer is None:
            self._producer = new_client(Producer, self._settings, self._config)
            self._may_not_write = False
        return self._producer

    def _give_up(self, error: KafkaException) -> None:
        """Ends producers of which one has failed for good; the next record makes another one."""
        self._may_not_write = error.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED
        if self._may_not_write:
            # It got no producer id, so nothing was sent: each record is reported with that.
            self._trouble.clear()
        self.close()
        self._producer = self._one_by_one = None
        if not self._may_not_write:
            raise KafkaUnavailableError(f"sending: {words_of(error.args[0])}") from error

    def _report(
        self,
        what: _What,
        when_and_more: _WhenAndMore,
        send_id: str,
        done: Callable[[Delivery], None],
        error: KafkaError | None,
        message: Message,
    ) -> None:
        if error is None:
            if self._trouble.last:
                self._trouble.clear()
            done(Delivery(send_id, what[0], message.partition() or 0, message.offset() or 0, ""))
        elif error.code() in _OF_A_BATCH:
            self._send_alone(what, when_and_more, partial(self._report_alone, what[0], send_id, done))
        else:
            done(self._not_taken(what[0], send_id, message.partition(), error))

    def _send_alone(self, what: _What, when_and_more: _WhenAndMore, report: _Report) -> None:
        if self._one_by_one is None:
            alone = {"batch.num.messages": 1, "linger.ms": 0}
            self._one_by_one = new_client(Producer, self._settings, self._config | alone)
        while True:
            try:
                self._one_by_one.produce(*what, report, None, *when_and_more)
            except BufferError:
                self._one_by_one.poll(WAIT_S)
            except KafkaException as error:
                report(error.args[0], None)
                return
            else:
                return

    def _report_alone(
        self,
        topic: str,
        send_id: str,
        done: Callable[[Delivery], None],
        error: KafkaError | None,
        message: Message | None,
    ) -> None:
        partition = None if message is None else message.partition()
        if error is None and message is not None:
            done(Delivery(send_id, topic, partition or 0, message.offset() or 0, ""))
        elif error is not None:
            done(self._not_taken(topic, send_id, partition, error))

    def _not_taken(self, topic: str, send_id: str, partition: int | None, error: KafkaError) -> Delivery:
        about = partition if partition is not None and error.code() in _OF_A_PARTITION else -1
        return Delivery(send_id, topic, about, -1, self._error_of(topic, error), error.code() in REFUSES_A_RECORD)

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
