from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.formats import plain
from pipeline.buffer import Batch, DeadLetterFilter, Reader, ReplayOutcome, Sent, open_buffer
from pipeline.buffer.views import JobView
from pipeline.search.query import Query, Text
from tests.support.letters import NOW_MS, add_letters, replay
from tests.support.recordings import recordings
from tests.support.widget_keys import key_now

PAGE = "pages/dead_letters.py"
RECORDED = recordings()
BINARY_NUMBERS = ("-partition", "-offset", "-timestamp", "-attempts")
OpenPage = Callable[..., AppTest]


def select(app: AppTest, *rows: int) -> AppTest:
    """Selects rows of the table by their index, as the browser tells it."""
    app.session_state[key_now(app, "letters_table_")] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return app.run()


def read(app: AppTest, row: int) -> AppTest:
    """Opens the dead letter of this row of the table, as a click on it does."""
    app.session_state["letters_opened"] = int(table(app, "id")[-1][row])
    return app.run()


def discard(app: AppTest) -> AppTest:
    """Discards what is selected, and confirms it."""
    app.button(key="letters_to_discarded").click().run()
    return app.button(key="discard_confirm").click().run()


def table(app: AppTest, column: str = "order_id") -> list[list[str]]:
    """The values of every table that has that column."""
    return [list(frame.value[column]) for frame in app.dataframe if column in frame.value.columns]


def said(app: AppTest) -> str:
    """Everything that is said in words."""
    kinds = (app.caption, app.markdown, app.info, app.error, app.text, app.code, app.toast)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def jobs(database_file: Path) -> list[JobView]:
    with Reader(database_file) as reader:
        return reader.jobs()


def statuses(database_file: Path) -> dict[int, str]:
    with Reader(database_file) as reader:
        return {row.id: row.status for row in reader.dead_letters(DeadLetterFilter())}


def fail_again(
    database_file: Path,
    request_id: str,
    outcome: Literal["recovered", "dead_again"] = "dead_again",
    identifier: int = 1,
) -> None:
    """Replays a dead letter, as far as its outcome."""
    job_id = replay(database_file, (identifier,), request_id)
    with open_buffer(database_file) as buffer:
        (item,) = buffer.jobs.planned_items(job_id, 10)
        buffer.jobs.open_send_window(job_id, "{}", [item.replay_id])
        buffer.jobs.close_send_window(job_id, 1, 0, [Sent(item.replay_id, "orders", 0, 1)], {}, NOW_MS)
        buffer.jobs.finish(job_id, "done", NOW_MS)
        buffer.flow.commit(Batch(NOW_MS, outcomes=[ReplayOutcome(item.replay_id, outcome)]))


def test_says_what_it_waits_for_while_there_is_no_buffer(open_page: OpenPage, database_file: Path) -> None:
    app = open_page(PAGE)
    assert "no buffer" in said(app)
    assert not app.exception


def test_says_so_when_nothing_has_failed(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 0)
    app = open_page(PAGE)
    assert "nothing has failed for good" in said(app)
    assert app.button(key="letters_replay_all").disabled


