"""Looks at topics for who describes their orders: a sample, a proposal made of it, and what would come of a section."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.clock import Clock
from pipeline.dead_letters.causes import template
from pipeline.errors import MappingFileError, RecordError, RegistryUnavailableError, UsageError
from pipeline.kafka import Cluster, ClusterView, Newest, TopicLook, find_cluster, look_at_topics, newest_records
from pipeline.orders.mapping.mapping_file import DEFAULT, Mapped, MappingFile, parse_mappings
from pipeline.orders.order_reader import OrderReader
from pipeline.orders.proposing.propose import WRITTEN_BY, Proposal, propose
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


class TopicExaminer:
    """Looks at topics of the cluster of the settings. Reads only, as a member of no group."""

    def __init__(self, settings: Settings, codec: OrderCodec, clock: Clock) -> None:
        self.settings = settings
        self._codec = codec
        self.schemas = codec.schemas
        self._clock = clock

    # -- Kafka

    def topics(self) -> list[ListedTopic]:
        """All topics that this account may see, but Kafka's own. Raises KafkaUnavailableError."""
        cluster = find_cluster(self.settings)
        counts = ClusterView(self.settings, cluster).partitions()
        ours = {name: count for name, count in counts.items() if not name.startswith("__")}
        looks = look_at_topics(self.settings, cluster, ours, FORMATS_LOOKED_AT)
        reader = WholeReader(self.schemas)
        return [ListedTopic(each.topic, each.held, _format(each, reader)) for each in looks]

    def sample(self, topic: str) -> Newest:
        """The newest records of a topic. Raises UsageError when there are none, and KafkaUnavailableError."""
        cluster = find_cluster(self.settings)
        found = newest_records(self.settings, cluster, topic, self._partitions(cluster, topic))
        if not found.held:
            raise UsageError(f"topic {topic} is empty: there is nothing to look at yet")
        if not found.records:
            raise UsageError(f"topic {topic}: {found.cut or 'it holds no record that may be read'}")
        return found

    def _partitions(self, cluster: Cluster, topic: str) -> int:
        counts = ClusterView(self.settings, cluster).partitions()
        if topic not in counts:
            raise UsageError(f"there is no topic {topic}, or it is hidden from this account")
        return counts[topic]

    # -- proposing

    def look_through(self, topic: str, records: list[Record]) -> Sample:
        """What the records hold. Raises RegistryUnavailableError."""
        mapped = self._mapped_if_any()
        recipe = mapped.recipe(topic)
        section = recipe.section if recipe is not None else None
        unframed = mapped.schema_files.get(section.schema_file) if section is not None else None
        return look_through(topic, records, WholeReader(self.schemas, section, unframed), template)

    def propose(self, sample: Sample) -> Proposal:
        """A section for the topic of the sample. What the file says of how its values are written stays."""
        mapped = self._mapped_if_any()
        others = (each.currency for topic, each in mapped.mappings.sections.items() if topic != sample.topic)
        recipe = mapped.recipe(sample.topic)
        kept = {key: getattr(recipe.section, key) for key in WRITTEN_BY} if recipe is not None else {}
        code = next((each.code for each in others if each is not None), "")
        return propose(sample, code, {key: value for key, value in kept.items() if value})

    def section_in_file(self, topic: str) -> dict[str, Any] | None:
        """The topic's own section in the mapping file, as TOML has it; None where there is none, or none to be used."""
        if topic not in self._mapped_if_any().mappings.sections:
            return None
        found: dict[str, Any] = tomllib.loads(self.settings.mapping_file.read_text("utf-8"))["topics"][topic]
        return found

    def _mapped_if_any(self) -> Mapped:
        """What the mapping file says. One that cannot be used says nothing: whoever writes it needs a proposal too."""
        try:
            return MappingFile(self.settings).content
        except MappingFileError:
            return DEFAULT

    # -- trying

    def try_file(self, topic: str, records: list[Record], path: Path | None) -> tuple[Trial, bool]:
        """What would come of records by a file, None: that of the settings; and whether it has a section for them.

        Raises MappingFileError and RegistryUnavailableError.
        """
        mapped = MappingFile(self.settings).content if path is None else _mapped_of(path)
        return self._try(topic, records, mapped), mapped.recipe(topic) is not None

    def try_text(self, topic: str, records: list[Record], text: str) -> Trial:
        """What would come of records by a section that stands nowhere yet.

        Raises MappingFileError and RegistryUnavailableError.
        """
        path = self.settings.mapping_file
        try:
            mapped = parse_mappings(text.encode("utf-8", "backslashreplace"), path)
        except MappingFileError as error:
            raise MappingFileError(str(error).replace(f"the mapping file {path}", "the section")) from error
        if mapped.recipe(topic) is None:
            raise MappingFileError(f"there is no section of {topic}")
        return self._try(topic, records, mapped)

    def _try(self, topic: str, records: list[Record], mapped: Mapped) -> Trial:
        reader = OrderReader(self._codec, mapped)
        rules = load_rules(self.settings.rules_file)
        currency = mapped.mappings.currency
        return try_records(records, partial(reader.read, topic), rules, currency, template, self._clock())


def _mapped_of(path: Path) -> Mapped:
    return parse_mappings(read_file(path, "mapping file", MappingFileError), path.absolute())


def _format(look: TopicLook, reader: WholeReader) -> str:
    """How a topic's newest record is written, in a word or two."""
    if look.newest is None:
        return ""
    try:
        return reader.read_whole(look.newest).format.partition(",")[0]
    except (RecordError, RegistryUnavailableError):
        return "null" if look.newest.value is None else "not readable"
