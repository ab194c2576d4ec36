"""Which generation of a topic this is.

Kafka's own id of a topic says so. Brokers before 2.8, and some that only speak Kafka's protocol, tell none: there the
record that was read last says it, or an end before it. A cluster that begins to tell ids, or stops to, has the same
topics as before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Literal

from pipeline.buffer import ReadUpTo, TopicGeneration
from pipeline.kafka import Found
from pipeline.records import TopicIdentity

RECREATED = "recreated-"
"""Begins a topic id of ours, for a generation that was recognised by its records."""
_NO_ID_BEFORE = "AAAAAAAAAAAAAAAAAAAAAA"
"""A broker's way to say that there is none, which was once kept as an id."""

Verdict = Literal["same", "another", "not known"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether a topic is the one that was read, and what says so."""

    verdict: Verdict
    reason: str


def known_generation(told: TopicIdentity, known: Sequence[TopicIdentity]) -> TopicIdentity | None:
    """The generation in the buffer that the cluster's word can mean; None when it can be none of these.

    `known` are oldest first. Unless `is_certain`, only its content can tell whether it is still the same.
    """
    readings = [each for each in known if told.topic_id and replace(each, reading=0) == told]
    if readings:
        return max(readings, key=attrgetter("reading"))
    newest = next(
        (each for each in reversed(known) if (each.cluster_id, each.topic) == (told.cluster_id, told.topic)), None
    )
    if newest is None or not told.topic_id or _is_no_kafka_id(newest.topic_id):
        return newest
    return None


def is_certain(told: TopicIdentity, generation: TopicIdentity) -> bool:
    """Whether the ids alone say that this is the generation."""
    return bool(told.topic_id) and told == replace(generation, reading=0)


def recreated(told: TopicIdentity, before: TopicGeneration) -> TopicIdentity:
    """The generation after `before`: whoever finds out makes the same of it."""
    return told if told.topic_id else replace(told, topic_id=f"{RECREATED}{before.topic_ref}")


def compare(
    topic: str, read: Mapping[int, ReadUpTo], found: Mapping[int, Found], unanswered: Collection[int] = ()
) -> Comparison:
    """Whether these partitions hold what was read of them.

    `found` has those of them that there are. `unanswered` ones prove nothing, either way.
    """
    proven, was_read = False, bool(unanswered)
    answered = read.keys() - set(unanswered)
    for partition in answered & found.keys():
        read_up_to = read[partition]
        reason = _contradiction(read_up_to, found[partition])
        if reason:
            return Comparison("another", f"{topic}[{partition}] {reason}")
        proven |= read_up_to.last is not None and found[partition].record == read_up_to.last
        was_read |= read_up_to.last is not None or read_up_to.next_offset > max(
            found[partition].low, read_up_to.read_from
        )
    # A topic never loses partitions, so where one of them is proven a broker only has not heard of all yet.
    absent = sorted(answered - found.keys())
    if absent and not proven:
        return Comparison("another", f"{topic}[{absent[0]}] is not there any more")
    if proven or not was_read:
        return Comparison("same", "")
    return Comparison("not known", f"the records of {topic} that were read last are gone, or are not known")


def _contradiction(read_up_to: ReadUpTo, found: Found) -> str:
    """What shows that a partition is not the one that was read; empty when nothing does."""
    if found.high < read_up_to.next_offset:
        return f"ends at offset {found.high}, but was read up to {read_up_to.next_offset}"
    if read_up_to.last and found.record and found.record != read_up_to.last:
        return f"has another record at offset {read_up_to.last.offset} than the one that was read"
    return ""


def _is_no_kafka_id(topic_id: str) -> bool:
    return topic_id in ("", _NO_ID_BEFORE) or topic_id.startswith(RECREATED)
