"""What holds for each dialect alone, checked on its sample: a new dialect is tested by its entry in the table."""

from __future__ import annotations

import pkgutil
import struct
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.headers import DIALECTS, dialects, read_failure, replay_headers
from pipeline.headers.dialect import Dialect
from pipeline.headers.own import (
    REPLAY_ID,
    REPLAY_OF,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TIMESTAMP_MS,
    SOURCE_TOPIC,
)
from pipeline.headers.values import LAST_TIMESTAMP_MS, HeadersByName
from pipeline.records import Failure, Headers
from tests.support.dialect_samples import CAME_WITH, SAMPLES

NAMES = [dialect.name for dialect in DIALECTS]
OUR_ORIGIN = {SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET, SOURCE_TIMESTAMP_MS}
KNOWN = {REPLAY_ID, REPLAY_OF, *OUR_ORIGIN}.union(*(dialect.header_names for dialect in DIALECTS))
EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
values = st.none() | st.binary(max_size=12)
PROBES = (None, b"zz", b"1", struct.pack(">i", 1), struct.pack(">q", 1))
"""Values of each form that a header may have: what one of them changes is what the header tells."""
MALFORMED = (None, b"", b"-1", b"1e3", b" 3", b"9" * 40, b"\xff\xfe", struct.pack(">q", -1), struct.pack(">q", 2**62))
NO_TIMES = (
    *(b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59.999-14:00", b"9999-01-01T00:00:00", b"1969-12-31T23:59:59Z"),
    *(b"-1", str(LAST_TIMESTAMP_MS + 1).encode(), struct.pack(">q", -1), struct.pack(">q", LAST_TIMESTAMP_MS + 1)),
)
"""Before the first time that a field may have, or after the last one."""
POSITION_FIELDS = {f"{kind}_{part}" for kind in ("source", "newest") for part in ("topic", "partition", "offset")}
OF_THE_OLDEST = {field for field in Failure._fields if field.startswith("source_")} | {"first_failed_at_ms"}
"""What the first of several failures tells; everything else is the last one's."""
EXCEPTIONS: dict[str, dict[str, str]] = {
    "oldest and newest": {"smallrye": "finds the older failure by the positions in its headers"},
    "all in the sample": {
        "spring-kafka": "has other names in a retry topic than in a dead-letter topic, and never all",
        "smallrye": "has other names for retries and for what cannot be deserialized, and never all",
    },
    "required": {
        "watermill": "its one header that nobody else writes is the reason, and it always writes that",
        "wolverine": "has words that others use too, and only together they are its own; it always writes all three",
        "brighter": "anybody may have a header OriginalTopic; it always writes the time beside it",
    },
}
"""Dialects that a test does not hold for, by test, and why."""
strangers = st.tuples(st.text(max_size=12).filter(lambda name: name not in KNOWN), values)


class RecordedHeaders(HeadersByName):
    """Notes in `asked` which headers are looked up."""

    def __init__(self, headers: Headers, asked: set[str]) -> None:
        super().__init__(headers)
        self.asked = asked

    def first(self, name: str, *or_names: str) -> bytes | None:
        self.asked.update((name, *or_names))
        return super().first(name, *or_names)

    def last(self, name: str, *or_names: str) -> bytes | None:
        self.asked.update((name, *or_names))
        return super().last(name, *or_names)

    def backwards(self) -> HeadersByName:
        return RecordedHeaders(self.in_order[::-1], self.asked)


def names_of(dialect: Dialect) -> frozenset[str]:
    """Its own header names and those that it borrows."""
    borrowed = dialect.borrows_from.header_names - dialect.not_borrowed if dialect.borrows_from else frozenset()
    return dialect.header_names | borrowed


def all_but(exceptions: str) -> list[Dialect]:
    return [dialect for dialect in DIALECTS if dialect.name not in EXCEPTIONS[exceptions]]


# -- the list, and the table


def test_every_module_of_the_folder_is_in_the_list_of_dialects() -> None:
    modules = {name for _, name, _ in pkgutil.iter_modules(dialects.__path__)}
    assert {dialect.read.__module__.rpartition(".")[2] for dialect in DIALECTS} == modules


def test_a_module_has_the_name_of_its_dialect() -> None:
    modules = [dialect.read.__module__.rpartition(".")[2] for dialect in DIALECTS]
    assert modules == [name.replace("-", "_") for name in NAMES]


def test_every_dialect_has_a_sample_in_tests_support_dialect_samples() -> None:
    assert list(SAMPLES) == NAMES


@EVERY_DIALECT
def test_a_sample_is_read_exactly(dialect: Dialect) -> None:
    assert SAMPLES[dialect.name].failure.dialect == dialect.name
    assert read_failure(SAMPLES[dialect.name].headers) == SAMPLES[dialect.name].failure


@EVERY_DIALECT
def test_a_sample_has_the_headers_that_its_record_came_with_where_the_header_order_says(dialect: Dialect) -> None:
    sample = SAMPLES[dialect.name]
    assert sorted(CAME_WITH + sample.own) == sorted(sample.headers)
    assert dialect.header_order == sample.header_order


@EVERY_DIALECT
def test_a_sample_failed_once_so_its_newest_position_is_its_source(dialect: Dialect) -> None:
    told = SAMPLES[dialect.name].failure._asdict()
    for part in ("topic", "partition", "offset"):
        assert told[f"newest_{part}"] == told[f"source_{part}"], part


# -- names


def test_no_two_dialects_share_a_header_name() -> None:
    everything = [name for dialect in DIALECTS for name in dialect.header_names]
    assert len(everything) == len(set(everything))


@EVERY_DIALECT
def test_every_header_of_a_sample_and_every_required_one_is_in_header_names(dialect: Dialect) -> None:
    assert {name for name, _ in SAMPLES[dialect.name].own} <= names_of(dialect)
    assert dialect.required <= dialect.header_names
    assert dialect.binary_numbers.keys() <= dialect.header_names


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(DIALECTS))
def test_every_header_that_is_read_is_in_header_names(data: st.DataObject, dialect: Dialect) -> None:
    # What is there decides which header is looked up next.
    own = SAMPLES[dialect.name].own
    asked: set[str] = set()
    dialect.read(RecordedHeaders(tuple(data.draw(st.lists(st.sampled_from(own), unique=True))), asked))
    assert asked
    assert asked <= names_of(dialect)


