from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.formats import plain
from pipeline.buffer import Reader, open_buffer
from pipeline.buffer.views import JobView
from tests.support.sample_buffer import NOW_MS

OpenApp = Callable[..., AppTest]


@pytest.fixture
def app(open_app: OpenApp, database_file: Path) -> AppTest:
    with open_buffer(database_file):
        pass
    return open_app()


def _button(app: AppTest, label: str) -> object:
    return next(button for button in app.sidebar.button if button.label == label)


def _press(app: AppTest, label: str) -> AppTest:
    return _button(app, label).click().run()  # type: ignore[attr-defined]


def _jobs(database_file: Path) -> list[JobView]:
    with Reader(database_file) as reader:
        return reader.jobs()


def test_produce_orders_queues_a_job_with_what_was_entered(app: AppTest, database_file: Path) -> None:
    app.sidebar.number_input(key="produce_count").set_value(250)
    app.sidebar.number_input(key="produce_rate").set_value(0.0)
    app.sidebar.number_input(key="produce_invalid").set_value(5.0)
    _press(app, "Produce orders")
    assert not app.exception
    (job,) = _jobs(database_file)
    params = json.loads(job.params)
    assert (job.kind, job.state, job.total) == ("produce", "queued", 250)
    assert (params["count"], params["rate"], params["invalid_share"]) == (250, 0.0, 0.05)


def test_a_second_press_after_the_first_is_another_job(app: AppTest, database_file: Path) -> None:
    _press(_press(app, "Produce orders"), "Produce orders")
    assert len(_jobs(database_file)) == 2


def test_the_same_rendering_pressed_twice_is_one_job(app: AppTest, database_file: Path) -> None:
    request_id = app.session_state["produce_request_id"]
    _press(app, "Produce orders")
    # The browser had not yet been told of the first press when the second one was made.
    app.session_state["produce_request_id"] = request_id
    _press(app.run(), "Produce orders")
    assert len(_jobs(database_file)) == 1


def test_what_cannot_be_is_said_in_one_line(app: AppTest, database_file: Path) -> None:
    app.sidebar.number_input(key="produce_invalid").set_value(70.0)
    app.sidebar.number_input(key="produce_transient").set_value(70.0)
    _press(app, "Produce orders")
    assert "sum at most 1" in app.sidebar.error[0].value
    assert not _jobs(database_file)
    assert not app.run().sidebar.error


def test_a_running_job_can_be_cancelled(app: AppTest, database_file: Path) -> None:
    _press(app, "Produce orders")
    with open_buffer(database_file) as buffer:
        job = buffer.jobs.next_job(NOW_MS)
        assert job is not None
        buffer.jobs.close_send_window(job.id, 40, 0, [], {}, NOW_MS)
    app.run()
    assert [button.key for button in app.sidebar.button][-1] == f"cancel_job_{job.id}"
    _press(app, "Cancel")
    assert not app.exception
    assert _jobs(database_file)[0].state == "cancelling"
    assert _button(app.run(), "Cancel").disabled  # type: ignore[attr-defined]


def test_read_only_says_why_nothing_can_be_pressed(open_app: OpenApp, database_file: Path) -> None:
    with open_buffer(database_file):
        pass
    app = open_app(read_only="1")
    assert _button(app, "Produce orders").disabled  # type: ignore[attr-defined]
    assert "ORDERPULSE_READ_ONLY" in app.sidebar.caption[0].value


def test_on_a_team_s_kafka_transient_failures_cannot_be_asked_for_and_it_says_why(
    open_app: OpenApp, database_file: Path
) -> None:
    with open_buffer(database_file):
        pass
    app = open_app(bootstrap_servers="127.0.0.1:1")
    share = app.sidebar.number_input(key="produce_transient")
    assert (share.disabled, share.value) == (True, 0.0)
    [reason] = [caption.value for caption in app.sidebar.caption if "ORDERPULSE_BOOTSTRAP_SERVERS" in caption.value]
    assert "Only the demo cluster" in reason
    _press(app, "Produce orders")
    assert not app.sidebar.error
    assert [job.state for job in _jobs(database_file)] == ["queued"]


def test_on_the_demo_cluster_a_share_of_transient_failures_is_produced(app: AppTest, database_file: Path) -> None:
    assert not app.sidebar.number_input(key="produce_transient").disabled
    app.sidebar.number_input(key="produce_transient").set_value(8.0)
    _press(app, "Produce orders")
    (job,) = _jobs(database_file)
    assert json.loads(job.params)["transient_share"] == 0.08


SECTION = """\
[topics.{topic}]
order_id = "id"
customer_id = "customer"
product = "sku"
price = "total"
created_at = "at"
"""


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (SECTION.format(topic="orders"), "orders is read by its section in mapping.toml"),
        (SECTION.format(topic='"^ord"'), "orders is read by its section in mapping.toml"),
        ("[labels]\ncurrency_digits = 0", "the currency in mapping.toml has 0"),
        ("[labels]\nprice = 7", "line 2: labels.price"),
    ],
)
def test_where_orders_are_mapped_nothing_is_produced_and_it_says_why(
    open_app: OpenApp, database_file: Path, tmp_path: Path, file: str, why: str
) -> None:
    with open_buffer(database_file):
        pass
    mapping_file = tmp_path / "mapping.toml"
    mapping_file.write_text(file)
    app = open_app(mapping_file=str(mapping_file))
    assert not app.exception
    assert _button(app, "Produce orders").disabled  # type: ignore[attr-defined]
    [reason] = [each.value for each in app.sidebar.caption if "Nothing can be produced" in each.value]
    assert plain(why) in reason
    assert "Press **Produce orders**" not in app.info[0].value
    mapping_file.write_text(SECTION.format(topic='"shop.orders"'))
    assert not _button(app.run(), "Produce orders").disabled  # type: ignore[attr-defined]
