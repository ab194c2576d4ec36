#!/bin/sh
# Library: confluent-kafka 2.16.1 (librdkafka 2.16), Consumer, on librdkafka's own mock cluster.
# Guess: records that wait in Kafka come as soon as their partition is resumed.
# Behaviour: a resume does not wake the thread that fetches; with nothing else to fetch it looks again when its sleep
#   of up to a second is over. A seek to where the partition is wakes it. A cooperative rebalance pauses and resumes
#   all partitions that stay with a member, so these stand for up to a second too.
# Seen in November 2026, of 12 resumes each:
#   slowest: resumed 934 ms, resumed and sought 5 ms
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$tmp/v"
timeout 300 "$tmp/v/bin/pip" install -q --disable-pip-version-check confluent-kafka==2.16.1
cat >"$tmp/f.py" <<'PY'
import time

from confluent_kafka import Consumer, Producer, TopicPartition

producer = Producer({"log_level": 0, "test.mock.num.brokers": 1})
# The mock cluster lives in the producer; its address is what the metadata says.
broker = next(iter(producer.list_topics("seen", timeout=10).brokers.values()))
config = {"bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "g", "log_level": 0}
consumer = Consumer(config | {"fetch.wait.max.ms": 50})


def read(wait_s):
    until = time.monotonic() + wait_s
    while (left := until - time.monotonic()) > 0:
        message = consumer.poll(left)
        if message is not None and message.error() is None:
            return True
    return False


def slowest(with_seek):
    longest_ms = 0.0
    for turn in range(12):
        consumer.pause([partition])
        # The last fetch comes back empty, and the thread goes to sleep; another moment of its sleep each time.
        assert not read(0.3 + turn * 0.07)
        producer.produce("seen", b"x", partition=0)
        producer.flush(10)
        began = time.monotonic()
        consumer.resume([partition])
        if with_seek:
            [position] = consumer.position([partition])
            consumer.seek(position)
        assert read(10)
        longest_ms = max(longest_ms, (time.monotonic() - began) * 1000)
    return longest_ms


partition = TopicPartition("seen", 0, 0)
producer.produce("seen", b"x", partition=0)
producer.flush(10)
consumer.assign([partition])
assert read(10)
resumed, sought = slowest(False), slowest(True)
print(f"slowest: resumed {resumed:.0f} ms, resumed and sought {sought:.0f} ms")
consumer.close()
raise SystemExit(not (resumed > 400 and sought < 200))
PY
timeout 120 "$tmp/v/bin/python" "$tmp/f.py" || { echo "CHANGED: a resume fetches at once" >&2; exit 1; }
