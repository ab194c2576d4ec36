"""The limit to compare with: the shortest loop that gets the same rows into SQLite, as fast as we know to write it.

It consumes, decodes many at once and inserts, in batches of the same size with the same pragmas and a larger page
cache; it has no rules, no index, no figures, no retries, no guard. Run as
`python -m bench.bare SERVERS TOPIC ORDERS DATABASE`.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from itertools import chain
from pathlib import Path

from confluent_kafka import Consumer, Message, TopicPartition

from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec

BATCH_RECORDS = 10_000
CELLS = 8
ROWS = 500
ROW = f"({', '.join('?' * CELLS)})"
MANY = f"INSERT INTO rows VALUES {', '.join([ROW] * ROWS)}"
PRAGMAS = ("page_size = 8192", "journal_mode = WAL", "synchronous = NORMAL", "cache_size = -64000")


def main(servers: str, topic: str, orders: int, database: str) -> None:
    """Reads `orders` orders and prints how long that took from the first batch on."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bare",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # By default it looks again after a second when its queue was full.
            "fetch.queue.backoff.ms": 20,
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    connection = sqlite3.connect(database, isolation_level=None)
    for pragma in (*PRAGMAS, "wal_autocheckpoint = 8000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(
        "CREATE TABLE rows (partition INTEGER, 'offset' INTEGER, order_id TEXT, customer_id TEXT, product TEXT, "
        "region TEXT, price_cents INTEGER, created_at_ms INTEGER)"
    )
    codec = OrderCodec(SchemaStore(Path("schemas")))
    messages = consumer.consume(BATCH_RECORDS, 30)
    began, began_cpu, first = time.perf_counter(), time.process_time(), len(messages)
    done = 0
    while True:
        done += len(messages)
        _insert(connection, codec, messages)
        if done >= orders:
            break
        messages = consumer.consume(BATCH_RECORDS, 1)
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    print(json.dumps({"orders": done, "per_s": (done - first) / seconds, "cpu_us": cpu / done * 1e6}))


def _insert(connection: sqlite3.Connection, codec: OrderCodec, messages: list[Message]) -> None:
    orders = codec.decode_many(list(map(Message.value, messages)))
    assert len(orders) == len(messages), "the bare loop knows plain orders only"
    rows = zip(
        map(Message.partition, messages),
        map(Message.offset, messages),
        orders.order_ids,
        orders.customer_ids,
        orders.products,
        orders.texts["region"],
        orders.prices_cents.tolist(),
        orders.created_at_ms.tolist(),
        strict=True,
    )
    cells = list(chain.from_iterable(rows))
    whole = len(cells) - len(cells) % (CELLS * ROWS)
    connection.execute("BEGIN")
    for start in range(0, whole, CELLS * ROWS):
        connection.execute(MANY, cells[start : start + CELLS * ROWS])
    rest = [cells[start : start + CELLS] for start in range(whole, len(cells), CELLS)]
    connection.executemany(f"INSERT INTO rows VALUES {ROW}", rest)
    connection.execute("COMMIT")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
