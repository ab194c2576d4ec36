"""Which topics are read: by the collector as dead letters, by the processors as orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.buffer import Reader
from pipeline.consuming.topic_names import known_use
from pipeline.setting_values import NamesAndPatterns
from pipeline.settings import Settings

HasSection = Callable[[str], bool]
"""Whether the mapping file has a section for a topic, now."""


def choose_dead_letter_topics(settings: Settings, partitions: Mapping[str, int]) -> dict[str, int]:
    """The dead-letter topics among `partitions` (topic: count of its partitions): named ones, patterns, our own."""
    collected = settings.collected_topics
    return {topic: count for topic, count in partitions.items() if topic in collected}


@dataclass(frozen=True, slots=True)
class OrdersTopics:
    """The topics that are read as orders, and those that a pattern takes in and that are not."""

    read: dict[str, int] = field(default_factory=dict)
    """How many partitions each has."""
    without_section: list[str] = field(default_factory=list)
    """They wait for a section in the mapping file."""
    no_orders: dict[str, str] = field(default_factory=dict)
    """What each of them is instead, which is never read as orders."""

    @property
    def left_out(self) -> dict[str, str]:
        """Why each that is not read is not."""
        return self.no_orders | dict.fromkeys(self.without_section, "has no section in the mapping file")


def choose_orders_topics(settings: Settings, partitions: Mapping[str, int], has_section: HasSection) -> OrdersTopics:
    """The topics among `partitions` (topic: count of its partitions) that are read as orders.

    Those that are named, and those that a pattern takes in if they may hold orders and have a section in the mapping
    file.
    """
    wanted, collected = settings.orders_topics, settings.collected_topics
    chosen = OrdersTopics()
    for topic in sorted(filter(wanted.__contains__, partitions)):
        what = "" if topic in wanted.names else _what_instead(topic, collected)
        if what:
            chosen.no_orders[topic] = what
        elif topic in wanted.names or has_section(topic):
            chosen.read[topic] = partitions[topic]
        else:
            chosen.without_section.append(topic)
    return chosen


def may_hold_orders(settings: Settings, topic: str) -> bool:
    """Whether a topic is read as orders, once it has what section it needs."""
    wanted = settings.orders_topics
    return topic in wanted.names or (topic in wanted and not _what_instead(topic, settings.collected_topics))


def topics_read(settings: Settings, reader: Reader) -> list[str]:
    """The topics of which orders were read, and still are."""
    return [topic for topic in reader.orders_topics() if may_hold_orders(settings, topic)]


def _what_instead(topic: str, collected: NamesAndPatterns) -> str:
    """What a topic that a pattern takes in is, if it holds no orders."""
    return "is collected as dead letters" if topic in collected else known_use(topic)