@pytest.mark.parametrize("dialect", all_but("all in the sample"), ids=lambda dialect: dialect.name)
def test_every_header_that_is_read_is_in_the_sample(dialect: Dialect) -> None:
    own = SAMPLES[dialect.name].own
    asked: set[str] = set()
    for headers in (own, ()):
        dialect.read(RecordedHeaders(headers, asked))
    assert asked <= dict(own).keys()


@pytest.mark.parametrize("dialect", all_but("required"), ids=lambda dialect: dialect.name)
def test_what_is_required_tells_where_the_record_was_or_who_it_is(dialect: Dialect) -> None:
    """Other headers are not always there: a reason may be null, a time is missing in older versions."""
    headers = SAMPLES[dialect.name].own
    for index, (name, _) in enumerate(headers):
        if name in dialect.required:
            told = set().union(*(changed(headers, replaced(headers, index, probe)) for probe in PROBES))
            assert told <= POSITION_FIELDS | {"dead_letter_id"}, name


@EVERY_DIALECT
def test_any_header_of_a_dialect_is_enough_beside_those_it_requires(dialect: Dialect) -> None:
    required = tuple((name, b"1") for name in sorted(dialect.required))
    for name in dialect.header_names:
        assert read_failure(((name, b"1"), *required)).dialect == dialect.name
    for missing in required:
        kept = tuple((name, b"1") for name in dialect.header_names if name != missing[0])
        assert read_failure(kept).dialect == "none"


