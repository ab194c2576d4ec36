"""What a member of the processors' group may rely on, on the demo cluster and on Apache Kafka alike."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import (
    Gap,
    GroupReader,
    PartitionReader,
)
from pipeline.records import Record
from scripts.local.cluster import KafkaCluster
from scripts.local.server_properties import CLIENTS
from scripts.waiting import wait_for
from tests.support.kafkas import (
    CONSUMER_PROTOCOL,
    PARTITIONS,
    SHORTEST_SESSION_MS,
    Kafka,
    Sent,
    on_group_protocols,
    on_kafka,
    values,
)
from tests.support.tcp_proxy import TcpProxy


class Member:
    """A member of the group, with what it was given and what it has read."""

    def __init__(
        self,
        kafka: Kafka,
        name: str,
        begin_at: Callable[[int], int] = lambda partition: 0,
        topics: Collection[str] = (),
        **settings: str,
    ) -> None:
        self.owned: set[int] = set()
        """Of whichever topic."""
        self.owned_of: defaultdict[str, set[int]] = defaultdict(set)
        self.revoked: list[int] = []
        self.records: list[Record] = []
        self._begin_at = begin_at
        self.reader = GroupReader(
            kafka.with_settings(**settings), kafka.view(), name, self._assigned, self._revoked, lambda topics: None
        )
        self.reader.subscribe(topics or [kafka.topic])

    def step(self) -> None:
        records, gaps = self.reader.read(1000, 0.05)
        assert gaps == []
        self.records += records

    def _assigned(self, reader: GroupReader, topic: str, partition: int) -> int:
        self.owned.add(partition)
        self.owned_of[topic].add(partition)
        return self._begin_at(partition)

    def _revoked(self, topic: str, partition: int) -> None:
        self.owned.discard(partition)
        self.owned_of[topic].discard(partition)
        self.revoked.append(partition)


@pytest.fixture
def join(kafka: Kafka) -> Iterator[Callable[..., Member]]:
    kafka.make_topic()
    joined: list[Member] = []

    def member(name: str, begin_at: Callable[[int], int] = lambda partition: 0, **others: Any) -> Member:
        joined.append(Member(kafka, name, begin_at, **others))
        return joined[-1]

    yield member
    for each in joined:
        each.reader.close()


def until(what: str, condition: Callable[[], bool], *members: Member) -> None:
    """Lets the members read until the condition holds."""

    def stepped() -> bool:
        for member in members:
            member.step()
        return condition()

    wait_for(what, stepped)


def another_topic(kafka: Kafka) -> str:
    """Makes a second topic, and waits until it is led."""
    other = f"{kafka.topic}-b"
    kafka.view().ensure_topic(other)
    wait_for("its leaders", lambda: kafka.view().partitions().get(other) == PARTITIONS)
    return other


@on_group_protocols()
def test_a_member_begins_where_the_buffer_says_not_where_kafka_was_told(kafka, join):
    kafka.send(*(Sent(b"%d" % number, partition=number % PARTITIONS) for number in range(40)))
    buffer = {0: 3, 1: 0, 2: 10, 3: 9}
    with PartitionReader(kafka.settings, kafka.cluster, kafka.settings.group_id) as other:
        other.commit_offsets({(kafka.topic, partition): 6 for partition in range(PARTITIONS)})
        member = join("a", buffer.__getitem__)
        until("the records", lambda: len(member.records) >= 18, member)
    assert member.owned == set(range(PARTITIONS))
    for partition, first in buffer.items():
        offsets = [record.position.offset for record in member.records if record.position.partition == partition]
        assert offsets == list(range(first, 10))

    member.reader.hold_back([kafka.topic])
    kafka.send(Sent(b"while paused", partition=0))
    for _ in range(10):
        member.step()
    assert len(member.records) == 18
    member.reader.hold_back([])
    until("the record", lambda: len(member.records) == 19, member)


@on_kafka()
def test_what_was_held_back_is_fetched_at_once_when_it_may_be_read_again(kafka, join):
    member, slowest_s = join("a"), 0.0
    kafka.send(Sent(b"before", partition=0))
    until("the first record", lambda: len(member.records) == 1, member)
    for turn in range(8):
        member.reader.hold_back([kafka.topic])
        # The library sleeps up to a second then; each turn meets it at another moment of that.
        for _ in range(12 + 2 * turn):
            member.step()
        before = member.reader.position(kafka.topic, 0)
        kafka.send(Sent(b"while paused", partition=0))
        began_s = time.monotonic()
        member.reader.hold_back([])
        assert member.reader.position(kafka.topic, 0) == before == turn + 1
        until("the record", lambda turn=turn: len(member.records) == turn + 2, member)
        slowest_s = max(slowest_s, time.monotonic() - began_s)
    assert slowest_s < 0.4


@on_group_protocols()
def test_partitions_that_were_paused_when_they_were_taken_away_are_read_when_they_come_back(kafka, join):
    member = join("a")
    until("its partitions", lambda: len(member.owned) == PARTITIONS, member)
    member.reader.hold_back([kafka.topic])
    member.reader.rejoin()
    until("the loss of them", lambda: len(member.revoked) == PARTITIONS, member)
    member.reader.hold_back([])
    until("its partitions again", lambda: len(member.owned) == PARTITIONS, member)
    kafka.send(*(Sent(b"%d" % number, partition=number) for number in range(PARTITIONS)))
    until("the records", lambda: len(member.records) == PARTITIONS, member)


@on_kafka()
def test_a_paused_member_fetches_nothing_of_a_partition_that_can_be_read_again(kafka, join):
    member = join("a")
    until("its partitions", lambda: len(member.owned) == PARTITIONS, member)
    member.reader.hold_back([kafka.topic])
    kafka.send(Sent(b"while paused", partition=0))
    member.reader.wait_with(Gap(kafka.topic, 0, 0, 0), "it has lost its end")
    assert member.reader.unreadable == {f"{kafka.topic}[0]": "it has lost its end"}
    records, gaps = [], []

    def read_on() -> list[Gap]:
        found = member.reader.read(100, 0.05)
        records.extend(found[0])
        gaps.extend(found[1])
        return gaps

    assert wait_for("another look at it", read_on) == [Gap(kafka.topic, 0, 0, 1)]
    member.reader.seek(kafka.topic, 0, 0)
    for _ in range(10):
        read_on()
    assert (records, len(gaps)) == ([], 1)
    member.reader.hold_back([])
    wait_for("the record", lambda: read_on() and records)
    assert values(records) == [b"while paused"]


@on_group_protocols()
def test_a_second_member_takes_over_half_and_the_first_keeps_reading_the_rest(kafka, join):
    offsets = dict.fromkeys(range(PARTITIONS), 0)
    kafka.send(*(Sent(b"before", partition=partition) for partition in range(PARTITIONS)))
    first = join("a", offsets.__getitem__)
    until("the first member's records", lambda: len(first.records) == PARTITIONS, first)
    offsets = dict.fromkeys(range(PARTITIONS), 1)

    second = join("b", offsets.__getitem__)
    until("an even share", lambda: len(first.owned) == len(second.owned) == PARTITIONS // 2, first, second)
    # Cooperative: only what moved was taken away.
    assert sorted(first.revoked) == sorted(second.owned)
    assert first.owned | second.owned == set(range(PARTITIONS))

    kafka.send(*(Sent(b"after", partition=partition) for partition in range(PARTITIONS)))
    until("every record", lambda: len(first.records) + len(second.records) == PARTITIONS * 2, first, second)
    assert {record.position.partition for record in second.records} == second.owned
    assert {record.value for record in second.records} == {b"after"}


@on_kafka("quick_returns")
def test_a_member_that_died_gets_its_partitions_back_at_once_under_its_name(kafka, join):
    dead = join("a")
    until("its partitions", lambda: len(dead.owned) == PARTITIONS, dead)
    back = join("a")
    until("its partitions again", lambda: len(back.owned) == PARTITIONS, back)
    with pytest.raises(KafkaUnavailableError, match="reading: .*[Ff]enced"):
        until("the end of the dead one", lambda: False, dead)
    # Whoever is fenced comes back in a new session, also one whose dead predecessor was taken for the newer one.
    dead.reader.close()
    again = join("a")
    until("the partitions once more", lambda: len(again.owned) == PARTITIONS, again)
    kafka.send(*(Sent(b"%d" % number, partition=number) for number in range(PARTITIONS)))
    until("the records", lambda: len(again.records) == PARTITIONS, again)


@pytest.mark.parametrize("kafka", [CONSUMER_PROTOCOL], indirect=True)
def test_where_the_brokers_assign_a_member_has_no_static_id_and_their_session(kafka, join):
    assert kafka.view().session_ms() == SHORTEST_SESSION_MS
    first = join("a")
    until("its partitions", lambda: len(first.owned) == PARTITIONS, first)
    # One of the same name is another member, and takes nothing away while the first one lives.
    again = join("a")
    until("an even share", lambda: len(first.owned) == len(again.owned) == PARTITIONS // 2, first, again)
    again.reader.rejoin()
    until("its return", lambda: len(again.revoked) == len(again.owned) == PARTITIONS // 2, first, again)
    first.reader.close()
    until("all of them", lambda: len(again.owned) == PARTITIONS, again)


@on_kafka("quick_returns")
def test_a_member_that_comes_back_for_another_topic_gets_nothing_of_the_one_before(kafka, join):
    kafka.send(*(Sent(b"A", partition=partition) for partition in range(PARTITIONS)))
    other = f"{kafka.topic}-b"
    kafka.view().ensure_topic(other)
    wait_for("its leaders", lambda: kafka.send(Sent(b"B", partition=0), topic=other)[0].error == "")
    before = join("a")
    until("the records of A", lambda: len(before.records) == PARTITIONS, before)
    before.reader.close()

    member = join("a", topics=[other])
    until("a record of B", lambda: bool(member.records), member)
    assert {record.position.topic for record in member.records} == {other}
    until("all of B's partitions", lambda: member.owned == set(range(PARTITIONS)), member)
    # Of what was dealt out at first nothing was ever its own.
    assert member.revoked == []


@on_kafka("quick_returns")
def test_members_of_one_group_that_read_different_topics_share_none(kafka, join):
    other = f"{kafka.topic}-b"
    kafka.view().ensure_topic(other)
    first, second = join("a"), join("b", topics=[other])
    everything = set(range(PARTITIONS))
    until("each all of its own topic", lambda: first.owned == second.owned == everything, first, second)
    kafka.send(Sent(b"A", partition=0))
    kafka.send(Sent(b"B", partition=0), topic=other)
    until("both records", lambda: len(first.records) == len(second.records) == 1, first, second)
    assert (first.records[0].value, second.records[0].value) == (b"A", b"B")


@on_group_protocols()
def test_topics_join_and_leave_and_the_others_are_read_on(kafka, join):
    other = another_topic(kafka)
    everything = set(range(PARTITIONS))
    member = join("a")
    until("its partitions", lambda: member.owned_of[kafka.topic] == everything, member)
    member.reader.subscribe([kafka.topic, other])
    until("those of the other topic", lambda: member.owned_of[other] == everything, member)
    assert member.revoked == []
    kafka.send(Sent(b"A", partition=0))
    kafka.send(Sent(b"B", partition=0), topic=other)
    until("both records", lambda: len(member.records) == 2, member)

    member.reader.subscribe([kafka.topic])
    until("the other topic's end", lambda: not member.owned_of[other], member)
    kafka.send(Sent(b"not to be read", partition=1), topic=other)
    kafka.send(Sent(b"C", partition=1))
    until("the next record", lambda: len(member.records) == 3, member)
    assert (member.records[2].value, member.owned_of[kafka.topic]) == (b"C", everything)
    assert sorted(member.revoked) == sorted(everything)

    member.reader.subscribe([])
    until("the end of both", lambda: not member.owned_of[kafka.topic], member)
    member.reader.subscribe([other])
    until("the other topic", lambda: member.owned_of[other] == everything, member)


@on_group_protocols()
def test_two_members_share_the_partitions_of_all_topics(kafka, join):
    other = another_topic(kafka)
    both = [kafka.topic, other]
    first = join("a", topics=both)
    until("all partitions", lambda: all(len(first.owned_of[topic]) == PARTITIONS for topic in both), first)
    second = join("b", topics=both)

    def of(member: Member) -> set[tuple[str, int]]:
        return {(topic, partition) for topic, owned in member.owned_of.items() for partition in owned}

    until("an even share", lambda: len(of(first)) == len(of(second)) == PARTITIONS, first, second)
    assert of(first) | of(second) == {(topic, partition) for topic in both for partition in range(PARTITIONS)}
    for topic in both:
        kafka.send(*(Sent(topic.encode(), partition=partition) for partition in range(PARTITIONS)), topic=topic)
    until("every record", lambda: len(first.records) + len(second.records) == 2 * PARTITIONS, first, second)
    for member in (first, second):
        read_of = {(record.position.topic, record.position.partition) for record in member.records}
        assert read_of == of(member)
        assert all(record.value == record.position.topic.encode() for record in member.records)


@on_group_protocols()
def test_of_two_topics_one_is_held_back_and_the_other_read(kafka, join):
    other = another_topic(kafka)
    member = join("a", topics=[kafka.topic, other])
    member.reader.hold_back([other])
    until(
        "the partitions", lambda: all(len(member.owned_of[each]) == PARTITIONS for each in (kafka.topic, other)), member
    )
    kafka.send(Sent(b"held back", partition=0), topic=other)
    kafka.send(Sent(b"read", partition=0))
    until("the other one's record", lambda: bool(member.records), member)
    member.reader.query_ends()
    assert member.reader.known_high(other, 0) == 1
    member.reader.hold_back([kafka.topic])
    kafka.send(Sent(b"later", partition=0))
    until("what was held back", lambda: len(member.records) == 2, member)
    assert values(member.records) == [b"read", b"held back"]
    member.reader.hold_back([])
    until("what was held back then", lambda: len(member.records) == 3, member)


@on_kafka()
def test_records_of_several_topics_come_apart(kafka, join):
    other = another_topic(kafka)
    topics = [kafka.topic, other]
    for _ in range(3):
        for topic in topics:
            kafka.send(*(Sent(b"%s %d" % (topic.encode(), n), partition=n % PARTITIONS) for n in range(8)), topic=topic)
    member = join("a", topics=topics)
    found: dict[tuple[str, int], list[bytes | None]] = {}

    def all_read() -> bool:
        for part in member.reader.read_partitions(1000, 0.05)[0]:
            assert {part.record(index).position.topic for index in range(len(part))} == {part.topic}
            found.setdefault(part.partition_key, []).extend(part.values())
        return sum(map(len, found.values())) == 48

    wait_for("every record", all_read)
    for (topic, partition), read in found.items():
        assert read == [b"%s %d" % (topic.encode(), partition), b"%s %d" % (topic.encode(), partition + 4)] * 3


@on_group_protocols()
@pytest.mark.parametrize("read_some", [GroupReader.read, GroupReader.read_partitions])
def test_what_fails_on_assignment_is_raised_by_whatever_reads(kafka, join, read_some):
    def fail(partition: int) -> int:
        raise ArithmeticError(f"no offset for {partition}")

    kafka.send(Sent(b"not to be seen", partition=0))
    member = join("a", fail)
    with pytest.raises(ArithmeticError, match="no offset for"):
        wait_for("the failure", lambda: any(read_some(member.reader, 100, 0.05)))


@on_kafka()
def test_records_by_partition_are_the_records_one_by_one(kafka, join):
    headers = (("trace", b"1"),)
    kafka.send(*(Sent(b"%d" % n, b"k%d" % n, headers if n % 2 else (), n % PARTITIONS) for n in range(40)))
    member = join("a")
    found: dict[int, list[Record]] = {}

    def all_read() -> bool:
        fetched, gaps = member.reader.read_partitions(1000, 0.05)
        assert gaps == []
        for part in fetched:
            records = [part.record(index) for index in range(len(part))]
            assert {record.position.partition for record in records} == {part.partition}
            assert part.offsets() == [record.position.offset for record in records]
            assert part.keys() == [record.key for record in records]
            assert part.values() == values(records)
            assert part.without_headers(frozenset({"trace"})) == [not record.headers for record in records]
            middle = part.offsets()[0] + 1
            assert part.since(middle).offsets() == [offset for offset in part.offsets() if offset >= middle]
            found.setdefault(part.partition, []).extend(records)
        return sum(map(len, found.values())) >= 40

    wait_for("every record", all_read)
    for partition, records in found.items():
        assert values(records) == [b"%d" % number for number in range(partition, 40, PARTITIONS)]


def test_a_question_to_join_whose_answer_is_lost_does_not_take_the_five_minutes_of_the_library(tmp_path: Path) -> None:
    # The broker waits so long for others before it answers the first member of a group.
    slow_to_answer = {"group.initial.rebalance.delay.ms": "6000"}
    with (
        TcpProxy() as proxy,
        KafkaCluster(tmp_path / "kafka", properties=slow_to_answer, advertised=[proxy.address]) as cluster,
    ):
        proxy.target_port = cluster.port(1, CLIENTS)
        kafka = Kafka("apache", tmp_path, proxy.address, {"session.timeout.ms": 6000})
        kafka.make_topic()
        lost = Member(kafka, "a")
        until("a question", lambda: lost.reader._statistics.join_state == "wait-join", lost)
        proxy.half_open()
        with pytest.raises(KafkaUnavailableError, match="joining the consumer group: nobody answers"):
            until("partitions", lambda: bool(lost.owned), lost)
        lost.reader.close()
        again = Member(kafka, "a")
        until("partitions", lambda: bool(again.owned), again)
        again.reader.close()
