"""Fills the orders topic as a busy shop's own programs would: random ids, many customers, no headers of ours.

`python -m bench.orders SERVERS TOPIC RATE SECONDS` sends orders of this very moment at a steady rate.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from bench.handlers import FAILS_ONCE
from pipeline.clock import wall_clock_ms
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.samples import CATALOGUE, REGIONS
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order

PARTITIONS = 4
QUEUE_RECORDS = 1_000_000
PACE_S = 0.001


@dataclass(frozen=True, slots=True)
class Load:
    """What a topic is filled with. Shares are of the orders; a transient failure works at the second attempt."""

    orders: int
    transient_share: float = 0.0
    invalid_share: float = 0.0
    seed: int = 1


def make_topic(bootstrap_servers: str, topic: str, partitions: int = PARTITIONS) -> None:
    """Makes a topic and waits until it is there."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])[topic].result(30)


def make_producer(bootstrap_servers: str) -> Producer:
    """A producer of many records, which fall on partitions as Java's do."""
    return Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 50,
            "queue.buffering.max.messages": QUEUE_RECORDS,
            "partitioner": "murmur2_random",
        }
    )


def fill(bootstrap_servers: str, load: Load, topic: str) -> None:
    """Sends a load to a topic and waits for every confirmation."""
    producer = make_producer(bootstrap_servers)
    for key, value, headers in _records(load):
        while True:
            try:
                producer.produce(topic, key=key, value=value, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def values(load: Load) -> list[bytes]:
    """The values alone."""
    return [value for _, value, _ in _records(load)]


def _records(load: Load) -> Iterator[tuple[bytes, bytes, list[tuple[str, str | bytes | None]] | None]]:
    codec = OrderCodec(SchemaStore(Path("schemas")))
    draw = random.Random(load.seed)
    for _ in range(load.orders):
        product, lowest, highest, _ = CATALOGUE[int(draw.random() * len(CATALOGUE))]
        fate = draw.random()
        invalid = fate < load.invalid_share
        transient = not invalid and fate < load.invalid_share + load.transient_share
        order = Order(
            f"ORD-{draw.getrandbits(48):012x}",
            f"C{draw.getrandbits(32):08x}",
            product,
            0 if invalid else lowest + int(draw.random() * (highest - lowest)),
            wall_clock_ms(),
            REGIONS[draw.getrandbits(2)],
        )
        yield order.customer_id.encode(), codec.encode(order), [(FAILS_ONCE, b"")] if transient else None


def stream(bootstrap_servers: str, topic: str, per_s: float, seconds: float) -> None:
    """Sends orders as they would be made: each says when it was, and leaves at once."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "partitioner": "murmur2_random"})
    # Encoding costs more than sending: only the time is replaced in orders that were encoded before.
    codec = OrderCodec(SchemaStore(Path("schemas")))
    templates = [_split(codec, value) for _, value, _ in _records(Load(1000))]
    began, sent = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        created_at = _zigzag(wall_clock_ms())
        due = int(elapsed * per_s)
        # All at once, which takes half of the time: what the source takes of the two cores, the pipeline has not.
        messages = []
        for number in range(sent, due):
            head, tail = templates[number % len(templates)]
            messages.append({"key": b"C%08x" % number, "value": head + created_at + tail})
        assert producer.produce_batch(topic, messages) == len(messages)
        sent = due
        producer.poll(PACE_S)
    producer.flush()


def _split(codec: OrderCodec, value: bytes) -> tuple[bytes, bytes]:
    """What stands before and after `created_at`."""
    head, _, tail = value.rpartition(_zigzag(codec.decode(value).created_at_ms))
    return head, tail


def _zigzag(number: int) -> bytes:
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


if __name__ == "__main__":
    stream(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