# -- what changes nothing


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(DIALECTS))
def test_the_order_of_headers_with_different_names_changes_nothing(seed: int, dialect: Dialect) -> None:
    sample = SAMPLES[dialect.name]
    assert len(dict(sample.headers)) == len(sample.headers)
    headers = list(sample.headers)
    Random(seed).shuffle(headers)
    assert read_failure(tuple(headers)) == sample.failure


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(DIALECTS), st.lists(strangers, max_size=4))
def test_headers_of_strangers_change_nothing_wherever_they_stand(
    data: st.DataObject, dialect: Dialect, others: list[tuple[str, bytes | None]]
) -> None:
    headers = list(SAMPLES[dialect.name].headers)
    for other in others:
        headers.insert(data.draw(st.integers(0, len(headers))), other)
    assert read_failure(tuple(headers)) == SAMPLES[dialect.name].failure


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(DIALECTS))
def test_a_null_empty_truncated_or_malformed_value_never_raises_and_hides_nothing_but_itself(
    data: st.DataObject, dialect: Dialect
) -> None:
    headers = SAMPLES[dialect.name].headers
    index = data.draw(st.integers(0, len(headers) - 1))
    value = headers[index][1] or b""
    malformed = data.draw(st.sampled_from(MALFORMED) | values | st.integers(0, len(value)).map(lambda end: value[:end]))
    failure = read_failure(replaced(headers, index, malformed))
    assert failure.dialect == dialect.name
    its_fields = set().union(*(changed(headers, replaced(headers, index, probe)) for probe in PROBES))
    assert changed(headers, replaced(headers, index, malformed)) <= its_fields


def replaced(headers: Headers, index: int, value: bytes | None) -> Headers:
    return (*headers[:index], (headers[index][0], value), *headers[index + 1 :])


def changed(one: Headers, other: Headers) -> set[str]:
    left, right = read_failure(one)._asdict(), read_failure(other)._asdict()
    return {field for field in left if left[field] != right[field]}


# -- times, and several failures


@EVERY_DIALECT
def test_a_time_is_within_the_range_of_times_or_missing(dialect: Dialect) -> None:
    for name in sorted(names_of(dialect)):
        others = tuple(header for header in SAMPLES[dialect.name].own if header[0] != name)
        for value in NO_TIMES:
            told = read_failure((*others, (name, value)))._asdict()
            for field in (field for field in told if field.endswith("_ms")):
                assert 0 <= (told[field] or 0) <= LAST_TIMESTAMP_MS, f"{field} by {name}: {value!r}"


@pytest.mark.parametrize("dialect", all_but("oldest and newest"), ids=lambda dialect: dialect.name)
def test_of_two_failures_the_first_tells_the_source_and_the_last_everything_else(dialect: Dialect) -> None:
    own = SAMPLES[dialect.name].own
    twice = own + own
    for index, (name, _) in enumerate(twice):
        is_older = (index < len(own)) == (dialect.header_order != "prepended")
        for probe in PROBES:
            told = changed(twice, replaced(twice, index, probe))
            wrong = told - OF_THE_OLDEST if is_older else told & OF_THE_OLDEST
            assert not wrong, f"{name} of the {'older' if is_older else 'newer'} failure tells {sorted(wrong)}"


# -- replays


@EVERY_DIALECT
def test_a_replay_keeps_every_header_but_those_that_the_dialect_leaves_out(dialect: Dialect) -> None:
    headers = SAMPLES[dialect.name].headers
    left_out: Headers = tuple((name, b"1") for name in sorted(dialect.not_replayed))
    sent = replay_headers(headers + left_out, "r-1", "d-1")
    kept = tuple(header for header in headers if header[0] not in dialect.not_replayed)
    assert sent[: len(kept)] == kept
    assert sent[-2:] == ((REPLAY_ID, b"r-1"), (REPLAY_OF, b"d-1"))
    assert {name for name, _ in sent[len(kept) : -2]} <= OUR_ORIGIN


@EVERY_DIALECT
def test_a_replay_tells_the_first_origin_whatever_is_left_out_of_it(dialect: Dialect) -> None:
    sample = SAMPLES[dialect.name]
    sent = replay_headers(sample.headers, "r-1", "d-1")
    assert origin(read_failure(sent)) == origin(sample.failure)
    again = replay_headers(sent + sample.own, "r-2", "d-2")
    assert origin(read_failure(again)) == origin(sample.failure), "of a second replay too"
    assert read_failure(again).replay_id == "r-2"


def origin(failure: Failure) -> tuple[object, ...]:
    return (failure.source_topic, failure.source_partition, failure.source_offset, failure.source_timestamp_ms)
