"""The address of the Dead letters page: a link shows another person the same, and the page keeps it up to date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_dead_letters import PAGE, ask, query, read, said, select, table
from tests.support.letters import add_letters
from tests.support.widget_keys import key_now

OpenPage = Callable[..., AppTest]


def parameters(app: AppTest) -> dict[str, list[str]]:
    return {name: [each] if isinstance(each, str) else list(each) for name, each in app.query_params.items()}


def move(app: AppTest, **parameters: str) -> AppTest:
    """Goes back or forward to an address, as the browser tells it: first that, then by a run of the page."""
    app.query_params.clear()
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def shown_columns(app: AppTest) -> list[str]:
    [frame] = [frame for frame in app.dataframe if "order_id" in frame.value.columns]
    return list(frame.proto.column_order)


def test_a_link_opens_the_page_of_the_table_and_the_letter_that_it_names(
    open_page: OpenPage, database_file: Path
) -> None:
    add_letters(database_file, 130)
    app = open_page(PAGE, page="2", rows="100", id="7", q="status:open")
    assert table(app)[0][0] == "ORD-000030"
    assert "101–130 of 130" in said(app)
    assert "**Dead letter 7**" in said(app)
    assert query(app) == "status:open"
    assert parameters(app) == {"page": ["2"], "rows": ["100"], "id": ["7"], "q": ["status:open"]}
    assert not app.exception


def test_the_address_follows_the_page_the_opened_letter_and_the_query(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 60)
    app = open_page(PAGE)
    assert parameters(app) == {}
    app.session_state[key_now(app, "letters_pages_")] = 2
    app.run()
    assert parameters(app) == {"page": ["2"]}
    assert parameters(read(app, 0)) == {"page": ["2"], "id": ["10"]}
    app.button(key="letter_next").click().run()
    assert parameters(app) == {"page": ["2"], "id": ["9"]}
    assert parameters(ask(app, "price<0")) == {"q": ["price<0"], "id": ["9"]}


@pytest.mark.parametrize("wrong", ["x", "-1", "0", "99999999999999999999", "\u0663", "<script>"])
def test_what_is_no_number_opens_nothing(open_page: OpenPage, database_file: Path, wrong: str) -> None:
    add_letters(database_file, 2)
    app = open_page(PAGE, page=wrong, rows=wrong, id=wrong)
    assert table(app) == [["ORD-000002", "ORD-000001"]]
    assert "Dead letter" not in said(app)
    assert not app.exception
    assert parameters(app) == {}


def test_a_letter_that_is_not_there_is_said(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = open_page(PAGE, id="5")
    assert "There is no dead letter 5, or none any longer." in said(app)
    assert not app.exception


def test_a_page_behind_the_last_one_is_the_last_one(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 60)
    app = open_page(PAGE, page="9")
    assert "51–60 of 60" in said(app)
    assert parameters(app) == {"page": ["2"]}


def test_while_somebody_goes_back_the_address_that_they_went_to_is_not_written_over(
    open_page: OpenPage, database_file: Path
) -> None:
    add_letters(database_file, 2)
    app = read(open_page(PAGE), 0)
    assert parameters(app) == {"id": ["2"]}
    # Streamlit runs the page before the browser has told that somebody went back.
    assert parameters(move(app)) == {}
    assert parameters(move(app, q="price<0")) == {"q": ["price<0"]}


def test_columns_and_their_height_are_in_the_address(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = open_page(PAGE)
    assert shown_columns(app) == ["status", "failed_at", "reason"]
    app.multiselect(key=key_now(app, "letters_fields_box_")).select("order_id").run()
    app.toggle(key=key_now(app, "letters_wrapped_box_")).set_value(True).run()
    assert shown_columns(app) == ["status", "failed_at", "reason", "order_id"]
    assert parameters(app) == {"fields": ["order_id"], "wrap": ["1"]}
    app = open_page(PAGE, fields="source", wrap="1")
    assert shown_columns(app) == ["status", "failed_at", "reason", "source"]
    assert parameters(app) == {"fields": ["source"], "wrap": ["1"]}


def test_the_way_through_the_letters_ends_at_the_first_and_at_the_last(
    open_page: OpenPage, database_file: Path
) -> None:
    add_letters(database_file, 2)
    app = open_page(PAGE)
    app.button(key="letters_read").click().run()
    assert parameters(app) == {"id": ["2"]}
    assert app.button(key="letter_previous").disabled
    app.button(key="letter_next").click().run()
    assert "**Dead letter 1**" in said(app)
    assert app.button(key="letter_next").disabled


def test_rows_hold_still_while_one_of_them_is_read(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    app = read(open_page(PAGE), 0)
    add_letters(database_file, 3)
    app.run()
    assert table(app)[0] == ["ORD-000002", "ORD-000001"]
    assert app.button(key="letters_refresh").label == "3 new – refresh"


def test_a_listener_s_wrapper_does_not_stand_before_the_reason(open_page: OpenPage, database_file: Path) -> None:
    wrapper = "Listener method 'void shop.Listener.on(Event)' threw exception; nested exception is "
    add_letters(database_file, 1, f"{wrapper}java.io.IOException: no route")
    add_letters(database_file, 1, wrapper.rstrip())
    app = open_page(PAGE)
    assert table(app, "reason")[0] == [f"… {'nested exception is'}", "… java.io.IOException: no route"]
    assert f"{wrapper}java.io.IOException: no route" in said(read(app, 1))


def test_discarding_asks_first(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1)
    app = select(open_page(PAGE), 0)
    app.button(key="letters_to_discarded").click().run()
    assert app.button(key="discard_confirm").label == "Discard 1 dead letter"
    app.button(key="discard_cancel").click().run()
    assert [list(each) for each in table(app, "status")[0]] == [["Open"]]
    read(app, 0).button(key="letter_discard").click().run()
    app.run().button(key="discard_confirm").click().run()
    assert [list(each) for each in table(app, "status")[0]] == [["Discarded"]]
    app.button(key="letter_reopen").click().run()
    app.run()
    assert [list(each) for each in table(app, "status")[0]] == [["Open"]]


def test_who_may_only_look_may_read(open_page: OpenPage, database_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERPULSE_READ_ONLY", "1")
    add_letters(database_file, 1)
    app = read(open_page(PAGE), 0)
    assert "**Dead letter 1**" in said(app)
    assert all(app.button(key=f"letter_{name}").disabled for name in ("replay", "discard", "reopen"))


def test_the_chosen_group_is_told_and_all_are_a_press_away(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2)
    add_letters(database_file, 1, "region is missing")
    app = open_page(PAGE)
    assert app.button(key="letters_all_groups").disabled
    app = ask(app, "group:region")
    assert table(app) == [["ORD-000003"]]
    app.button(key="letters_all_groups").click().run()
    assert query(app) == ""
    assert len(table(app)[0]) == 3


def test_a_narrow_window_has_wrapped_reasons_and_the_groups_behind_a_button(
    open_page: OpenPage, database_file: Path
) -> None:
    add_letters(database_file, 1)
    app = open_page(PAGE)
    app.session_state["letters_window"] = {"narrow": True}
    app.run()
    assert shown_columns(app) == ["status", "reason"]
    assert table(app, "title") == [["price must be positive"]]
    assert not app.exception
