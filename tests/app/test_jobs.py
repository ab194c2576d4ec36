from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pipeline.buffer import Reader, Sent, open_buffer
from tests.support.letters import NOW_MS, add_letters, replay
from tests.support.widget_keys import key_now

PAGE = "pages/jobs.py"
OpenPage = Callable[..., AppTest]


def listed(app: AppTest, column: str) -> list[object]:
    """A column of the list of jobs."""
    return values(app, column, "progress")


def values(app: AppTest, column: str, beside: str) -> list[object]:
    """A column of the table that has the other one too; None where a cell is empty."""
    table = next(frame.value for frame in app.dataframe if beside in frame.value.columns)
    return table[column].astype(object).where(table[column].notna(), None).to_list()


def state(database_file: Path, job_id: int) -> str:
    with Reader(database_file) as reader:
        job = reader.job(job_id)
    assert job is not None
    return job.state


def test_says_so_when_there_are_none(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 0)
    app = open_page(PAGE)
    assert any("No jobs yet" in caption.value for caption in app.caption)
    assert not app.exception


def test_says_what_it_waits_for_while_there_is_no_buffer(open_page: OpenPage, database_file: Path) -> None:
    app = open_page(PAGE)
    assert any("no buffer" in info.value for info in app.info)
    assert not app.exception


def test_lists_the_newest_first_with_what_became_of_them(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    with open_buffer(database_file) as buffer:
        produced = buffer.jobs.queue_produce('{"count": 4, "rate": 0.0}', 4, "app", "produce", NOW_MS)
        buffer.jobs.next_job(NOW_MS)
        buffer.jobs.close_send_window(produced, 3, 1, [], {}, NOW_MS)
        buffer.jobs.finish(produced, "done", NOW_MS, "one was refused")
    replay(database_file, (1, 2), "replay")
    app = open_page(PAGE)
    assert listed(app, "id") == [2, 1]
    assert listed(app, "progress") == [0.0, 1.0]
    assert [list(each) for each in listed(app, "state")] == [["Running"], ["Done"]]
    assert listed(app, "error") == [None, "one was refused"]
    assert not app.exception


def test_shows_the_ledger_of_the_job_that_is_chosen(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 3)
    job_id = replay(database_file, (1, 3), "replay")
    with open_buffer(database_file) as buffer:
        items = buffer.jobs.planned_items(job_id, 10)
        buffer.jobs.open_send_window(job_id, "{}", [item.replay_id for item in items])
        buffer.jobs.close_send_window(
            job_id, 1, 1, [Sent(items[0].replay_id, "orders", 0, 77)], {items[1].replay_id: "too large"}, NOW_MS
        )
        buffer.jobs.finish(job_id, "done", NOW_MS)
        buffer.jobs.queue_produce("{}", 1, "app", "later", NOW_MS)
    app = open_page(PAGE)
    assert app.selectbox(key=key_now(app, "jobs_chosen_")).value == 2
    app.selectbox(key=key_now(app, "jobs_chosen_")).set_value(job_id).run()
    assert values(app, "id", "sent_to") == [1, 3]
    assert values(app, "state", "sent_to") == ["sent", "failed"]
    assert values(app, "sent_to", "sent_to") == ["orders[0] offset 77", None]
    assert values(app, "error", "sent_to") == [None, "too large"]


@pytest.mark.parametrize("wanted", ["1", "one", "99"])
def test_a_link_chooses_a_job_that_is_there(open_page: OpenPage, database_file: Path, wanted: str) -> None:
    add_letters(database_file, 2)
    replay(database_file, (1,), "first")
    replay(database_file, (2,), "second")
    app = open_page(PAGE, job=wanted)
    assert app.selectbox(key=key_now(app, "jobs_chosen_")).value == (1 if wanted == "1" else 2)
    assert not app.exception


def test_cancels_the_job_whose_button_it_is(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    first, second = replay(database_file, (1,), "first"), replay(database_file, (2,), "second")
    app = open_page(PAGE)
    app.button(key=f"jobs_cancel_{first}").click().run()
    assert (state(database_file, first), state(database_file, second)) == ("cancelling", "queued")
    assert app.button(key=f"jobs_cancel_{first}").disabled


def test_a_job_that_has_ended_meanwhile_is_said_to_have(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    job_id = replay(database_file, (1,), "first")
    app = open_page(PAGE)
    with open_buffer(database_file) as buffer:
        buffer.jobs.finish(job_id, "done", NOW_MS)
    app.button(key=f"jobs_cancel_{job_id}").click().run()
    assert any("is not running" in toast.value for toast in app.toast)


def test_read_only_cancels_nothing(open_page: OpenPage, database_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERPULSE_READ_ONLY", "1")
    add_letters(database_file, 1)
    job_id = replay(database_file, (1,), "first")
    app = open_page(PAGE)
    assert app.button(key=f"jobs_cancel_{job_id}").disabled
