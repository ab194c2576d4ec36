"""What single settings may say. Each function raises ValueError with what is wrong and what is allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

_ALERT_ADDRESS = re.compile(r"[A-Za-z0-9]{1,32}://\S")
# https://github.com/apache/kafka/blob/trunk/clients/src/main/java/org/apache/kafka/common/internals/Topic.java
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
# host:port, with the port left out or a protocol before it, as librdkafka takes them; IPv6 in brackets.
_BROKER = re.compile(r"(?:(?P<protocol>\w+)://)?(?:[\w.-]+|\[[0-9A-Fa-f:.%]+\])(?::(?P<port>\d{1,5}))?")


def check_brokers(text: str) -> None:
    """Addresses of brokers with commas between."""
    for number, broker in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
        found = _BROKER.fullmatch(broker)
        if found is None or not 0 < int(found["port"] or 9092) < 65_536:
            raise ValueError(f"address {number} must look like host:port (several with commas between)")


def protocols_of(brokers: str) -> set[str]:
    """The protocols that stand before addresses of brokers, in lower case."""
    found = (_BROKER.fullmatch(broker.strip()) for broker in brokers.split(","))
    return {match["protocol"].lower() for match in found if match and match["protocol"]}


def check_topic(name: str) -> None:
    """A name that Kafka allows for a topic."""
    if not _TOPIC.fullmatch(name) or name in (".", ".."):
        raise ValueError(f"{name!r} is no name of a topic: letters, digits, '.', '_' and '-', at most 249")


def check_topics_and_patterns(topics: Sequence[str]) -> None:
    """Names of topics and, behind a `^`, regular expressions."""
    for topic in topics:
        if not topic.startswith("^"):
            try:
                check_topic(topic)
            except ValueError as error:
                raise ValueError(f"{error}; a pattern begins with ^, and one with a comma needs a JSON array") from None
            continue
        try:
            re.compile(topic)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(
                f"{topic!r} is no regular expression: {error}; one with a comma needs a JSON array"
            ) from error


@dataclass(frozen=True, slots=True)
class NamesAndPatterns:
    """A list of topics: those that are named, in their order, and patterns of more."""

    names: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]

    @classmethod
    def of(cls, topics: Iterable[str]) -> Self:
        """Each as it was written; what begins with a `^` is a pattern."""
        names, patterns = [], []
        for topic in topics:
            if topic.startswith("^"):
                patterns.append(re.compile(topic))
            else:
                names.append(topic)
        return cls(tuple(dict.fromkeys(names)), tuple(patterns))

    def __contains__(self, topic: str) -> bool:
        """Whether a topic is named, or taken in by a pattern."""
        return topic in self.names or any(pattern.search(topic) for pattern in self.patterns)

    def __str__(self) -> str:
        return ", ".join((*self.names, *(each.pattern for each in self.patterns)))


def check_alert_addresses(urls: Sequence[str]) -> None:
    """Addresses with a scheme. None is quoted in the error: it is a secret."""
    for number, url in enumerate(urls, start=1):
        if not _ALERT_ADDRESS.match(url):
            raise ValueError(
                f"address {number} of {len(urls)} does not begin with a scheme such as slack:// or mailtos://"
            )


def check_properties(properties: Mapping[str, Any]) -> None:
    """Properties that librdkafka could take: plain values, and no code."""
    for name, value in properties.items():
        if not isinstance(value, (str, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{name} must be a text, a number, true or false")
        if name.endswith("_cb") or name == "logger":
            raise ValueError(f"{name} is code of a program's own and cannot be set here")


def is_http_url(text: str) -> bool:
    """Whether it is an http or https address with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is none, or of half an IPv6 address
        return False
