#!/bin/sh
# Library: confluent-kafka 2.16.1 (Python, on librdkafka).
# Guess: position() after seek() is the offset that was sought.
# Behaviour: position() is "one behind the last record consumed" and nothing else. seek() makes it
#   unknown (-1001, OFFSET_INVALID) until a record arrives. After a seek to the end of a quiet topic
#   it stays unknown, so a lag worked out from it is nonsense.
# Seen in November 2026:
#   after reading all: 5
#   after seek(1): -1001
#   after the next record: 2
#   after seek(OFFSET_END) and a second of polling: -1001
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check confluent-kafka==2.16.1
timeout 60 "$tmp/v/bin/python" - <<'PY'
import sys
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

cluster = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1, "log_level": 4})  # a cluster inside this process
broker = next(iter(cluster.list_topics(timeout=10).brokers.values()))
for _ in range(5):
    cluster.produce("orders", b"x", partition=0)
if cluster.flush(10):
    sys.exit("could not write the five records")

consumer = Consumer({"bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "g", "auto.offset.reset": "earliest"})
place = TopicPartition("orders", 0)
seen = []

def position(what):
    seen.append(consumer.position([place])[0].offset)
    print(f"{what}:", seen[-1])

consumer.assign([TopicPartition("orders", 0, 0)])
if len(consumer.consume(5, timeout=20)) != 5:
    sys.exit("could not read the five records")
position("after reading all")
consumer.seek(TopicPartition("orders", 0, 1))
position("after seek(1)")
if consumer.poll(20) is None:
    sys.exit("could not read on")
position("after the next record")
consumer.seek(TopicPartition("orders", 0, OFFSET_END))
consumer.poll(1)
position("after seek(OFFSET_END) and a second of polling")
consumer.close()
if seen != [5, -1001, 2, -1001]:
    sys.exit("CHANGED: position() after seek() is no longer unknown")
PY
