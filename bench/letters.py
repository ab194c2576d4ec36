"""A million dead letters of 200 causes, as they lie in Kafka and as a collector puts them into a buffer.

The same for the same seed. Most causes go on all the time, a few are nearly everything, and one began only today.
`python -m bench.letters FILE COUNT` fills a buffer, `python -m bench.letters --kafka SERVERS COUNT` their topics.
"""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import NamedTuple

from bench.letter_causes import Cause, Incident, causes
from bench.orders import PARTITIONS, make_producer, make_topic
from pipeline.buffer import Advance, Buffer, DeadLetterFilter, Sent, open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.dead_letters.letters import dead_letter_row
from pipeline.headers import dead_letter_id_of
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.samples import CATALOGUE, REGIONS
from pipeline.orders.serde import OrderCodec
from pipeline.records import Headers, Order, Position, Record, TopicIdentity

BATCH_LETTERS = 4000
BATCHES_A_DAY = 10
DAY_MS = 86_400_000
CLUSTER = "letters-cluster"
TODAYS_SHARE = 0.0005
"""Of all dead letters, those of the cause that began today."""
DISCARDED_EACH, REPLAYED_EACH = 17, 29
"""One dead letter in so many was discarded, and one in so many recovered when it was replayed."""
REPLAYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class LetterLoad:
    """So many dead letters of so many causes over some days, the last of which ends at `until_ms`."""

    letters: int
    causes: int = 200
    days: int = 14
    seed: int = 1
    until_ms: int = 1_767_268_800_000
    """2026-01-01 12:00:00 UTC."""

    @property
    def all_causes(self) -> list[Cause]:
        """The causes, the one that began today last."""
        return causes(self.causes, self.seed)


class DeadLetter(NamedTuple):
    """A record of a dead-letter topic, and the order in it, if it is one."""

    record: Record
    order: Order | None


def dead_letters(load: LetterLoad) -> Iterator[DeadLetter]:
    """One after the other, as they failed."""
    draw = random.Random(load.seed)
    codec = OrderCodec(SchemaStore(Path("schemas")))
    all_causes = load.all_causes
    usual, todays = all_causes[:-1], all_causes[-1]
    # Each is a little rarer than the one before it: the first ten are half of all.
    weights = list(accumulate(1 / (rank + 5) for rank in range(len(usual))))
    begin_ms, span_ms = load.until_ms - load.days * DAY_MS, load.days * DAY_MS
    next_offset: defaultdict[tuple[str, int], int] = defaultdict(int)
    since_today = load.until_ms - DAY_MS // 6
    of_today = max(1, round(load.letters * TODAYS_SHARE))
    for number in range(load.letters):
        failed_at_ms = begin_ms + span_ms * (number + 1) // load.letters
        left = load.letters - number
        is_todays = left <= of_today or (failed_at_ms >= since_today and draw.random() < 2 * of_today / (left + 1))
        if is_todays and of_today:
            cause, of_today = todays, of_today - 1
        else:
            cause = draw.choices(usual, cum_weights=weights)[0]
        yield _dead_letter(draw, codec, cause, number, failed_at_ms, next_offset)


def _dead_letter(
    draw: random.Random,
    codec: OrderCodec,
    cause: Cause,
    number: int,
    failed_at_ms: int,
    next_offset: defaultdict[tuple[str, int], int],
) -> DeadLetter:
    customer = f"C{draw.randrange(100_000):05d}"
    partition = hash_of(customer) % PARTITIONS
    offset = next_offset[cause.dead_letter_topic, partition]
    next_offset[cause.dead_letter_topic, partition] += 1
    source = Position(cause.source_topic, partition, number * 7 + draw.randrange(7))
    written_at_ms = failed_at_ms - draw.randrange(20, 90_000)
    trace_id = f"{draw.getrandbits(64):016x}"
    identity = TopicIdentity(CLUSTER, source.topic, "id")
    name = dead_letter_id_of(identity, source.partition, source.offset)
    incident = Incident(source, written_at_ms, failed_at_ms, customer, draw.randrange(10_000_000), trace_id, name)
    headers: Headers = cause.write_headers(cause, incident)
    product, lowest, highest, _ = CATALOGUE[int(draw.random() * len(CATALOGUE))]
    order = None
    if cause.source_topic == "orders":
        order = Order(
            f"ORD-{draw.getrandbits(48):012x}",
            customer,
            product,
            lowest + int(draw.random() * (highest - lowest)),
            written_at_ms,
            REGIONS[draw.getrandbits(2)],
        )
        value = codec.encode(order)
    else:
        value = json.dumps(
            {
                "id": f"{draw.getrandbits(48):012x}",
                "customer": {"id": customer, "country": draw.choice(("DE", "FR", "PL", "SE"))},
                "product": product,
                "amount": draw.randrange(100, 90_000) / 100,
                "at": written_at_ms,
                "service": cause.service,
            }
        ).encode()
    # Connect keeps the record's own time.
    timestamp_ms = written_at_ms if cause.dead_letter_topic.endswith("-errors") else failed_at_ms
    position = Position(cause.dead_letter_topic, partition, offset)
    return DeadLetter(Record(position, timestamp_ms, customer.encode(), value, headers), order)


