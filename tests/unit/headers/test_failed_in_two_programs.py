"""A record that failed in several programs: the first one's origin, the last one's failure, by order or by content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.headers import DIALECTS, failure_headers, read_failure, replay_headers
from pipeline.headers.dialect import Dialect
from pipeline.headers.failures import FailureReader
from pipeline.headers.values import HeadersByName, as_number, as_text, text_positions
from pipeline.records import Failure, Headers, Position
from tests.support.dialect_samples import CAME_WITH, SAMPLES, Sample

randoms = st.integers(0, 2**32).map(Random)
"""Orders are shuffled by one of these: drawing a permutation takes hypothesis a hundred times as long."""

TOPIC, PARTITION, OFFSET = "shuffled-topic", "shuffled-partition", "shuffled-offset"
REASON, FAILED_AT_MS = "shuffled-reason", "shuffled-failed-at-ms"


def read_shuffled(headers: HeadersByName) -> Failure:
    return Failure(
        "shuffled",
        **text_positions(headers, TOPIC, PARTITION, OFFSET),
        message=as_text(headers.last(REASON)),
        failed_at_ms=as_number(headers.last(FAILED_AT_MS)),
    )


SHUFFLED = Dialect(
    name="shuffled",
    header_names=frozenset({TOPIC, PARTITION, OFFSET, REASON, FAILED_AT_MS}),
    read=read_shuffled,
    header_order="unordered",
)
"""A dialect whose headers come in any order, and which the product does not have."""

PREPENDED = Dialect(
    name="before",
    header_names=frozenset({"before-topic", "before-reason"}),
    read=lambda headers: Failure(
        "before",
        source_topic=as_text(headers.first("before-topic")),
        newest_topic=as_text(headers.last("before-topic")),
        message=as_text(headers.last("before-reason")),
    ),
    header_order="prepended",
)
BEFORE = Sample(
    (("before-topic", b"shop"), ("before-reason", b"no")),
    Failure("before", source_topic="shop", newest_topic="shop", message="no"),
)
READ = FailureReader((*DIALECTS, SHUFFLED, PREPENDED)).read


def shuffle(random: Random, headers: Iterable[tuple[str, bytes | None]]) -> Headers:
    shuffled = list(headers)
    random.shuffle(shuffled)
    return tuple(shuffled)


@dataclass(frozen=True, slots=True)
class Writer:
    """A program that writes dead letters: its dialect, the headers that it adds, and what they tell."""

    dialect: Dialect
    own: Headers
    failure: Failure

    def fails_on(self, random: Random, headers: Headers) -> Headers:
        """The dead letter's headers when the record with these headers fails there."""
        if self.dialect.header_order == "unordered":
            # As a hash map writes them: the last value of each name, in any order.
            return shuffle(random, dict(headers + self.own).items())
        return headers + self.own if self.dialect.header_order == "appended" else self.own + headers

    def replayed(self, headers: Headers) -> Headers:
        """The headers of a replay of its dead letter."""
        return replay_headers(headers, "r-1", self.failure.dead_letter_id or f"id-of-{self.dialect.name}")


WRITERS = {each.name: Writer(each, SAMPLES[each.name].own, SAMPLES[each.name].failure) for each in DIALECTS}
ORDERED = [each for each in WRITERS.values() if each.dialect.header_order != "unordered"]
OURS = WRITERS["orderpulse"]


def shuffled(topic: str = "orders", **more: int) -> Writer:
    """The unordered writer; `more` are partition, offset and failed_at_ms where it tells them."""
    names = {"partition": PARTITION, "offset": OFFSET, "failed_at_ms": FAILED_AT_MS}
    own: Headers = ((TOPIC, topic.encode()), (REASON, b"poisoned"))
    own += tuple((names[name], str(number).encode()) for name, number in more.items())
    return Writer(SHUFFLED, own, read_shuffled(HeadersByName(own)))


def of_first_and_second(first: Failure, second: Failure) -> Failure:
    """The failure of the second with the origin of the first; one that names no topic is no origin."""
    origin = first if first.source_topic or not second.source_topic else second
    return second._replace(
        source_topic=origin.source_topic,
        source_partition=origin.source_partition,
        source_offset=origin.source_offset,
        source_timestamp_ms=origin.source_timestamp_ms,
    )


