"""The dead letters page: how groups stand, and what people say of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from pipeline.buffer import Reader, open_buffer
from pipeline.buffer.views import GroupDetail
from tests.support.letters import NOW_MS, add_letters
from tests.support.widget_keys import key_now

PAGE = "pages/dead_letters.py"
WHO = "test@example.com"
OpenPage = Callable[..., AppTest]


def groups(database_file: Path) -> list[dict[str, object]]:
    with Reader(database_file) as reader:
        return reader.groups(NOW_MS + 100_000).dicts()


def detail(database_file: Path, fingerprint: object) -> GroupDetail:
    with Reader(database_file) as reader:
        found = reader.group(str(fingerprint), NOW_MS + 100_000)
    assert found is not None
    return found


def opened(open_page: OpenPage, fingerprint: object, **settings: str) -> AppTest:
    """The page with a group chosen and its dialog open."""
    app = open_page(PAGE, q=f"group:{fingerprint}", **settings)
    return app.button(key="letters_group_more").click().run()


def test_the_list_tells_the_state_of_each_group_and_its_last_week(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    add_letters(database_file, 1, reason="no stock")
    with open_buffer(database_file) as buffer:
        buffer.groups.resolve(str(groups(database_file)[0]["fingerprint"]), "ann", NOW_MS)
    app = open_page(PAGE)
    (table,) = [frame.value for frame in app.dataframe if "chart" in frame.value.columns]
    assert list(table["open"]) == [1, 2]
    assert list(table["title"]) == ["no stock", "Resolved · price must be positive"]
    assert {len(chart) for chart in table["chart"]} == {28}
    assert not app.exception


def test_a_chosen_group_is_resolved_and_opened_again_with_a_click(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    (group,) = groups(database_file)
    app = open_page(PAGE, q=f"group:{group['fingerprint']}")
    app.button(key="letters_group_Resolve_").click().run()
    assert [each["state"] for each in groups(database_file)] == ["resolved"]
    assert [each["said_by"] for each in groups(database_file)] == [WHO]
    app.button(key="letters_group_Reopen_").click().run()
    assert [each["state"] for each in groups(database_file)] == ["ongoing"]
    assert not app.exception


def test_the_dialog_tells_of_a_group_and_takes_notes_and_a_time_to_ignore_it(
    open_page: OpenPage, database_file: Path
) -> None:
    add_letters(database_file, 2, key=b"cust-1")
    (group,) = groups(database_file)
    app = opened(open_page, group["fingerprint"])
    assert any("Different keys" in each.value for each in app.caption)
    app.text_area(key=key_now(app, "letters_group_note_")).set_value("since the <b>deploy</b>").run()
    app.button(key="letters_group_Add note_").click().run()
    app.button(key="letters_group_Ignore_").click().run()
    found = detail(database_file, group["fingerprint"])
    assert [(each.note, each.written_by) for each in found.notes] == [("since the <b>deploy</b>", WHO)]
    assert found.row["said_by"] == WHO
    assert not app.exception


def test_groups_are_merged_split_and_taken_apart_again_in_the_dialog(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    add_letters(database_file, 1, reason="no stock")
    first, second = (str(each["fingerprint"]) for each in groups(database_file))
    app = opened(open_page, first)
    app.selectbox(key=key_now(app, "letters_group_merge_")).set_value(second).run()
    app.button(key="letters_group_Merge_").click().run()
    assert [each["total"] for each in groups(database_file)] == [3]
    app.text_input(key=key_now(app, "letters_group_split_value_")).set_value("stock").run()
    app.button(key="letters_group_Split_").click().run()
    assert [each.rule for each in detail(database_file, first).splits] == ["reason contains stock"]
    app.button(key="letters_group_Take back_1").click().run()
    app.button(key=f"letters_group_Take out_{second}").click().run()
    assert [each["total"] for each in groups(database_file)] == [2, 1]
    assert not app.exception


def test_where_all_is_read_only_a_group_is_shown_and_not_changed(
    open_page: OpenPage, database_file: Path, monkeypatch
) -> None:
    add_letters(database_file, 1)
    (group,) = groups(database_file)
    monkeypatch.setenv("ORDERPULSE_READ_ONLY", "true")
    app = opened(open_page, group["fingerprint"])
    assert all(each.disabled for each in app.button if each.key and each.key.startswith("letters_group_R"))
    assert app.button(key="letters_group_Add note_").disabled
    assert not app.exception
