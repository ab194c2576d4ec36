"""Lets kcat write dead letters of Apache Kafka as JSON: `python -m tests.writers.kcat.write FILE` (needs kcat).

Beside FILE, `.records.jsonl` has the same records as a consumer gets them, bytes in base64.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.records import Headers
from scripts.local.cluster import KafkaCluster
from tests.support.recordings import recordings

TOPIC = "incident-dlq"
PARTITIONS = 2
TIMESTAMP_MS = 1_764_324_000_000
KCAT = ("kcat", "-C", "-t", TOPIC, "-o", "beginning", "-e", "-q", "-J")
FROM_EACH_WRITER = 2

Written = tuple[bytes | None, bytes | None, Headers]
ODD: tuple[Written, ...] = (
    (None, None, ()),
    (b"", b"", (("empty", b""), ("null", None))),
    (b"\x00\xff", bytes(range(256)), (("bytes", b"\xff\x00\x80"), ("again", b"1"), ("again", b"2"))),
    (b"surrogates", b"\xed\xa0\x80 \xc0\x80 \xf4\x90\x80\x80", ()),
    (b"replaced", "\N{REPLACEMENT CHARACTER} \N{LINE SEPARATOR}".encode(), (("ü", "ö €".encode()),)),
    (b"html", b'<script>alert(1)</script> "\\/\b\f\n\r\t\x7f', (("<b>", b"</script>"),)),
)


def written() -> list[Written]:
    """What stands in the topic: records that are odd, and some dead letters of each writer."""
    of_writers: dict[str, list[Written]] = {}
    for name, record in recordings().items():
        of_writers.setdefault(name.partition("/")[0], []).append((record.key, record.value, record.headers))
    return [*ODD, *(each for some in of_writers.values() for each in some[:FROM_EACH_WRITER])]


def main(file: Path) -> None:
    """Writes both files."""
    with tempfile.TemporaryDirectory() as folder, KafkaCluster(Path(folder)) as kafka:
        servers = {"bootstrap.servers": kafka.bootstrap_servers}
        admin = AdminClient(servers)
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result()
        producer = Producer(servers)
        for number, (key, value, headers) in enumerate(written()):
            producer.produce(
                TOPIC, value, key, number % PARTITIONS, timestamp=TIMESTAMP_MS + number, headers=list(headers)
            )
        producer.flush()
        said = subprocess.run([*KCAT, "-b", kafka.bootstrap_servers], capture_output=True, check=True)
        file.write_bytes(said.stdout)
        lines = "".join(f"{json.dumps(each)}\n" for each in _read(servers))
        file.with_suffix(".records.jsonl").write_text(lines)


def _read(servers: dict[str, str]) -> list[dict[str, Any]]:
    consumer = Consumer(servers | {"group.id": "recording", "enable.partition.eof": True})
    found, ended = [], 0
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
    while ended < PARTITIONS:
        message = consumer.poll(10)
        assert message is not None
        if message.error() is not None:
            ended += 1
            continue
        headers = [[name, _encoded(value)] for name, value in message.headers() or ()]
        place = {"partition": message.partition(), "offset": message.offset(), "timestamp_ms": message.timestamp()[1]}
        found.append(place | {"key": _encoded(message.key()), "value": _encoded(message.value()), "headers": headers})
    consumer.close()
    return sorted(found, key=lambda each: (each["partition"], each["offset"]))


def _encoded(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