def says_the_opposite(first: Failure, second: Failure) -> bool:
    """Whether the samples happen to have offsets or times by which the second would have failed before the first."""
    same = (first.newest_topic, first.newest_partition) == (second.newest_topic, second.newest_partition)
    earlier = same and (first.newest_offset or 0) > (second.newest_offset or 2**63)
    return earlier or (first.failed_at_ms or 0) > (second.failed_at_ms or 2**63)


def without_replays(failure: Failure) -> Failure:
    return failure._replace(replay_id=None, replay_of=None)


def permuted(random: Random, headers: Headers) -> Headers:
    """The headers in another order; values of one name stay in theirs."""
    values = {name: [value for each, value in headers if each == name] for name, _ in headers}
    return tuple((name, values[name].pop(0)) for name, _ in shuffle(random, headers))


# -- by the order of the headers


@settings(max_examples=200, deadline=None)
@given(randoms, st.sampled_from(ORDERED), st.sampled_from(ORDERED))
def test_after_a_replay_the_origin_is_the_first_one_s_and_the_failure_the_second_one_s(
    random: Random, first: Writer, second: Writer
) -> None:
    if first is second:
        return
    headers = second.fails_on(random, first.replayed(first.fails_on(random, CAME_WITH)))
    expected = of_first_and_second(first.failure, second.failure)
    if first.failure.source_topic is None and {name for name, _ in first.own} <= first.dialect.not_replayed:
        # It named no origin, and the replay has nothing else of it.
        expected = second.failure
    assert without_replays(read_failure(headers)) == expected


@pytest.mark.parametrize(("first", "second"), list(permutations(ORDERED, 2)), ids=lambda writer: writer.dialect.name)
def test_without_a_replay_one_that_appends_is_the_newest_when_it_failed_last(first: Writer, second: Writer) -> None:
    if second.dialect.header_order != "appended":
        return
    before = CAME_WITH + first.own if first.dialect.header_order == "appended" else first.own + CAME_WITH
    expected = of_first_and_second(first.failure, second.failure)
    higher = first.failure.newest_offset is not None and (second.failure.newest_offset or 0) > 0
    # One that prepends stands first in both cases: without a replay its offset has to be the lower one.
    if first.dialect.header_order == "appended" or higher or first.failure.newest_offset is None:
        assert read_failure(before + second.own) == expected


def test_of_two_that_prepend_the_one_before_the_other_is_the_newer() -> None:
    smallrye = WRITERS["smallrye"]
    assert READ(BEFORE.headers + smallrye.own) == of_first_and_second(smallrye.failure, BEFORE.failure)
    assert READ(smallrye.own + BEFORE.headers) == of_first_and_second(BEFORE.failure, smallrye.failure)


# -- by what the headers say

UNORDERED = [
    *(shuffled(), shuffled(partition=3, offset=900)),
    *(each for each in WRITERS.values() if each.dialect.header_order == "unordered"),
]
"""Those of the tests, and those of the product."""


@settings(max_examples=200, deadline=None)
@given(randoms, st.sampled_from(UNORDERED))
def test_an_unordered_dialect_alone_is_read_in_any_order(random: Random, writer: Writer) -> None:
    assert READ(writer.fails_on(random, CAME_WITH)) == writer.failure


@settings(max_examples=200, deadline=None)
@given(randoms, st.sampled_from(ORDERED), st.sampled_from(UNORDERED), st.booleans())
def test_an_unordered_one_that_failed_last_is_the_newest(
    random: Random, first: Writer, second: Writer, replayed: bool
) -> None:
    if says_the_opposite(first.failure, second.failure):
        return
    before = first.fails_on(random, CAME_WITH)
    headers = second.fails_on(random, first.replayed(before) if replayed else before)
    expected = of_first_and_second(first.failure, second.failure)
    assert without_replays(READ(headers)) == expected
    assert without_replays(READ(permuted(random, headers))) == expected


