"""The app on a colleague's incident: imported dead letters, to be looked at, and no pipeline beside them."""

from __future__ import annotations

from collections.abc import Callable
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import cast

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.autostart import Guardian
from dashboard.shared.formats import plain
from pipeline.buffer import DeadLetterFilter, ImportSource, Reader, open_buffer
from pipeline.dead_letters.importing.exported import letter_of_line
from pipeline.dead_letters.importing.import_file import FileImport, Understanding
from pipeline.dead_letters.topics_file import NOTHING
from pipeline.exports import export_all
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.order_reader import OrderReader
from pipeline.orders.serde import OrderCodec
from pipeline.running.imported import mark_imported
from pipeline.settings import PROJECT_DIR
from tests.app.test_dead_letters import discard, read, said, select, table
from tests.support.navigation import PAGES, ListedPage
from tests.support.page import page_text
from tests.support.sample_buffer import NOW_MS, fill

LETTERS = "pages/dead_letters.py"
PIPELINE = "pages/pipeline.py"
OVERVIEW = "pages/overview.py"
KCAT = PROJECT_DIR / "tests" / "data" / "imports" / "kcat-1.7.1.jsonl"
OpenPage = Callable[..., AppTest]


def import_file(file: Path, database_file: Path) -> None:
    order_reader = OrderReader(OrderCodec(SchemaStore(PROJECT_DIR / "schemas"), None))
    with open_buffer(database_file) as buffer:
        importing = FileImport(
            buffer,
            Understanding(order_reader, NOTHING),
            lambda: NOW_MS,
            lambda: mark_imported(database_file.parent),
            lambda _: None,
        )
        importing.run(str(file), cast("BufferedReader", BytesIO()))


@pytest.fixture
def incident(database_file: Path) -> Path:
    """A colleague's dead letters, exported there and imported here, and some that kcat wrote."""
    theirs = database_file.parent / "theirs.db"
    fill(theirs, orders=0, dead_letters=6, parked=0)
    with (database_file.parent / "theirs.jsonl").open("wb") as file:
        export_all(theirs, "dead_letters", None, "jsonl", file)
    import_file(database_file.parent / "theirs.jsonl", database_file)
    return database_file


def badges(app: AppTest) -> int:
    return sum("inventory_2" in str(element.value) and "Imported" in str(element.value) for element in app.markdown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_says_so_and_shows_no_trouble(page: ListedPage, open_page: OpenPage, incident: Path) -> None:
    app = open_page(page.file)
    assert not app.exception
    assert not app.main.error
    assert "Imported dead letters, to be looked at: no pipeline runs on this data folder" in said(app)


def test_the_dead_letters_are_there_with_their_groups_and_marked(open_page: OpenPage, incident: Path) -> None:
    app = open_page(LETTERS)
    assert [len(ids) for ids in table(app, "id")] == [6]
    assert len(table(app, "title")[0]) == 5
    # In the sidebar, with the groups and with the table.
    assert badges(app) == 3


def test_one_tells_where_it_was_imported_from_and_that_it_is_sent_nowhere(open_page: OpenPage, incident: Path) -> None:
    app = read(open_page(LETTERS), 0)
    assert f"It was imported from {plain('theirs.jsonl')}, and is sent nowhere." in said(app)
    assert badges(app) == 4


def test_one_of_kcat_says_that_bytes_may_have_been_replaced(open_page: OpenPage, incident: Path) -> None:
    import_file(KCAT, incident)
    with Reader(incident) as reader:
        ids = [view.id for view in reader.dead_letters(DeadLetterFilter())]
        replaced = next(each for each in ids if (found := reader.dead_letter(each)) and found.key == b"replaced")
    app = read(open_page(LETTERS), ids.index(replaced))
    assert "It holds U+FFFD." in said(app)
    assert f"It was imported from {plain('kcat-1.7.1.jsonl')}" in said(app)


def test_a_replay_says_how_many_it_leaves_out_and_sends_none(open_page: OpenPage, incident: Path) -> None:
    app = open_page(LETTERS)
    app.button(key="letters_replay_all").click().run()
    assert "Nothing to send." in said(app)
    assert "Left out: 6 as imported ones are sent nowhere." in said(app)
    assert app.button(key="replay_confirm").disabled


def test_they_can_be_put_aside_as_notes_of_ones_own(open_page: OpenPage, incident: Path) -> None:
    app = select(open_page(LETTERS), 0, 1)
    discard(app)
    assert not app.exception
    with Reader(incident) as reader:
        assert reader.status_counts() == {"open": 4, "discarded": 2}


def test_the_pipeline_page_tells_the_files_instead_of_roles(open_page: OpenPage, incident: Path) -> None:
    app = open_page(PIPELINE)
    assert "**6** dead letters were imported into" in said(app)
    assert "theirs.jsonl" in page_text(app)
    assert not app.metric
    assert not app.warning
    assert "not started" not in page_text(app)


def test_the_pipeline_page_says_what_to_do_after_an_import_that_did_not_end(
    open_page: OpenPage, incident: Path
) -> None:
    source = ImportSource("<b>more</b>.jsonl", "export", NOW_MS)
    line = (incident.parent / "theirs.jsonl").read_bytes().replace(b'"dead-letter-', b'"other-').splitlines()[0]
    with open_buffer(incident) as buffer:
        assert buffer.imports.add_exported(source, [letter_of_line(line)], NOW_MS) == 1
        # As after a kill: all that follows the last batch is missing.
        (warning,) = open_page(PIPELINE).warning
        assert warning.value.startswith(f"The import of {plain('<b>more</b>.jsonl')}, begun ")
        assert "import the file again: it adds what is missing" in warning.value
        buffer.imports.finish(source, NOW_MS)
    assert not open_page(PIPELINE).warning


def test_the_overview_counts_them(open_page: OpenPage, incident: Path) -> None:
    app = open_page(OVERVIEW)
    assert not app.exception
    assert "6" in {metric.value for metric in app.metric}
    assert [link.proto.label for link in app.main.get("page_link")] == ["What failed, and why"]


def test_nothing_can_be_produced(open_page: OpenPage, incident: Path) -> None:
    app = open_page(OVERVIEW)
    assert "Nothing can be produced: imported dead letters have no cluster." in said(app)
    assert all(number.disabled for number in app.sidebar.number_input)


def test_the_app_starts_no_pipeline_there(incident: Path) -> None:
    guardian = Guardian(incident.parent)
    guardian.start()
    guardian.end()
    assert guardian.trouble == ""
    assert not (incident.parent / "pipeline.log").exists()
