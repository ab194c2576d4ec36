"""Looks at topics for who describes their orders: a sample, a proposal made of it, and what would come of a section."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.clock import Clock
from pipeline.dead_letters.fingerprints import without_varying_parts
from pipeline.errors import MappingFileError, RecordError, RegistryUnavailableError, UsageError
from pipeline.kafka import Cluster, ClusterView, Newest, TopicLook, find_cluster, look_at_topics, newest_records
from pipeline.orders.formats.protobuf_values import DescriptorError, MessageTypes, read_descriptor_set
from pipeline.orders.formats.schemas import Schemas
from pipeline.orders.mapped_reader import MappedReader
from pipeline.orders.mapping.currency import Currency
from pipeline.orders.mapping.mapping_file import Mapped, MappingFile, parse_mappings
from pipeline.orders.mapping.recipe import Recipe
from pipeline.orders.mapping.sections import Section
from pipeline.orders.proposing.propose import Proposal, propose
from pipeline.orders.proposing.sample import Sample, look_through
from pipeline.orders.proposing.trial import Trial, try_records
from pipeline.orders.rules_file import load_rules
from pipeline.orders.serde import OrderCodec
from pipeline.orders.toml_file import read_file
from pipeline.orders.whole_reader import WholeReader
from pipeline.records import Record
from pipeline.settings import Settings

FORMATS_LOOKED_AT = 200
"""Of so many topics a record is read to tell what they hold."""


@dataclass(frozen=True, slots=True)
class ListedTopic:
    """A topic to choose from. `held` is None where nobody says, `format` empty where nothing was read."""

    name: str
    held: int | None
    format: str


class MappingBench:
    """Looks at topics of the cluster of the settings. Reads only, as a member of no group."""

    def __init__(self, settings: Settings, codec: OrderCodec, schemas: Schemas, clock: Clock) -> None:
        self._settings = settings
        self._codec = codec
        self._schemas = schemas
        self._clock = clock

    # -- Kafka

    def topics(self) -> list[ListedTopic]:
        """All topics that this account may see, but Kafka's own. Raises KafkaUnavailableError."""
        cluster = find_cluster(self._settings)
        counts = {
            name: count
            for name, count in ClusterView(self._settings, cluster).partitions().items()
            if not name.startswith("__")
        }
        looks = look_at_topics(self._settings, cluster, counts, FORMATS_LOOKED_AT)
        reader = WholeReader(self._schemas)
        return [ListedTopic(each.topic, each.held, _format(each, reader)) for each in looks]

    def sample(self, topic: str) -> Newest:
        """The newest records of a topic. Raises UsageError when there are none, and KafkaUnavailableError."""
        cluster = find_cluster(self._settings)
        found = newest_records(self._settings, cluster, topic, self._partitions(cluster, topic))
        if not found.records:
            why = "its records could not be read in time" if found.cut else "there is nothing to look at yet"
            raise UsageError(f"topic {topic} is empty: {why}" if not found.held else f"topic {topic}: {why}")
        return found

    def _partitions(self, cluster: Cluster, topic: str) -> int:
        counts = ClusterView(self._settings, cluster).partitions()
        if topic not in counts:
            raise UsageError(f"there is no topic {topic}, or it is hidden from this account")
        return counts[topic]

    # -- proposing

    def look_through(self, topic: str, records: list[Record]) -> Sample:
        """What the records hold. Raises RegistryUnavailableError."""
        recipe = self._mapped_in_force().recipe(topic)
        plain = self._plain_message(recipe.section, self._settings.mapping_file) if recipe is not None else None
        reader = WholeReader(self._schemas, plain, recipe.section.message if recipe is not None else "")
        return look_through(topic, records, reader)

    def propose(self, sample: Sample) -> Proposal:
        """A section for the topic of the sample."""
        sections = {
            topic: each for topic, each in self._mapped_in_force().mappings.sections.items() if topic != sample.topic
        }
        codes = [each.currency.code for each in sections.values() if each.currency is not None]
        return propose(sample, codes[0] if codes else "")

    def _mapped_in_force(self) -> Mapped:
        return MappingFile(self._settings).content

    # -- trying

    def try_file(self, topic: str, records: list[Record], path: Path | None) -> tuple[Trial, bool]:
        """What would come of records by a file, None: that of the settings; and whether it has a section for them."""
        mapped = self._mapped_in_force() if path is None else _mapped_of(path)
        recipe = mapped.recipe(topic)
        return self._try(records, recipe, path or self._settings.mapping_file), recipe is not None

    def try_text(self, topic: str, records: list[Record], text: str) -> Trial:
        """What would come of records by a section that stands nowhere yet. Raises MappingFileError."""
        path = self._settings.mapping_file
        recipe = parse_mappings(text.encode(), path).recipe(topic)
        if recipe is None:
            raise MappingFileError(f"there is no section of {topic}")
        return self._try(records, recipe, path)

    def _try(self, records: list[Record], recipe: Recipe | None, path: Path) -> Trial:
        rules, now_ms = load_rules(self._settings.rules_file), self._clock()
        if recipe is None:
            return try_records(
                records, lambda each: self._codec.decode(each.value), rules, Currency(), without_varying_parts, now_ms
            )
        reader = MappedReader(recipe, self._schemas, self._plain_message(recipe.section, path))
        return try_records(records, reader.read, rules, recipe.currency, without_varying_parts, now_ms)

    def _plain_message(self, section: Section, path: Path) -> MessageTypes | None:
        if not section.descriptor:
            return None
        file = path.parent / section.descriptor
        try:
            return read_descriptor_set(read_file(file, "descriptor file", MappingFileError))
        except DescriptorError as error:
            raise MappingFileError(f"the descriptor file {file}: {error}") from error


def _mapped_of(path: Path) -> Mapped:
    return parse_mappings(read_file(path, "mapping file", MappingFileError), path)


def _format(look: TopicLook, reader: WholeReader) -> str:
    """How a topic's newest record is written, in a word or two."""
    if look.newest is None:
        return ""
    try:
        return reader.read(look.newest).format.partition(",")[0]
    except (RecordError, RegistryUnavailableError):
        return "null" if look.newest.value is None else "not readable"
