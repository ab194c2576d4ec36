"""What people say of dead-letter topics: filled in where headers do not tell, refused with file, line and reason."""

from __future__ import annotations

import struct
import tomllib
from pathlib import Path

import pytest

from pipeline.dead_letters.collector import dead_letter_row
from pipeline.dead_letters.topics_file import DeadLetterTopicsFile, load_dead_letter_topics, parse_dead_letter_topics
from pipeline.errors import DeadLettersFileError
from pipeline.records import Headers, Position, Record, TopicIdentity
from pipeline.settings import Settings

PATH = Path("dead-letters.toml")
AT_MS = 1_767_268_800_000
CAMEL = """
["camel.dead"]
source = "bookings"
reason_header = "x-error"
error_class_header = "x-class"
timestamp_header = "x-at"

["^(.+)\\\\.failed$"]
source = "\\\\1"

["^.+\\\\.failed\\\\.late$"]
reason_header = "why"
"""


def said(text: str = CAMEL):
    return parse_dead_letter_topics(text.encode(), PATH)


def row(topic: str, headers: Headers, value: bytes | None = b'{"id":7}'):
    record = Record(Position(topic, 0, 3), AT_MS + 9_000, b"k", value, headers)
    return dead_letter_row(record, 1, TopicIdentity("c", topic), None, said())


def test_what_the_headers_do_not_tell_is_filled_in():
    told = row("camel.dead", (("x-error", b"card declined"), ("x-class", b"CardDeclined"), ("x-at", b"%d" % AT_MS)))
    assert (told.dialect, told.source_topic, told.reason) == ("none", "bookings", "card declined")
    assert (told.error_class, told.failed_at_ms) == ("CardDeclined", AT_MS)


def test_what_a_dialect_tells_is_not_changed():
    headers = (("reason_poisoned", b"from Watermill"), ("topic_poisoned", b"payments"), ("x-error", b"another"))
    told = row("camel.dead", headers)
    assert (told.dialect, told.source_topic, told.reason) == ("watermill", "payments", "from Watermill")


def test_a_dialect_without_a_topic_keeps_its_position():
    told = row("camel.dead", (("original_partition", b"2"), ("original_offset", b"31")))
    assert (told.dialect, told.source_topic, told.source_partition, told.source_offset) == ("arroyo", "bookings", 2, 31)


@pytest.mark.parametrize(
    ("value", "at_ms"),
    [
        (b"%d" % AT_MS, AT_MS),
        (struct.pack(">q", AT_MS), AT_MS),
        (b"2026-01-01T12:00:00Z", AT_MS),
        (b"2026-01-01T14:00:00.000+02:00", AT_MS),
        (b"2026-01-01T12:00:00", None),
        (b"%d" % (AT_MS // 1000), None),
        (b"soon", None),
        (b"", None),
        (None, None),
    ],
)
def test_a_time_is_taken_only_where_it_is_one(value, at_ms):
    told = row("camel.dead", (("x-at", value),))
    assert told.failed_at_ms == (at_ms if at_ms is not None else row("camel.dead", ()).failed_at_ms)


def test_a_name_counts_before_a_pattern_and_a_pattern_names_topics_by_what_it_matched():
    topics = said()
    assert topics.source_of("camel.dead") == "bookings"
    assert topics.source_of("shop.orders.failed") == "shop.orders"
    assert topics.of("shop.failed.late").reason_header == "why"
    assert topics.source_of("elsewhere") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["dlq"]\nsource = "a b"\n', "line 2: dlq.source: is no topic's name"),
        ('["dlq"]\nsource = "dlq"\n', "line 2: dlq.source: is the dead-letter topic itself"),
        ('["dlq"]\nsorce = "a"\n', "line 2: dlq.sorce is no key of this table"),
        ('["dlq"]\nsource = 5\n', "line 2: dlq.source: Input should be a valid string"),
        ('["dlq"]\nreason_header = ""\n', "line 2: dlq.reason_header: String should have at least 1 character"),
        ('["dlq"]\n', "line 1: dlq says nothing; its keys are source, reason_header"),
        ('dlq = "payments"\n', "line 1: dlq is no table"),
        ('["a b"]\nsource = "x"\n', 'line 1: "a b" is no topic\'s name, and no pattern'),
        ('["^("]\nsource = "x"\n', 'line 1: "^(" is no regular expression'),
        ('["^a"]\nsource = "\\\\1"\n', 'line 2: "^a".source: names a group that the pattern does not have'),
        ("[dlq\n", "is not valid TOML"),
    ],
)
def test_a_fault_is_named_with_file_line_and_reason(text, words):
    with pytest.raises(DeadLettersFileError) as raised:
        said(text)
    assert str(raised.value).startswith("the dead-letters file dead-letters.toml")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(DeadLettersFileError, match="not UTF-8"):
        parse_dead_letter_topics(b"\xff", PATH)


# -- the file


def test_it_need_not_be_there_unless_it_was_asked_for(tmp_path):
    missing = tmp_path / "dead-letters.toml"
    with pytest.raises(DeadLettersFileError, match="cannot be read"):
        load_dead_letter_topics(Settings(dead_letters_file=missing))
    settings = Settings.model_construct(_fields_set=set(), dead_letters_file=missing)
    assert load_dead_letter_topics(settings).source_of("camel.dead") is None


def test_a_file_that_comes_later_counts_and_a_broken_one_keeps_what_was_said(tmp_path):
    path = tmp_path / "dead-letters.toml"
    file = DeadLetterTopicsFile(Settings.model_construct(_fields_set=set(), dead_letters_file=path))
    file.refresh()
    assert (file.content.source_of("camel.dead"), file.error) == (None, "")
    path.write_text(CAMEL)
    file.refresh()
    assert file.content.source_of("camel.dead") == "bookings"
    path.write_text('["camel.dead"]\nsource = ""\n')
    file.refresh()
    assert file.content.source_of("camel.dead") == "bookings"
    assert f'{path}: line 2: "camel.dead".source' in file.error
    path.unlink()
    file.refresh()
    assert file.content.source_of("camel.dead") == "bookings"
    assert "cannot be read" in file.error
    path.write_text('["camel.dead"]\nsource = "trips"\n')
    file.refresh()
    assert (file.content.source_of("camel.dead"), file.error) == ("trips", "")


def test_the_examples_of_the_document_can_be_used():
    text = Path("docs/dead-letters.md").read_text().split("```toml\n")[1].split("```")[0]
    topics = said(text)
    for topic in tomllib.loads(text):
        if not topic.startswith("^"):
            assert topics.source_of(topic)
    assert topics.source_of("rides.failed") == "rides"


def test_the_failure_is_the_same_whatever_is_said_of_its_topic():
    headers: Headers = (("original_partition", b"2"), ("original_offset", b"31"))
    record = Record(Position("camel.dead", 0, 3), AT_MS, b"k", b"v", headers)
    identity = TopicIdentity("c", "camel.dead")
    before = dead_letter_row(record, 1, identity, None)
    after = dead_letter_row(record, 1, identity, None, said())
    assert before.dead_letter_id == after.dead_letter_id
    assert (before.source_topic, after.source_topic) == (None, "bookings")