def test_shows_the_newest_first_with_their_groups(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    add_letters(database_file, 1, "region is missing")
    app = open_page(PAGE)
    assert table(app) == [["ORD-000003", "ORD-000002", "ORD-000001"]]
    assert table(app, "title") == [["price must be positive", "region is missing"]]
    assert not app.exception


@pytest.mark.parametrize(
    ("key", "value", "left"),
    [
        ("letters_query_", "region", ["ORD-000003"]),
        ("letters_source_", ["payments"], ["ORD-000003"]),
        ("letters_status_", ["recovered"], []),
        ("letters_dialect_", ["orderpulse"], ["ORD-000003", "ORD-000002", "ORD-000001"]),
    ],
)
def test_filters_narrow_the_table(
    open_page: OpenPage, database_file: Path, key: str, value: object, left: list[str]
) -> None:
    add_letters(database_file, 2)
    add_letters(database_file, 1, "region is missing", source_topic="payments")
    app = open_page(PAGE)
    app.session_state[key_now(app, key)] = value
    app.run()
    assert table(app) == ([left] if left else [])
    app.button(key="letters_clear").click().run()
    assert table(app) == [["ORD-000003", "ORD-000002", "ORD-000001"]]


def test_a_link_opens_the_page_with_a_query(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    add_letters(database_file, 1, "region is missing")
    with Reader(database_file) as reader:
        fingerprint = reader.dead_letters(DeadLetterFilter(Query((Text("region"),))))[0].fingerprint
    app = open_page(PAGE, q=f"group:{fingerprint}")
    assert table(app) == [["ORD-000003"]]


def query(app: AppTest) -> str:
    """What the box says."""
    return str(app.text_input(key=key_now(app, "letters_query_")).value)


def ask(app: AppTest, text: str) -> AppTest:
    return app.text_input(key=key_now(app, "letters_query_")).set_value(text).run()


def test_the_query_is_in_the_address(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = ask(open_page(PAGE), 'reason:"must be"  price<0')
    assert app.query_params["q"] == 'reason:"must be"  price<0'
    assert table(app) == [["ORD-000001"]]
    app.button(key="letters_clear").click().run()
    assert "q" not in app.query_params


def test_what_is_no_query_is_said_with_its_place_and_nothing_can_be_acted_on(
    open_page: OpenPage, database_file: Path
) -> None:
    add_letters(database_file, 1)
    app = ask(select(open_page(PAGE), 0), "region staus:open")
    assert plain("there is no field staus; did you mean status?") in said(app)
    assert "region staus:open\n       ^^^^^" in said(app)
    assert table(app) == []
    assert not [button for button in app.button if button.key == "letters_replay_all"]
    assert query(ask(app, "region")) == "region"
    assert not app.exception


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("letters_status_", ["open", "discarded"], "price<0 (status:open OR status:discarded)"),
        ("letters_source_", ["payments"], "price<0 source:payments"),
        ("letters_class_", ["RuleBrokenError"], "price<0 class:RuleBrokenError"),
        ("letters_product_", ["Travel mug"], 'price<0 product:"Travel mug"'),
        ("letters_hour_", ["2026-01-01T12"], "price<0 failed:2026-01-01T12"),
        ("letters_from_", datetime(2026, 1, 1, 12, 30), "price<0 failed>=2026-01-01T12:30Z"),
        ("letters_to_", datetime(2026, 1, 1, 12, 30), "price<0 failed<2026-01-01T12:30Z"),
    ],
)
def test_a_facet_writes_into_the_query_and_the_query_into_the_facet(
    open_page: OpenPage, database_file: Path, key: str, value: object, text: str
) -> None:
    add_letters(database_file, 1, source_topic="payments")
    app = ask(open_page(PAGE), "price<0")
    app.session_state[key_now(app, key)] = value
    app.run()
    assert query(app) == text
    app.button(key="letters_clear").click().run()
    assert not app.session_state[key_now(app, key)]
    app = ask(app, text)
    assert app.session_state[key_now(app, key)] == value
    assert query(app) == text
    assert not app.exception


@pytest.mark.parametrize("text", ["failed>=1960-01-01 failed<9999-12-31", "failed<2026-01-02T00:00:05.5+01:00"])
def test_times_that_no_box_can_show_stay_in_the_query(open_page: OpenPage, database_file: Path, text: str) -> None:
    add_letters(database_file, 1)
    app = ask(open_page(PAGE), text).run()
    assert query(app) == text
    assert table(app) == [["ORD-000001"]]
    assert not app.exception


def test_a_facet_says_how_many_have_each_value(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    add_letters(database_file, 1, "region is missing", source_topic="payments")
    app = open_page(PAGE)
    assert app.multiselect(key=key_now(app, "letters_source_")).options == ["orders (2)", "payments (1)"]
    assert app.multiselect(key=key_now(app, "letters_group_")).options == [
        "price must be positive (2)",
        "region is missing (1)",
    ]


def test_offers_what_a_query_may_go_on_with(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = ask(open_page(PAGE), "status:")
    assert plain("a value is missing behind status:") in said(app)
    app.session_state[key_now(app, "letters_next_")] = "discarded"
    app.run()
    assert query(app) == "status:discarded"
    assert "No dead letter matches." in said(app)


def test_pages_hold_still_while_new_ones_arrive(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 60)
    app = open_page(PAGE)
    assert len(table(app)[0]) == 50
    add_letters(database_file, 5)
    app.session_state[key_now(app, "letters_pages_")] = 2
    app.run()
    assert table(app)[0][0] == "ORD-000010"
    assert "51–60 of 60" in said(app)


def test_a_selection_keeps_its_rows_when_others_arrive(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 3)
    app = select(open_page(PAGE), 0)
    add_letters(database_file, 4)
    app.run()
    assert table(app)[0] == ["ORD-000003", "ORD-000002", "ORD-000001"]
    assert app.button(key="letters_refresh").label == "4 new – refresh"
    discard(app)
    assert [each for each, status in statuses(database_file).items() if status == "discarded"] == [3]


def test_refresh_shows_the_new_ones_and_lets_go_of_the_selection(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = select(open_page(PAGE), 0)
    add_letters(database_file, 1)
    app.run()
    app.button(key="letters_refresh").click().run()
    assert table(app)[0] == ["ORD-000002", "ORD-000001"]
    assert app.button(key="letters_replay_selected").disabled


def test_a_selected_row_shows_its_newest_status(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    app = select(open_page(PAGE), 1)
    replay(database_file, (1,), "elsewhere")
    app.run()
    assert [list(each) for each in table(app, "status")[0]] == [["Open"], ["Replaying"]]


def test_shows_one_dead_letter_whole(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = read(open_page(PAGE), 0)
    words = said(app)
    assert "orders[0] offset 100" in words
    assert "Written at the source" in words
    assert "2026-01-01 11:58:30.000" in words
    assert "00 00 00 00 01 ff" in words
    assert "empty: there, with 0 bytes" in words
    assert "RuleBrokenError: price\n  at check" in words
    headers = next(frame.value for frame in app.dataframe if "kind" in frame.value.columns)
    assert list(headers["value"]) == ["price", "255", ""]
    assert list(headers["kind"]) == ["text", "number", "null"]
    assert not app.exception


def test_of_what_is_very_large_the_beginning_is_shown_with_a_note(open_page: OpenPage, database_file: Path) -> None:
    reason = "the price is wrong " * 60_000
    headers = tuple((f"header-{number}", b"x" * 20_000 if number == 0 else b"1") for number in range(10_000))
    add_letters(database_file, 1, reason=reason, headers=headers, value=b"t" * 10_000_000, key="é".encode() * 3_000)
    app = read(open_page(PAGE), 0)
    assert not app.exception
    assert max(len(each.value) for each in app.code) < 25_000
    words = said(app)
    assert "The first 20,000 of 1,140,000 letters are shown" in words
    assert "The first 1,000 of 10,000 are shown" in words
    assert words.count("The first 4.1 kB are shown; the file holds all.") == 2
    shown = next(frame.value for frame in app.dataframe if "kind" in frame.value.columns)
    assert len(shown) == 1_000
    assert shown["value"][0].endswith("x… (20,000 bytes)")
    assert max(len(each) for each in table(app, "reason")[0]) < 5_000


@pytest.mark.parametrize("name", RECORDED)
def test_every_header_of_every_framework_is_readable(open_page: OpenPage, database_file: Path, name: str) -> None:
    record = RECORDED[name]
    add_letters(database_file, 1, headers=record.headers, key=record.key, value=record.value)
    app = read(open_page(PAGE), 0)
    assert not app.exception
    frames = [frame.value for frame in app.dataframe if "kind" in frame.value.columns]
    if not record.headers:
        assert frames == []
        return
    assert list(frames[0]["name"]) == [header for header, _ in record.headers]
    for (header, value), shown, kind in zip(record.headers, frames[0]["value"], frames[0]["kind"], strict=True):
        assert (shown, kind) == as_it_should_read(header, value)


def as_it_should_read(header: str, value: bytes | None) -> tuple[str, str]:
    if value is None:
        return "", "null"
    if header.endswith(BINARY_NUMBERS) and not value.isdigit():
        return str(int.from_bytes(value, "big")), "number"
    return (value.hex(" "), "hex") if value.startswith((b"\xac\xed", b"\xff")) else (value.decode(), "text")


def test_a_topic_s_name_out_of_a_header_is_shown_as_it_stands(open_page: OpenPage, database_file: Path) -> None:
    topic = "**bold** [press here](https://elsewhere.example) &lt; :red[alarm]"
    headers = tuple(
        (name, topic.encode() if name == "__dlq.errors.topic" else value)
        for name, value in RECORDED["share-group/without-body"].headers
    )
    add_letters(database_file, 1, headers=headers, key=None, value=None)
    [note] = [each.value for each in read(open_page(PAGE), 0).info if "cannot be replayed" in each.value]
    # Every sign that Markdown knows has a backslash before it, but those of the piece that keeps letters apart.
    assert f"the record itself is at {plain(topic)}" in note
    assert not set(re.sub(r"\\.|:color\[\]", "", note.partition(" is at ")[2])) & set("*[]<>&:")


def test_what_cannot_be_replayed_is_said_as_it_stands(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = select(open_page(PAGE), 0)
    app.button(key="letters_replay_selected").click().run()
    app.session_state["replay_error"] = "**orders** of [here](https://elsewhere.example)"
    assert [each.value for each in app.run().error] == [plain("**orders** of [here](https://elsewhere.example)")]


def test_a_notice_is_shown_as_it_stands(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = open_page(PAGE)
    app.session_state["notice"] = "**not** there"
    assert [each.value for each in app.run().toast] == [plain("**not** there")]


def test_says_that_a_record_without_body_cannot_be_replayed(open_page: OpenPage, database_file: Path) -> None:
    headers = RECORDED["share-group/without-body"].headers
    add_letters(database_file, 1, headers=headers, key=None, value=None)
    words = said(read(open_page(PAGE), 0))
    assert "It cannot be replayed" in words
    assert plain("the record itself is at orders[3] offset 417") in words


def test_says_that_the_bytes_of_an_unreadable_value_are_in_a_header(open_page: OpenPage, database_file: Path) -> None:
    headers = RECORDED["smallrye/not-deserialized"].headers
    add_letters(database_file, 1, headers=headers, value=None)
    assert "are in a header; a replay sends those" in said(read(open_page(PAGE), 0))


def test_tells_null_from_empty_and_text_from_bytes(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1, value=None, key="Grüße".encode())
    words = said(read(open_page(PAGE), 0))
    assert "null: the record has none" in words
    assert "Grüße" in words


def test_replays_the_selected_ones_once(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 3)
    app = select(open_page(PAGE), 0, 2)
    app.button(key="letters_replay_selected").click().run()
    assert table(app, "topic") == [["orders", "orders"]]
    assert app.button(key="replay_confirm").label == "Replay 2 dead letters"
    app.button(key="replay_confirm").click().run()
    assert [job.total for job in jobs(database_file)] == [2]
    assert statuses(database_file) == {1: "replaying", 2: "open", 3: "replaying"}
    assert "Replay job 1 is queued" in said(app)
    assert not app.exception


def test_replays_all_that_match_but_not_what_came_later(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    add_letters(database_file, 1, "region is missing")
    app = open_page(PAGE)
    app.text_input(key=key_now(app, "letters_query_")).set_value("reason:price").run()
    app.button(key="letters_replay_all").click().run()
    add_letters(database_file, 1)
    app.button(key="replay_confirm").click().run()
    assert statuses(database_file) == {1: "replaying", 2: "replaying", 3: "open", 4: "open"}


def test_replays_the_open_ones_that_were_found_inside_of_values(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2, value=b'{"customer": {"country": "DE"}}')
    add_letters(database_file, 1, value=b'{"customer": {"country": "FR"}}')
    with open_buffer(database_file) as buffer:
        buffer.dead_letters.triage([2], "discarded", NOW_MS)
    app = ask(open_page(PAGE), "value.customer.country:de")
    assert table(app) == [["ORD-000002", "ORD-000001"]]
    app.button(key="letters_replay_all").click().run()
    assert app.button(key="replay_confirm").label == "Replay 1 dead letter"
    app.button(key="replay_confirm").click().run()
    assert statuses(database_file) == {1: "replaying", 2: "discarded", 3: "open"}
    assert not app.exception


def test_says_what_a_replay_leaves_out(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 3)
    replay(database_file, (1,), "elsewhere")
    with open_buffer(database_file) as buffer:
        buffer.dead_letters.triage([2], "discarded", NOW_MS)
    app = select(open_page(PAGE), 0, 1, 2)
    app.button(key="letters_replay_selected").click().run()
    assert "Left out: 1 already on the way; 1 discarded" in said(app)
    assert app.button(key="replay_confirm").label == "Replay 1 dead letter"


def test_what_reached_the_limit_is_sent_only_when_forced(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    for turn in range(3):
        fail_again(database_file, f"turn-{turn}", identifier=turn + 1)
        add_letters(database_file, 1, replay_of=f"letter-{turn}")
    app = open_page(PAGE)
    app.button(key="letters_replay_all").click().run()
    assert "Left out: 3 dead again; 1 replayed 3 times or more" in said(app)
    assert app.button(key="replay_confirm").disabled
    app.checkbox(key="replay_force").check().run()
    assert app.button(key="replay_confirm").label == "Replay 1 dead letter"
    app.button(key="replay_confirm").click().run()
    assert statuses(database_file) == {1: "dead_again", 2: "dead_again", 3: "dead_again", 4: "replaying"}


def test_a_recovered_one_is_sent_again_only_when_forced(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    fail_again(database_file, "first", "recovered")
    app = select(open_page(PAGE), 0)
    app.button(key="letters_replay_selected").click().run()
    assert "Left out: 1 recovered already" in said(app)
    app.checkbox(key="replay_force").check().run()
    app.button(key="replay_confirm").click().run()
    assert statuses(database_file) == {1: "replaying"}


def test_what_names_no_source_topic_is_in_no_list_and_the_dialog_says_why(
    open_page: OpenPage, database_file: Path
) -> None:
    add_letters(database_file, 1)
    add_letters(database_file, 2, source_topic=None, headers=())
    app = open_page(PAGE)
    app.button(key="letters_replay_all").click().run()
    assert app.button(key="replay_confirm").label == "Replay 1 dead letter"
    assert "Left out: 2 without a source topic, as nobody has named one for orders-dlq" in said(app)
    app.button(key="replay_confirm").click().run()
    assert statuses(database_file) == {1: "replaying", 2: "open", 3: "open"}


def test_the_card_of_one_without_a_source_topic_says_that_it_is_in_no_replay(
    open_page: OpenPage, database_file: Path
) -> None:
    add_letters(database_file, 1, source_topic=None, headers=())
    app = read(open_page(PAGE), 0)
    assert any("It is in no replay: it names no source topic" in each.value for each in app.info)


def test_lists_two_hundred_and_says_how_many_more(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 230)
    app = open_page(PAGE)
    app.button(key="letters_replay_all").click().run()
    assert len(table(app, "topic")[0]) == 200
    assert "30 more follow" in said(app)


def test_cancelling_the_dialog_sends_nothing(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = open_page(PAGE)
    app.button(key="letters_replay_all").click().run()
    app.button(key="replay_cancel").click().run()
    assert jobs(database_file) == []
    assert not [button for button in app.button if button.key == "replay_confirm"]


def test_what_cannot_be_sent_any_more_is_said_in_the_dialog(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = open_page(PAGE)
    app.button(key="letters_replay_all").click().run()
    replay(database_file, (1,), "elsewhere")
    app.button(key="replay_confirm").click().run()
    assert "nothing to replay" in said(app)
    assert len(jobs(database_file)) == 1


def test_discards_and_reopens(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    app = select(open_page(PAGE), 0, 1)
    discard(app)
    assert set(statuses(database_file).values()) == {"discarded"}
    assert "2 discarded" in said(app)
    select(app, 0).button(key="letters_to_open").click().run()
    assert statuses(database_file) == {1: "discarded", 2: "open"}


def test_read_only_disables_every_action_and_says_why(
    open_page: OpenPage, database_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERPULSE_READ_ONLY", "1")
    add_letters(database_file, 1)
    app = select(open_page(PAGE), 0)
    for key in ("letters_replay_selected", "letters_replay_all", "letters_to_discarded", "letters_to_open"):
        assert app.button(key=key).disabled
    assert "read-only (ORDERPULSE_READ_ONLY)" in said(app)


def test_says_what_was_looked_through_because_the_text_index_lacks_it(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    lacks = "not in the text index yet"
    app = open_page(PAGE)
    assert lacks not in said(app)
    app.session_state[key_now(app, "letters_query_")] = "positive"
    app.run()
    assert lacks in said(app)
    assert len(table(app)[0]) == 2
    with open_buffer(database_file) as buffer:
        while buffer.texts.index_some():
            pass
    app.button(key="letters_clear").click().run()
    app.session_state[key_now(app, "letters_query_")] = "positive"
    app.run()
    assert lacks not in said(app)
    assert len(table(app)[0]) == 2


def test_a_query_that_is_none_leaves_the_sidebars_job_where_it_is(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    replay(database_file, (1,), "request")
    app = open_page(PAGE)
    progress = [each.proto.text for each in app.sidebar.get("progress")]
    assert progress
    app.session_state[key_now(app, "letters_query_")] = "status:"
    app.run()
    assert app.error
    assert table(app) == []
    assert [each.proto.text for each in app.sidebar.get("progress")] == progress
