"""What the Dead letters page shows of keys and values: decoded, why so, and in columns that somebody picks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.dead_letters.payload_columns import MOST_BYTES
from dashboard.shared.formats import plain
from pipeline.buffer import open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.jobs.lookups import Lookups
from pipeline.roles import topic_examiner
from pipeline.settings import load_settings
from tests.app.test_dead_letters import PAGE, read, said, select
from tests.support.letters import add_letters
from tests.support.order_recordings import FOLDER, all_registered, order_recordings
from tests.support.stand_in_registry import COMPATIBLE, StandInRegistry

OpenPage = Callable[..., AppTest]
RECORDED = order_recordings()
DIGITS = "1.10000000000000000000000001"
VALUE = f'{{"order": {{"id": "O-1", "customer": {{"country": "DE"}}, "total": {DIGITS}}}, "n": 5}}'.encode()


def add_recorded(database_file: Path, name: str) -> None:
    record = RECORDED[name].records[0].record
    add_letters(database_file, 1, source_topic=name, value=record.value, key=record.key, headers=record.headers)


def column(app: AppTest, name: str) -> list[str | None]:
    """The cells of a column of the table of dead letters."""
    (frame,) = [frame.value for frame in app.dataframe if "order_id" in frame.value.columns]
    return [each if isinstance(each, str) else None for each in frame[f"payload {name}"]]


def pick(app: AppTest, *paths: str) -> AppTest:
    app.session_state["letters_columns"] = list(paths)
    return app.run()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with StandInRegistry(all_registered()) as running:
        monkeypatch.setenv("ORDERPULSE_SCHEMA_REGISTRY_URL", f"{running.url}{COMPATIBLE}")
        yield running.url


def work(database_file: Path) -> int:
    """Answers what is asked, as the worker does; returns how many questions about schemas there were."""
    settings = load_settings()
    answered = 0
    with open_buffer(database_file) as buffer:
        lookups = Lookups(buffer, topic_examiner(settings), wall_clock_ms)
        while buffer.lookups.next(wall_clock_ms()) is not None:
            asked = buffer.lookups.next(wall_clock_ms())
            while buffer.lookups.next(wall_clock_ms()) == asked:
                lookups.step()
            answered += asked is not None and asked.kind == "schemas"
    return answered


# ---- one dead letter


def test_json_is_shown_indented_with_every_digit(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1, value=VALUE, key=b'{"id":2.50}')
    app = read(open_page(PAGE), 0)
    codes = [each.value for each in app.code]
    assert f'      "country": "DE"\n    }},\n    "total": {DIGITS}\n' in "".join(codes)
    assert '{\n  "id": 2.50\n}' in codes
    assert VALUE.decode() in codes
    assert not app.exception


def test_html_is_shown_as_text(open_page: OpenPage, database_file: Path) -> None:
    text = "<script>alert(1)</script>"
    add_letters(database_file, 1, value=text.encode(), key=json.dumps({"a": text}).encode())
    app = read(open_page(PAGE), 0)
    assert text in [each.value for each in app.code]
    assert not any(text in each.value for each in app.markdown)


def test_it_is_told_why_other_readers_did_not_read_it(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1, value=b"\xff\x00", key=b"k")
    words = said(read(open_page(PAGE), 0))
    assert "registry: value names no schema: it begins with 0xff, and no header has an id" in words
    assert "schemas folder: value does not begin with C3 01" in words
    assert "text: value is no text: byte 0 is no UTF-8\nread as hex" in words
    assert "read as text" in words


def test_a_schema_of_the_registry_is_asked_of_the_worker_and_the_page_drawn_again(
    open_page: OpenPage, database_file: Path, registry: str
) -> None:
    add_recorded(database_file, "confluent-avro-prefix")
    app = read(open_page(PAGE), 0)
    assert "A schema is still to come" in said(app)
    assert "schema id 100001 is being looked up by the worker" in said(app)
    assert work(database_file) == 1
    words = said(app.run())
    assert plain("Avro, shop.Order, schema id 100001") in words
    assert '"total": 19.99' in words
    assert '"created_at": "2023-11-14T22:13:20.000Z"' in words
    assert "A schema is still to come" not in words
    app.run()
    assert work(database_file) == 0


@pytest.mark.parametrize("name", sorted(set(RECORDED) - {"glue-avro", "glue-avro-zlib"}))
def test_values_of_every_recorded_stream_are_shown_decoded(
    open_page: OpenPage, database_file: Path, registry: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    for file in (*Path("schemas").glob("*.avsc"), FOLDER / "schemas" / "order.avsc"):
        (schemas / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("ORDERPULSE_SCHEMAS_DIR", str(schemas))
    monkeypatch.setenv("ORDERPULSE_MAPPING_FILE", str(FOLDER / "mapping.toml"))
    add_recorded(database_file, name)
    app = read(open_page(PAGE), 0)
    work(database_file)
    app.run()
    assert not app.exception
    assert any("A-1001" in each.value and "\n  " in each.value for each in app.code)


def test_who_may_only_look_reads_values_too(
    open_page: OpenPage, database_file: Path, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERPULSE_READ_ONLY", "1")
    add_recorded(database_file, "confluent-protobuf-prefix")
    app = read(open_page(PAGE), 0)
    assert work(database_file) == 1
    assert '"total_cents": 1999' in said(app.run())


def test_a_schema_that_there_is_not_is_told(open_page: OpenPage, database_file: Path, registry: str) -> None:
    add_letters(database_file, 1, value=b"\x00\x00\x00\x00\x07\x02", headers=())
    app = read(open_page(PAGE), 0)
    work(database_file)
    assert "registry: unknown schema id 7, so far" in said(app.run())


# ---- columns


def test_columns_are_picked_from_the_payload_by_path(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1, value=b"no json")
    add_letters(database_file, 1, value=b'{"padding": "' + b"x" * MOST_BYTES + b'"}')
    add_letters(database_file, 1, value=VALUE, key=b'{"id": 7}')
    app = pick(open_page(PAGE), "order.customer.country", "order.total", "key.id", "order", "gone")
    assert column(app, "value.order.customer.country") == ["DE", "not read: 100.1 kB", None]
    assert column(app, "value.order.total")[0] == DIGITS
    assert column(app, "key.id")[0] == "7"
    assert column(app, "value.order")[0] == f'{{"id":"O-1","customer":{{"country":"DE"}},"total":{DIGITS}}}'
    assert column(app, "value.gone")[0] is None
    assert app.query_params["columns"] == ["order.customer.country", "order.total", "key.id", "order", "gone"]
    assert not app.exception


def test_a_link_opens_the_page_with_columns(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1, value=VALUE)
    app = open_page(PAGE, columns=["order.id", "n"])
    assert (column(app, "value.order.id"), column(app, "value.n")) == (["O-1"], ["5"])
    pick(app)
    assert "columns" not in app.query_params
    assert not [name for frame in app.dataframe for name in frame.value.columns if name.startswith("payload")]


def test_what_is_no_path_is_said_and_the_others_are_shown(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 1, value=VALUE)
    app = pick(open_page(PAGE), "a..b", "n")
    assert column(app, "value.n") == ["5"]
    assert any("is no path" in each.value for each in app.error)


def test_a_selection_holds_while_columns_are_picked(open_page: OpenPage, database_file: Path) -> None:
    add_letters(database_file, 2, value=VALUE)
    app = pick(select(open_page(PAGE), 1), "n")
    assert app.button(key="letters_replay_selected").label == "Replay selected (1)"
    assert "**Dead letter 1**" in said(read(app, 1))
    assert app.button(key="letters_replay_selected").label == "Replay selected (1)"


def test_columns_of_avro_are_filled_once_the_schema_came(
    open_page: OpenPage, database_file: Path, registry: str
) -> None:
    add_recorded(database_file, "confluent-avro-prefix")
    app = pick(open_page(PAGE), "lines[0].unit_price", "@type")
    assert column(app, "value.lines[0].unit_price") == [None]
    assert work(database_file) == 1
    app.run()
    assert column(app, "value.lines[0].unit_price") == ["19.99"]
    assert column(app, "value.@type") == ["shop.Order"]
