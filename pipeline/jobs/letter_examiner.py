"""Asks Kafka about one dead letter: its original and the records around it, a good record to hold it against, and how
long both topics keep what they have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.buffer import Reader
from pipeline.buffer.views import DeadLetterDetail
from pipeline.clock import Clock
from pipeline.dead_letters.decoding import Decoder
from pipeline.dead_letters.letter.examined import Examined, PlaceLook
from pipeline.dead_letters.letter.keeping import Kept, how_long_kept
from pipeline.dead_letters.letter.neighbours import Neighbours
from pipeline.errors import MappingFileError, UsageError
from pipeline.headers import original_key_and_value
from pipeline.jobs.letter_findings import Fates, Findings
from pipeline.kafka import (
    AROUND_MS,
    AROUND_RECORDS,
    AroundReader,
    Cluster,
    ClusterView,
    LookedAt,
    TopicKeeping,
    find_cluster,
)
from pipeline.orders.formats.schemas import Schemas
from pipeline.orders.mapping.mapping_file import DEFAULT, Mapped, MappingFile
from pipeline.records import Position, Record, TopicIdentity
from pipeline.settings import Settings

NOTHING_LOOKED_AT = LookedAt(0, 0, (), 0)
NO_SOURCE = "its dead letter does not say where the record came from"
NO_POSITION = "it is in no dead-letter topic: it is kept in the buffer only"


@dataclass(frozen=True, slots=True)
class _Topic:
    """What the cluster says of a topic now; `why_not` says why its records are not asked for, `unknown` why it is not
    known how long it keeps them.
    """

    identity: TopicIdentity | None = None
    keeping: TopicKeeping | None = None
    unknown: str = ""
    why_not: str = ""
    is_gone: bool = False


class LetterExaminer:
    """Looks at one dead letter after the other; to be used by one thread at a time.

    Of Kafka's records it looks at `most_records` in at most `most_ms`, for each dead letter.
    """

    def __init__(
        self,
        settings: Settings,
        schemas: Schemas,
        clock: Clock,
        most_records: int = AROUND_RECORDS,
        most_ms: int = AROUND_MS,
    ) -> None:
        self._settings = settings
        self._mapped: Mapped = DEFAULT
        self._decoder = Decoder(schemas, lambda: self._mapped)
        self._clock = clock
        self._most_records = most_records
        self._most_ms = most_ms

    def examine(self, identifier: int) -> Examined:
        """All that Kafka tells of a dead letter. Raises UsageError, and KafkaUnavailableError."""
        with Reader(self._settings.database_file) as buffer:
            detail = buffer.dead_letter(identifier)
            if detail is None:
                raise UsageError(f"there is no dead letter {identifier}")
            if detail.row.imported:
                raise UsageError("it was imported: Kafka is not asked about it")
            self._mapped = _mapping_of(self._settings)
            return self._examine(buffer, detail)

    def _examine(self, buffer: Reader, detail: DeadLetterDetail) -> Examined:
        row = detail.row
        source = _position(row.source_topic, row.source_partition, row.source_offset)
        own = _position(row.topic, row.partition, row.offset)
        cluster = find_cluster(self._settings)
        topics = self._look_up(buffer, cluster, [each for each in (source, own) if each], detail.received_at_ms)
        key, value = original_key_and_value(detail.headers, detail.key, detail.value)
        neighbours, found = Neighbours(source.offset if source else 0, key), list[Record]()
        looked = own_looked = NOTHING_LOOKED_AT
        with AroundReader(self._settings, cluster, self._most_records, self._most_ms) as reader:
            if own is not None and not topics[own].why_not:
                own_looked = reader.look(own, found.append, most_records=1)
            if source is not None and not topics[source].why_not:
                looked = reader.look(source, neighbours.take)
        topic = topics[source] if source else _Topic(why_not=NO_SOURCE)
        fates = Fates(buffer, detail, topic.identity, source, neighbours)
        findings = Findings(source, topic.why_not, looked, neighbours, fates, self._decoder)
        look = _place_look(source, topic, looked, neighbours.original, detail.source_timestamp_ms)
        its_own = next((each for each in found if each.position == own), None)
        return Examined(
            self._clock(),
            findings.with_note(look, value),
            _place_look(own, topics[own] if own else _Topic(why_not=NO_POSITION), own_looked, its_own),
            findings.around(key),
            findings.good(value, detail.headers),
        )

    def _look_up(
        self, buffer: Reader, cluster: Cluster, places: list[Position], received_at_ms: int
    ) -> dict[Position, _Topic]:
        """What the cluster says of the topics of these places."""
        view = ClusterView(self._settings, cluster)
        counts = view.partitions()
        there = sorted({each.topic for each in places} & counts.keys())
        identities, missing = view.look_up(there)
        keeping, unknown = view.keeping(there)
        found = {}
        for place in places:
            gone = "" if place.topic in missing else _why_gone(buffer, place, counts, identities, received_at_ms)
            found[place] = _Topic(
                identities.get(place.topic),
                keeping.get(place.topic),
                unknown.get(place.topic, ""),
                gone or missing.get(place.topic, ""),
                bool(gone),
            )
        return found


def _mapping_of(settings: Settings) -> Mapped:
    """What the mapping file says. One that cannot be used says nothing: the page says what is wrong with it."""
    try:
        return MappingFile(settings).content
    except MappingFileError:
        return DEFAULT


def _position(topic: str | None, partition: int | None, offset: int | None) -> Position | None:
    return None if topic is None or partition is None or offset is None else Position(topic, partition, offset)


def _why_gone(
    buffer: Reader,
    place: Position,
    counts: Mapping[str, int],
    identities: Mapping[str, TopicIdentity],
    received_at_ms: int,
) -> str:
    """Why the records of a place's topic are none of the dead letter's time; empty where they are."""
    topic = place.topic
    if topic not in counts:
        return f"there is no topic {topic} any more, or it is hidden from this account"
    if place.partition >= counts[topic]:
        return f"topic {topic} has no partition {place.partition} any more"
    then, now = _identity_then(buffer, topic, received_at_ms), identities[topic]
    if then is not None and then != (now.cluster_id, now.topic_id):
        return f"topic {topic} was made anew since: what it holds now are other records"
    return ""


def _identity_then(buffer: Reader, topic: str, at_ms: int) -> tuple[str, str] | None:
    """Cluster and id of the topic that was read at that time; None where nobody read it."""
    met = [each for each in buffer.partitions().dicts() if each["topic"] == topic and each["first_seen_ms"] <= at_ms]
    if not met:
        return None
    newest = max(met, key=lambda each: each["first_seen_ms"])
    return newest["cluster_id"], newest["topic_id"]


def _place_look(
    place: Position | None, topic: _Topic, looked: LookedAt, record: Record | None, told_ms: int | None = None
) -> PlaceLook:
    """What stands at a place, and how long it is kept. `told_ms` is the record's time where it could not be read."""
    if place is None or topic.why_not:
        return PlaceLook(str(place or ""), Kept("gone" if topic.is_gone else "not known", why=topic.why_not))
    timestamp_ms = told_ms if record is None else record.timestamp_ms
    kept = how_long_kept(place.offset, looked.low, looked.high, timestamp_ms, topic.keeping, topic.unknown)
    if record is None and kept.state != "gone" and not looked.cut:
        kept = Kept("gone", why="no record stands there any more")
    return PlaceLook(str(place), kept, None if record is None else timestamp_ms)
