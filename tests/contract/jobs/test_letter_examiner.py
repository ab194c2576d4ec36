"""What Kafka is asked about one dead letter: its original, records of its key, a good one, and how long it is kept."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import TopicPartition

from pipeline.buffer import Advance, Buffer, open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.dead_letters.letter.comparing import Difference
from pipeline.dead_letters.letter.examined import Examined, examined_from, examined_to_json
from pipeline.errors import UsageError
from pipeline.headers.own import REPLAY_OF
from pipeline.jobs.letter_examiner import LetterExaminer
from pipeline.kafka import BROKER_FILE
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.formats.schemas import Schemas
from pipeline.records import TopicIdentity
from tests.support.buffer_rows import accept, collect, collector, dead_letter
from tests.support.kafka_admin import KafkaAdmin
from tests.support.kafkas import Kafka, Sent, on_kafka, recreate_topic

GOOD = b'{"id": %d, "price": 19.99, "country": "DE"}'
BAD = b'{"id": 20, "price": null, "note": "<script>"}'
AT = 20
LONG_MS = 30_000


class Bench:
    """A topic with 40 records of which that at offset 20 is a dead letter of the buffer."""

    def __init__(self, kafka: Kafka, *, bad: bytes = BAD, key: bytes | None = b"c-2", count: int = 40) -> None:
        self.kafka = kafka
        self.began_ms = wall_clock_ms()
        kafka.make_topic()
        records = [Sent(GOOD % number, b"c-%d" % (number % 3), partition=0) for number in range(count)]
        records[AT] = Sent(bad, key, partition=0)
        kafka.send(*(record for record in records))
        self.identity = kafka.view().identities([kafka.topic])[kafka.topic]
        # The demo cluster of other tests has its address in its folder; a buffer each test has for itself.
        folder = Path(tempfile.mkdtemp(dir=kafka.settings.data_dir))
        if kafka.cluster.demo_id:
            shutil.copy(kafka.settings.data_dir / BROKER_FILE, folder / BROKER_FILE)
        self.settings = kafka.with_settings(data_dir=folder)
        self.buffer: Buffer = open_buffer(self.settings.database_file)
        self.bad, self.key = bad, key

    def accept_all(self) -> None:
        """All others are accepted orders."""
        now_ms = wall_clock_ms()
        source = self.buffer.flow.assign("processor", self.identity, 0, 0, now_ms)
        accept(self.buffer, source, 0, AT)
        self.buffer.flow.skip(source.ref, AT, AT + 1, now_ms, "")
        accept(self.buffer, source, AT + 1, 19)

    def dead_letter(self, **fields: Any) -> int:
        """Collects it, as a record of a dead-letter topic that Kafka does not have, unless one is named."""
        now_ms = wall_clock_ms()
        dead = fields.pop("dead", TopicIdentity(self.identity.cluster_id, "gone-dlq"))
        assignment = self.buffer.flow.assign("collector", dead, 0, 0, now_ms)
        where = {"topic": dead.topic, "source_topic": self.kafka.topic, "source_offset": AT}
        row = dead_letter(assignment.ref, 0, "dl-20", key=self.key, value=self.bad, **where)._replace(**fields)
        self.buffer.dead_letters.collect([Advance(assignment.ref, 0, 1)], [row], now_ms)
        return 1

    def examine(self, identifier: int = 1, most_ms: int = LONG_MS, **limits: int) -> Examined:
        schemas = Schemas(SchemaStore(self.settings.schemas_dir), None)
        examiner = LetterExaminer(self.settings, schemas, wall_clock_ms, most_ms=most_ms, **limits)
        return examined_from(json.loads(examined_to_json(examiner.examine(identifier))))


@on_kafka()
def test_records_of_its_key_are_told_with_what_became_of_them(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.accept_all()
    bench.dead_letter()
    around = bench.examine().around
    offsets = [each.offset for each in around.records]
    assert offsets == [2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35, 38]
    assert (around.older, around.newer, around.cut, around.why_not) == (6, 6, "", "")
    assert around.looked == "40 records at offsets 0 to 39"
    told = {each.offset: each for each in around.records}
    assert (told[20].what, told[20].value) == ("the original", '{"id":20,"price":null,"note":"<script>"}')
    assert {told[offset].what for offset in offsets if offset != 20} == {"an order"}
    assert told[23].value == '{"id":23,"price":19.99,"country":"DE"}'
    assert told[23].timestamp_ms >= bench.began_ms


@on_kafka()
def test_a_good_record_of_the_same_key_says_what_is_odd(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.accept_all()
    bench.dead_letter()
    good = bench.examine().good
    assert good.position in (f"{kafka.topic}[0] offset 17", f"{kafka.topic}[0] offset 23")
    assert (good.what, good.format, good.why_not) == ("an accepted order, of the same key", "JSON", "")
    assert '"country": "DE"' in good.value
    assert good.count == 39
    assert good.comparison.differences == (
        Difference("country", "missing", "", 'text, as "DE"'),
        Difference("price", "null", "null", "number, as 19.99"),
        Difference("note", "extra", '"<script>"', "not there"),
    )


@on_kafka()
def test_of_a_topic_that_is_not_processed_good_is_what_is_not_known_to_have_failed(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.dead_letter()
    examined = bench.examine()
    assert examined.good.what == "a record that is not known to have failed, of the same key"
    assert {each.what for each in examined.around.records} == {"the original", ""}


@on_kafka()
def test_another_dead_letter_is_no_good_record(kafka: Kafka) -> None:
    bench = Bench(kafka, count=22)
    bench.dead_letter()
    assignment = collector(bench.buffer)
    others = [offset for offset in range(22) if offset != AT]
    rows = [
        dead_letter(assignment.ref, place, source_topic=kafka.topic, source_offset=offset)
        for place, offset in enumerate(others)
    ]
    collect(bench.buffer, assignment, 0, *rows)
    examined = bench.examine()
    assert examined.good.why_not == "no record was found near it that can be read and is not known to have failed"
    assert {each.what for each in examined.around.records} == {"the original", "a dead letter"}


@on_kafka()
def test_what_cannot_be_read_is_compared_with_nothing_and_a_good_one_is_shown(kafka: Kafka) -> None:
    bench = Bench(kafka, bad=b"\xff\x00broken")
    bench.dead_letter()
    good = bench.examine().good
    assert good.comparison.differences == ()
    assert good.why_not.startswith("no schema reads its own value")
    assert '"country": "DE"' in good.value


@on_kafka()
def test_a_replay_of_it_is_no_newer_record(kafka: Kafka) -> None:
    bench = Bench(kafka, count=21)
    bench.dead_letter()
    kafka.send(Sent(BAD, b"c-2", headers=((REPLAY_OF, b"dl-20"),), partition=0))
    around = bench.examine().around
    assert around.newer == 0
    assert around.records[-1].what == "its replay"
    kafka.send(Sent(GOOD % 99, b"c-2", partition=0))
    assert bench.examine().around.newer == 1


@on_kafka()
def test_no_more_is_looked_at_than_one_may_and_both_bounds_are_said(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.dead_letter()
    around = bench.examine(most_records=10).around
    assert around.looked == "10 records at offsets 15 to 24"
    assert around.cut == "the partition holds 15 older and 15 newer offsets besides"
    assert [each.offset for each in around.records] == [17, 20, 23]
    late = bench.examine(most_ms=-1)
    assert late.around.looked == "no record was looked at"
    assert late.around.cut == "it took longer than -1 ms"


@on_kafka()
def test_without_a_key_no_record_is_of_the_same_one(kafka: Kafka) -> None:
    bench = Bench(kafka, key=None)
    bench.dead_letter()
    examined = bench.examine()
    assert examined.around.why_not == "it has no key, so no other record has the same"
    assert examined.good.position


@on_kafka()
def test_what_names_no_source_is_said(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.dead_letter(source_topic=None, source_partition=None, source_offset=None)
    examined = bench.examine()
    assert examined.around.why_not == "its dead letter does not say where the record came from"
    assert examined.good.why_not == examined.around.why_not == examined.source.kept.why
    assert examined.source.kept.state == "not known"


@on_kafka()
def test_a_topic_that_is_gone_and_one_that_the_dead_letter_is_not_in_are_said(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.dead_letter(source_topic="gone")
    examined = bench.examine()
    assert examined.source.kept.state == examined.dead_letter.kept.state == "gone"
    assert examined.source.kept.why == "there is no topic gone any more, or it is hidden from this account"
    assert examined.around.why_not == examined.good.why_not == examined.source.kept.why


@on_kafka()
def test_of_a_dead_letter_in_no_topic_it_is_said(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.dead_letter(record_id=None, topic=None, partition=None, offset=None)
    assert bench.examine().dead_letter.kept.why == "it is in no dead-letter topic: it is kept in the buffer only"


@on_kafka()
def test_who_is_not_there_cannot_be_asked_about(kafka: Kafka) -> None:
    with pytest.raises(UsageError, match="there is no dead letter 7"):
        Bench(kafka).examine(7)


# ---- how long it is kept


@on_kafka("topic_changes")
def test_how_long_both_topics_keep_it_is_told(kafka: Kafka) -> None:
    bench = Bench(kafka)
    dead_topic = f"{kafka.topic}-dlq"
    kafka.view().ensure_topic(dead_topic)
    (sent,) = kafka.send(Sent(BAD, b"c-2", partition=0, timestamp_ms=wall_clock_ms()), topic=dead_topic)
    assert sent.offset == 0
    bench.dead_letter(dead=kafka.view().identities([dead_topic])[dead_topic])
    admin = KafkaAdmin(kafka.cluster.bootstrap_servers)
    with (
        admin.topic_config(kafka.topic, "retention.ms", "3600000"),
        admin.topic_config(dead_topic, "retention.ms", "-1"),
    ):
        examined = bench.examine()
    assert examined.source.position == f"{kafka.topic}[0] offset 20"
    assert examined.source.kept.state == "until"
    assert examined.source.timestamp_ms is not None
    assert examined.source.kept.until_ms == examined.source.timestamp_ms + 3_600_000
    assert examined.source.note == ""
    assert examined.dead_letter.kept.state == "for ever"
    assert examined.dead_letter.timestamp_ms is not None
    with admin.topic_config(kafka.topic, "cleanup.policy", "compact"):
        assert bench.examine().source.kept.state == "compacted"


@on_kafka("topic_changes")
def test_what_kafka_has_removed_is_gone_and_newer_ones_are_still_found(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.dead_letter()
    client = AdminClient({"bootstrap.servers": kafka.cluster.bootstrap_servers})
    before = TopicPartition(kafka.topic, 0, 25)
    client.delete_records([before])[before].result(10)
    examined = bench.examine()
    assert (examined.source.kept.state, examined.source.kept.why) == ("gone", "Kafka keeps records from offset 25 on")
    assert examined.around.newer == 5
    assert examined.around.looked == "15 records at offsets 25 to 39"


@on_kafka("topic_changes", "topic_ids")
def test_a_topic_that_was_made_anew_holds_other_records(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.accept_all()
    bench.dead_letter()
    recreate_topic(kafka.cluster, kafka.topic)
    kafka.make_topic()
    examined = bench.examine()
    assert examined.source.kept.state == "gone"
    assert "was made anew since" in examined.source.kept.why
    assert examined.around.why_not == examined.good.why_not == examined.source.kept.why


@on_kafka()
def test_another_value_at_its_place_is_said(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.dead_letter(value=b"another")
    assert bench.examine().source.note == "the value there is another one than that of the dead letter"


@on_kafka()
def test_the_demo_cluster_says_how_much_it_keeps(kafka: Kafka) -> None:
    bench = Bench(kafka)
    bench.dead_letter()
    kept = bench.examine().source.kept
    if kafka.kind == "demo":
        assert (kept.state, "keeps the newest 5 MB" in kept.why) == ("not known", True)
    else:
        assert kept.state == "until"
