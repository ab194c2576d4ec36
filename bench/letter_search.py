"""How long queries of many dead letters take, with their facets, and what the completion of values takes."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

from bench.letters import LetterLoad
from pipeline.buffer import DeadLetterFilter, Reader
from pipeline.buffer.views import DeadLetterView
from pipeline.search.parser import parse

T = TypeVar("T")
TURNS = 7
LIMIT_MS = 60_000
_FIXED = (
    "",
    "status:open",
    "status:recovered",
    "-status:open",
    "dialect:spring-kafka",
    "-dialect:spring-kafka",
    "class:ConflictException",
    "class:nothing",
    "price>100",
    "price:19.99",
    "product:nothing",
    "failed:<1h",
    "failed:<1d",
    "failed:<1h status:discarded",
    "failed>=2025-12-25T10 failed<2025-12-25T12",
    "rule:price",
    "attempts>3",
    "id:5000",
    "offset:12345",
    "consumer-group:billing",
)


class Timed:
    """How long something took each time, in milliseconds: by the clock, and of the processor's time."""

    def __init__(self) -> None:
        self.wall_ms: list[float] = []
        self.cpu_ms: list[float] = []

    def call(self, what: Callable[[], T]) -> T:
        """Calls it and notes how long that took."""
        began, cpu = time.perf_counter(), time.process_time()
        found = what()
        self.cpu_ms.append((time.process_time() - cpu) * 1000)
        self.wall_ms.append((time.perf_counter() - began) * 1000)
        return found

    def __str__(self) -> str:
        wall, cpu = _p95(self.wall_ms), _p95(self.cpu_ms)
        return f"p50 {statistics.median(self.wall_ms):.0f} ms, p95 {wall:.0f} ms ({cpu:.0f} ms CPU)"

    @property
    def p95_ms(self) -> float:
        """So long 19 of 20 took at most."""
        return _p95(self.wall_ms)


def _p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


def queries(reader: Reader, now_ms: int) -> list[str]:
    """Those that people ask: by each field, by several, for what is rare and for what is nearly all."""
    by_size = sorted(reader.groups(now_ms, limit=200).dicts(), key=itemgetter("total"), reverse=True)
    groups = [each["fingerprint"] for each in by_size]
    [newest] = reader.dead_letters(DeadLetterFilter(), limit=1)
    middle = next(row for row in _some(reader, newest.id // 2) if row.order_id)
    detail = reader.dead_letter(middle.id)
    assert detail is not None
    assert detail.key is not None
    key = detail.key.decode()
    first, second, rare = groups[0], groups[len(groups) // 2], groups[-1]
    return [
        *_FIXED,
        *(f"group:{group}" for group in (first, second, rare)),
        "group:timeout",
        f"source:{newest.source_topic}",
        f"topic:{newest.topic}",
        f"class:{newest.error_class}",
        f'product:"{middle.product}"',
        f"key:{key}",
        f"key:{key} status:open",
        f"order:{middle.order_id}",
        f"customer:{detail.customer_id}",
        f"group:{second} failed:<1d",
        f"class:{newest.error_class} status:open -group:{first}",
        f"NOT (group:{first} OR group:{second})",
        f"(status:recovered OR status:discarded) source:{middle.source_topic} price>50",
        "source-offset>500000 status:discarded",
    ]


def _some(reader: Reader, around: int) -> list[DeadLetterView]:
    return reader.dead_letters(DeadLetterFilter(ids=tuple(range(around, around + 200))))


def measured(file: Path, load: LetterLoad) -> Iterator[tuple[str, Timed]]:
    """Queries, facets, groups and completion, each several times, in turn."""
    asked, facets, groups, values = Timed(), Timed(), Timed(), Timed()
    with Reader(file, limit_ms=LIMIT_MS) as reader:
        wanted = [DeadLetterFilter(parse(text, load.until_ms)) for text in queries(reader, load.until_ms)]
        for _ in range(TURNS):
            for which in wanted:
                found = asked.call(partial(reader.find, which))
                facets.call(partial(reader.facets, found))
            groups.call(partial(reader.groups, load.until_ms))
            for field in ("class", "source", "topic", "dialect", "product"):
                values.call(partial(reader.dead_letter_values, field))
    yield "queries", asked
    yield "facets", facets
    yield "groups", groups
    yield "completion", values


def memory_mb() -> float:
    """The most that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