def hash_of(text: str) -> int:
    """The same in every run, which Python's own is not."""
    return int.from_bytes(text.encode()) % 65_521


def fill_buffer(file: Path, load: LetterLoad) -> None:
    """Collects all of them, then discards and replays some, as people would."""
    with open_buffer(file) as buffer:
        refs: dict[tuple[str, int], int] = {}
        ends: dict[tuple[str, int], int] = {}
        coming = dead_letters(load)
        # What tells no time of its failure failed when it was collected: that is not to be all at once.
        at_once = min(BATCH_LETTERS, load.letters // (load.days * BATCHES_A_DAY) + 1)
        while some := list(islice(coming, at_once)):
            _collect(buffer, some, refs, ends)
        for first in range(1, load.letters + 1, BATCH_LETTERS):
            _look_after(buffer, range(first, min(first + BATCH_LETTERS, load.letters + 1)), load.until_ms)


def _collect(
    buffer: Buffer,
    letters: list[DeadLetter],
    refs: dict[tuple[str, int], int],
    ends: dict[tuple[str, int], int],
) -> None:
    now_ms = letters[-1].record.timestamp_ms
    rows = []
    begins: dict[tuple[str, int], int] = {}
    for record, order in letters:
        key = (record.position.topic, record.position.partition)
        identity = TopicIdentity(CLUSTER, key[0], "id")
        if key not in refs:
            refs[key] = buffer.flow.assign("collector", identity, key[1], 0, now_ms).ref
            ends[key] = 0
        begins.setdefault(key, ends[key])
        ends[key] = record.position.offset + 1
        rows.append(dead_letter_row(record, refs[key], identity, order))
    advances = [Advance(refs[key], begin, ends[key]) for key, begin in begins.items()]
    assert buffer.dead_letters.collect(advances, rows, now_ms) == len(rows)


def _look_after(buffer: Buffer, ids: range, now_ms: int) -> None:
    """Some are discarded, and some replayed with success; the newest are as they came."""
    discarded = [each for each in ids if each % DISCARDED_EACH == 0]
    buffer.dead_letters.triage(discarded, "discarded", now_ms)
    replayed = tuple(each for each in ids if each % REPLAYED_EACH == 0 and each % DISCARDED_EACH)
    if not replayed:
        return
    params, request_id = '{"rate": 0, "force": false}', f"letters-{ids.start}"
    job_id = buffer.jobs.queue_replay(params, DeadLetterFilter(ids=replayed), None, "bench", request_id, now_ms)
    assert job_id is not None
    buffer.jobs.next_job(now_ms)
    while items := buffer.jobs.planned_items(job_id, REPLAYS_AT_ONCE):
        sent = [Sent(item.replay_id, item.topic or "", 0, item.dead_letter_id) for item in items]
        buffer.jobs.open_send_window(job_id, "{}", [item.replay_id for item in items])
        buffer.jobs.close_send_window(job_id, len(sent), 0, sent, {}, now_ms)
    buffer.jobs.finish(job_id, "done", now_ms)
    buffer.dead_letters.triage(replayed, "recovered", now_ms)


def fill_topics(bootstrap_servers: str, load: LetterLoad) -> list[str]:
    """Sends them to dead-letter topics, which it makes and returns."""
    topics = sorted({cause.dead_letter_topic for cause in load.all_causes})
    for topic in topics:
        make_topic(bootstrap_servers, topic, PARTITIONS)
    producer = make_producer(bootstrap_servers)
    for record, _ in dead_letters(load):
        topic, partition = record.position.topic, record.position.partition
        headers: list[tuple[str, str | bytes | None]] = list(record.headers)
        while True:
            try:
                producer.produce(
                    topic,
                    key=record.key,
                    value=record.value,
                    headers=headers,
                    partition=partition,
                    timestamp=record.timestamp_ms,
                )
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    return topics


if __name__ == "__main__":
    if sys.argv[1] == "--kafka":
        print(*fill_topics(sys.argv[2], LetterLoad(int(sys.argv[3]), until_ms=wall_clock_ms())))
    else:
        fill_buffer(Path(sys.argv[1]), LetterLoad(int(sys.argv[2])))
