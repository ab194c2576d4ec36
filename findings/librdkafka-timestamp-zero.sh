#!/bin/sh
# Library: confluent-kafka 2.16.1 (Python, on librdkafka).
# Guess: produce(timestamp=0) writes a record of 1970-01-01T00:00:00Z, as timestamp=1 writes one of a
#   millisecond later. Records of time 0 exist, and a copy of a topic should keep them.
# Behaviour: 0 stands for "no time given": the record gets the current time, without an error. A
#   replay of such a record makes it look new.
# Seen in November 2026:
#   timestamp=0 arrived as the current time
#   timestamp=1 arrived as 1
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check confluent-kafka==2.16.1
timeout 60 "$tmp/v/bin/python" - <<'PY'
import sys, time
from confluent_kafka import Consumer, Producer, TopicPartition

cluster = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1, "log_level": 4})  # a cluster inside this process
broker = next(iter(cluster.list_topics(timeout=10).brokers.values()))
now = time.time() * 1000
for timestamp in (0, 1):
    cluster.produce("orders", b"x", partition=0, timestamp=timestamp)
    if cluster.flush(10):
        sys.exit("could not write a record")

consumer = Consumer({"bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "g"})
consumer.assign([TopicPartition("orders", 0, 0)])
records = consumer.consume(2, timeout=20)
consumer.close()
if len(records) != 2:
    sys.exit("could not read the two records")
zero, one = (record.timestamp()[1] for record in records)
is_now = abs(zero - now) < 60_000
print("timestamp=0 arrived as", "the current time" if is_now else zero)
print("timestamp=1 arrived as", one)
if not is_now or one != 1:
    sys.exit("CHANGED: timestamp=0 is no longer the current time")
PY