@settings(max_examples=200, deadline=None)
@given(randoms, st.sampled_from(ORDERED), st.booleans())
def test_one_that_failed_after_an_unordered_one_at_a_higher_offset_is_the_newest(
    random: Random, second: Writer, replayed: bool
) -> None:
    newest = second.failure
    if newest.newest_offset is None or newest.newest_topic is None:
        return
    first = shuffled(newest.newest_topic, partition=newest.newest_partition or 0, offset=0)
    before = first.fails_on(random, CAME_WITH)
    headers = second.fails_on(random, first.replayed(before) if replayed else before)
    expected = of_first_and_second(first.failure, second.failure)
    assert without_replays(READ(headers)) == expected
    assert without_replays(READ(permuted(random, headers))) == expected


@settings(max_examples=200, deadline=None)
@given(randoms, st.sampled_from([*UNORDERED, shuffled(failed_at_ms=9_000)]))
def test_ours_after_an_unordered_one_that_we_replayed_is_the_newest(random: Random, first: Writer) -> None:
    headers = OURS.fails_on(random, first.replayed(first.fails_on(random, CAME_WITH)))
    failure = READ(permuted(random, headers))
    assert failure == READ(headers)
    assert without_replays(failure) == of_first_and_second(first.failure, OURS.failure)
    assert (failure.replay_id, failure.replay_of) == ("r-1", f"id-of-{first.dialect.name}")


@settings(max_examples=200, deadline=None)
@given(randoms)
def test_the_later_time_tells_where_both_tell_one(random: Random) -> None:
    ours_at_ms = OURS.failure.failed_at_ms or 0
    for at_ms, newest in ((ours_at_ms - 1, "orderpulse"), (ours_at_ms + 1, "shuffled"), (ours_at_ms, "shuffled")):
        headers = OURS.own + shuffled(failed_at_ms=at_ms).own
        assert READ(permuted(random, headers)).dialect == newest


@settings(max_examples=200, deadline=None)
@given(randoms, st.sampled_from(ORDERED))
def test_where_nothing_tells_the_unordered_one_is_taken_for_the_newest(random: Random, other: Writer) -> None:
    assert READ(permuted(random, other.own + shuffled().own)).dialect == "shuffled"


@settings(max_examples=200, deadline=None)
@given(randoms)
def test_ours_twice_around_replays_after_an_unordered_one(random: Random) -> None:
    again = replace(OURS, own=ours_again(), failure=READ(ours_again()))
    headers = again.fails_on(random, OURS.replayed(OURS.fails_on(random, shuffled().replayed(shuffled().own))))
    failure = READ(permuted(random, headers))
    assert failure == READ(headers)
    assert (failure.dialect, failure.dead_letter_id, failure.replay_of) == ("orderpulse", "d-2", "d-1")
    assert (failure.source_topic, failure.source_partition, failure.newest_offset) == ("orders", None, 950)
    last = shuffled().fails_on(random, again.replayed(headers))
    assert (READ(last).dialect, READ(last).source_topic, READ(last).source_offset) == ("shuffled", "orders", 950)


def ours_again() -> Headers:
    return failure_headers(
        Position("orders", 3, 950),
        stage="VALUE_CONVERTER",
        class_name="pipeline.orders.rules",
        exception_class="RuleBrokenError",
        message="no product",
        stacktrace="",
        attempts=1,
        first_failed_at_ms=3_000,
        failed_at_ms=4_000,
        rule="product",
        dead_letter_id="d-2",
    )


@settings(max_examples=200, deadline=None)
@given(randoms, st.lists(st.sampled_from([*WRITERS.values(), *UNORDERED]), max_size=4))
def test_no_order_of_different_headers_matters_as_soon_as_one_is_unordered(
    random: Random, writers: list[Writer]
) -> None:
    headers = shuffled().own
    for writer in writers:
        headers = writer.fails_on(random, headers)
        headers = writer.replayed(headers) if random.random() < 0.5 else headers
    failure = READ(headers)
    assert READ(permuted(random, headers)) == failure
    assert failure.dialect in {"shuffled", *(writer.dialect.name for writer in writers)}
