"""One dead letter in the drawer: what it says of itself, what Kafka told of it, and what can be done with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.formats import plain
from pipeline.buffer import Lookup, open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.dead_letters.letter.comparing import Comparison, Difference
from pipeline.dead_letters.letter.examined import Around, Examined, Good, KeyRecord, PlaceLook, examined_to_json
from pipeline.dead_letters.letter.keeping import Kept
from tests.app.test_dead_letters import PAGE, fail_again, said, table
from tests.support.letters import NOW_MS, add_letters

OpenPage = Callable[..., AppTest]
SCRIPT = "<script>alert(1)</script> **bold** [here](https://elsewhere.example)"
LATER_MS = 4_102_444_800_000  # 2100-01-01
TOLD = Examined(
    NOW_MS,
    PlaceLook("orders[0] offset 100", Kept("until", LATER_MS), NOW_MS),
    PlaceLook("orders-dlq[0] offset 0", Kept("for ever"), NOW_MS + 7_000),
    Around(
        (
            KeyRecord(90, NOW_MS - 5_000, "an order", "JSON", '{"id":90}'),
            KeyRecord(100, NOW_MS, "the original", "JSON", SCRIPT),
            KeyRecord(104, NOW_MS + 5_000, "", "JSON", '{"id":104}'),
        ),
        older=1,
        newer=1,
        looked="3 records at offsets 90 to 104",
        cut="the partition holds 90 older offsets besides",
    ),
    Good(
        "orders[0] offset 90",
        "an accepted order, of the same key",
        "JSON",
        '{\n  "id": 90\n}',
        12,
        Comparison((Difference("customer.country", "missing", "", 'text, as "DE"'),)),
    ),
)


def asked(database_file: Path) -> Lookup | None:
    with open_buffer(database_file) as buffer:
        return buffer.lookups.next(wall_clock_ms())


def answer(database_file: Path, examined: Examined) -> None:
    """Answers the question about the open dead letter, as the worker does."""
    with open_buffer(database_file) as buffer:
        question = buffer.lookups.next(wall_clock_ms())
        assert question is not None
        assert question.kind == "letter"
        buffer.lookups.answer(question.id, examined_to_json(examined), "", wall_clock_ms())


def told(open_page: OpenPage, database_file: Path, examined: Examined = TOLD) -> AppTest:
    """The drawer of a dead letter, once Kafka was asked about it."""
    add_letters(database_file, 1, key=b"k")
    app = open_page(PAGE, id="1")
    answer(database_file, examined)
    return app.run()


def cells(app: AppTest, column: str) -> list[list[str]]:
    return table(app, column)


# ---- what the buffer knows


def test_the_timeline_and_other_lives_lead_from_one_to_the_other(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    fail_again(database_file, "first")
    add_letters(database_file, 1, replay_of="letter-0")
    app = open_page(PAGE, id="1")
    happened = cells(app, "what")[0]
    assert happened[:4] == ["Written", "Failed", "Dead-lettered", "Collected"]
    assert "Failed again: dead letter 2" in happened
    assert "Replay failed again" in happened
    app.button(key="letter_life_2").click().run()
    assert "**Dead letter 2**" in said(app)
    assert "Failed before: dead letter 1" in cells(app, "what")[0]


def test_a_stack_trace_is_folded_and_there_as_a_whole(open_page: OpenPage, database_file: Path) -> None:
    own = "com.shop.Bad: x\n\tat com.shop.Orders.on(Orders.java:3)\n"
    stack = own + "\tat org.apache.kafka.X.y(X.java:1)\n" * 40_000
    add_letters(database_file, 1, stacktrace=stack)
    app = open_page(PAGE, id="1")
    codes = [each.value for each in app.code]
    assert f"{own}    … 40000 frames of libraries" in codes
    assert stack[:20_000] in codes
    assert "1 of 40,001 frames are the program's own." in said(app)
    assert max(map(len, codes)) == 20_000


# ---- what Kafka tells


def test_kafka_is_asked_once_and_not_at_every_refresh(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2, key=b"k")
    app = open_page(PAGE, id="1")
    question = asked(database_file)
    assert question is not None
    assert (question.kind, json.loads(question.params)) == ("letter", {"id": 1})
    assert "Kafka is asked" in said(app)
    answer(database_file, TOLD)
    app.run()
    app.run()
    assert asked(database_file) is None
    assert "Kafka is asked" not in said(app)
    app.button(key="letter_previous").click().run()
    question = asked(database_file)
    assert question is not None
    assert json.loads(question.params) == {"id": 2}


def test_newer_records_of_its_key_are_warned_of(open_page: OpenPage, database_file: Path) -> None:
    app = told(open_page, database_file)
    assert [each.value for each in app.warning] == ["A newer record of its key came since: a replay comes behind it."]
    assert cells(app, "offset")[-1] == [90, 100, 104]
    frame = next(each.value for each in app.dataframe if "offset" in each.value.columns)
    assert list(frame["what"]) == ["an order", "the original", "not known"]
    assert list(frame["value"])[1] == SCRIPT
    words = said(app)
    assert "1 before it and 1 since, without its own replays." in words
    assert plain("3 records at offsets 90 to 104") in words
    assert plain("the partition holds 90 older offsets besides") in words
    assert not app.exception


def test_without_newer_records_nothing_is_warned_of(open_page: OpenPage, database_file: Path) -> None:
    app = told(open_page, database_file, replace(TOLD, around=Around(looked="1 record at offsets 100 to 100")))
    assert not app.warning
    assert "No other record of its key was found." in said(app)


def test_what_is_odd_is_told_beside_a_good_record(open_page: OpenPage, database_file: Path) -> None:
    app = told(open_page, database_file)
    frame = next(each.value for each in app.dataframe if "path" in each.value.columns)
    assert frame.iloc[0].to_list() == ["customer.country", "missing", "", 'text, as "DE"']
    assert f"Compared with {plain('an accepted order, of the same key')}, {plain('orders[0] offset 90')}" in said(app)
    assert '{\n  "id": 90\n}' in [each.value for each in app.code]


def test_without_a_good_record_it_is_said_why(open_page: OpenPage, database_file: Path) -> None:
    app = told(open_page, database_file, replace(TOLD, good=Good(why_not=f"no record {SCRIPT}")))
    assert f"{plain(f'No record {SCRIPT}')}." in said(app)


@pytest.mark.parametrize(
    ("source", "own", "words"),
    [
        (
            Kept("until", LATER_MS),
            Kept("for ever"),
            "the original until about 2100-01-01 00:00, and the dead letter for ever",
        ),
        (
            Kept("until", LATER_MS, 5_000_000),
            Kept("until", None, 5_000_000),
            "the original until about 2100-01-01 00:00, earlier once its partition has more than 5.0 MB, "
            "and the dead letter until it goes once its partition has more than 5.0 MB",
        ),
        (Kept("until", 0), Kept("until", 0), "both since 1970-01-01 00:00 only until its segment goes"),
        (Kept("compacted"), Kept("compacted"), "both until a newer one of its key replaces it"),
        (
            Kept("compacted", LATER_MS),
            Kept("gone", why="Kafka keeps records from offset 9 on"),
            "the original until about 2100-01-01 00:00, or a newer one of its key replaces it, "
            "and the dead letter no more (Kafka keeps records from offset 9 on)",
        ),
        (
            Kept("not known", why="no right"),
            Kept("not known", why="no right"),
            "both for nobody knows how long (no right)",
        ),
    ],
)
def test_how_long_kafka_keeps_both_is_told(
    open_page: OpenPage, database_file: Path, source: Kept, own: Kept, words: str
) -> None:
    examined = replace(TOLD, source=PlaceLook("orders[0] offset 100", source), dead_letter=PlaceLook("dlq", own))
    assert f":material/schedule: Kafka keeps {words}." in said(told(open_page, database_file, examined))


def test_when_it_was_dead_lettered_is_what_kafka_says(open_page: OpenPage, database_file: Path) -> None:
    app = told(open_page, database_file)
    frame = next(each.value for each in app.dataframe if "more" in each.value.columns)
    at = dict(zip(frame["what"], frame["at"], strict=True))
    assert at["Dead-lettered"].timestamp() * 1000 == NOW_MS + 7_000


def test_why_nothing_is_known_is_said_as_it_stands(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = open_page(PAGE, id="1")
    with open_buffer(database_file) as buffer:
        question = buffer.lookups.next(wall_clock_ms())
        assert question is not None
        buffer.lookups.answer(question.id, None, SCRIPT, wall_clock_ms())
    app.run()
    assert {each.value for each in app.error} == {plain(SCRIPT)}
    app.button(key="letter_ask_again").click().run()
    assert asked(database_file) is not None
    assert not app.error


def test_who_may_only_look_asks_kafka_and_does_nothing(
    open_page: OpenPage, database_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERPULSE_READ_ONLY", "1")
    app = told(open_page, database_file)
    assert app.button(key="letter_replay").disabled
    assert app.warning


def test_script_in_every_field_is_shown_as_text(open_page: OpenPage, database_file: Path) -> None:
    value = json.dumps({SCRIPT: SCRIPT}).encode()
    headers = ((SCRIPT, SCRIPT.encode()),)
    add_letters(
        database_file, 1, reason=SCRIPT, source_topic=SCRIPT, value=value, key=value, headers=headers, stacktrace=SCRIPT
    )
    app = open_page(PAGE, id="1")
    answer(
        database_file,
        replace(
            TOLD,
            source=PlaceLook(SCRIPT, Kept("gone", why=SCRIPT), note=SCRIPT),
            around=replace(TOLD.around, looked=SCRIPT, cut=SCRIPT),
            good=replace(TOLD.good, position=SCRIPT, what=SCRIPT, format=SCRIPT, value=SCRIPT, why_not=""),
        ),
    )
    app.run()
    assert not app.exception
    markdown = "\n".join(
        str(each.value) for kind in (app.markdown, app.caption, app.info, app.warning) for each in kind
    )
    assert "<script>" not in markdown
    assert "https://elsewhere" not in markdown
