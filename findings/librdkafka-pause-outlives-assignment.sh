#!/bin/sh
# Library: confluent-kafka 2.16.1 (librdkafka 2.16), Consumer, on librdkafka's own mock cluster.
# Guess: a partition that is given up and assigned again is fetched; a pause ends with its assignment.
# Behaviour: the pause stays with the partition. After incremental_unassign and incremental_assign
#   nothing comes of it, without an error or a message, until somebody calls resume.
# Seen in November 2026:
#   assigned: 3, paused and assigned again: 0, after resume: 3
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check confluent-kafka==2.16.1
cat >"$tmp/f.py" <<'PY'
import time

from confluent_kafka import Consumer, Producer, TopicPartition

quiet = {"log_level": 0, "test.mock.num.brokers": 1}
producer = Producer(quiet)
# The mock cluster lives in the producer; its address is what the metadata says.
broker = next(iter(producer.list_topics("seen", timeout=10).brokers.values()))
for number in range(3):
    producer.produce("seen", b"%d" % number, partition=0)
producer.flush(10)
consumer = Consumer({"bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "g", "log_level": 0})


def read(wanted):
    found, until = 0, time.monotonic() + 5
    while found < wanted and time.monotonic() < until:
        message = consumer.poll(0.2)
        found += message is not None and message.error() is None
    return found


start = TopicPartition("seen", 0, 0)
consumer.incremental_assign([start])
first = read(3)
consumer.pause([start])
consumer.incremental_unassign([start])
consumer.incremental_assign([start])
again = read(3)
consumer.resume([start])
print(f"assigned: {first}, paused and assigned again: {again}, after resume: {read(3)}")
consumer.close()
PY
got=$(timeout 60 "$tmp/v/bin/python" "$tmp/f.py")
echo "$got"
[ "$got" = "assigned: 3, paused and assigned again: 0, after resume: 3" ] ||
  { echo "CHANGED: a pause no longer outlives the assignment" >&2; exit 1; }
