"""What is noted of dead letters by the block answers queries exactly as the rows do, whatever was changed since."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.buffer import Buffer, DeadLetterFilter, Difference, Reader, open_buffer, recount, repair
from pipeline.buffer.sqlite.connection import connect_reader
from pipeline.buffer.sqlite.search.blocks import Blocks
from pipeline.buffer.sqlite.search.columns import BLOCK
from pipeline.buffer.sqlite.search.find import FOUND_CAP
from pipeline.buffer.sqlite.search.masks import Masks
from pipeline.search.fields import FIELDS, STATUSES
from pipeline.search.parser import parse
from pipeline.search.query import Age, All, Compared, Either, Named, Not, Number, Part, Period, Query, Text
from tests.support.buffer_rows import NOW_MS, collect, collector, dead_letter, order
from tests.support.letter_model import Row, matches

LETTERS = 3 * BLOCK + 500
HOUR_MS = 3_600_000
CLASSES = (None, "Oops", "shop.pay.TransferError", "shop.stock.TransferError", "ÜberError")
SOURCES = (None, "orders", "Orders", "payments", "заказы")
PRODUCTS = ("tea", "Tea", "kettle", "mug")
GROUPS = tuple((f"f{number}", f"Group {number} of {('Ämter', 'stock')[number % 2]}") for number in range(400))
ODD_KEYS = (None, b"", b"KEY-1", b"a\0b", b"\xff\xfe", "Ключ".encode(), "КЛЮЧ".encode())


def write_all(buffer: Buffer) -> int:
    """Notes all that there is to note; how many blocks that were."""
    blocks = 0
    while buffer.upkeep.note_for_search():
        blocks += 1
    return blocks


def fill(buffer: Buffer, count: int) -> None:
    draw = random.Random(1)
    place = collector(buffer)
    for first in range(0, count, 4000):
        rows = []
        for offset in range(first, min(first + 4000, count)):
            # The second block has more groups than there are codes.
            group = draw.choice(GROUPS if BLOCK <= offset < 2 * BLOCK else GROUPS[:20])
            key = draw.choice(ODD_KEYS) if draw.random() < 0.02 else f"key-{draw.randrange(5000)}".encode()
            made = (
                order(f"A-{offset}", draw.choice(PRODUCTS), draw.randrange(1, 90_000)) if draw.random() < 0.7 else None
            )
            rows.append(
                dead_letter(
                    place.ref,
                    offset,
                    key=key,
                    order=made,
                    reason=draw.choice(("stock is missing", "ÜBERWEISUNG fehlt", "timed out")),
                    fingerprint=group[0],
                    title=group[1],
                    error_class=draw.choice(CLASSES),
                    source_topic=draw.choice(SOURCES),
                    source_partition=draw.randrange(3),
                    failed_at_ms=NOW_MS - (count - offset) * 2_000 - draw.randrange(60_000),
                    attempts=draw.choice((None, 1, 2, 3)),
                    rule=draw.choice((None, "price", "Price")) if offset >= BLOCK else None,
                    dialect=draw.choice(("orderpulse", "spring-kafka")) if offset >= BLOCK else "orderpulse",
                )
            )
        collect(buffer, place, first, *rows)


def change(path: Path) -> None:
    """What may happen to dead letters that were noted: of one block all is noted again, of others not yet."""
    with open_buffer(path) as buffer:
        buffer.dead_letters.triage(range(1, BLOCK, 7), "discarded", NOW_MS)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("DELETE FROM dead_letter_rows WHERE id % 11 = 0 AND id < 3000")
        assert write_all(buffer) == 1
        buffer.dead_letters.triage(range(BLOCK + 5, 3 * BLOCK, 13), "discarded", NOW_MS)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("DELETE FROM dead_letter_rows WHERE id % 17 = 0 AND id > ?", (2 * BLOCK,))
            connection.execute("UPDATE dead_letter_rows SET fingerprint = 'f3' WHERE fingerprint = 'f5'")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blocks") / "orderpulse.db"
    with open_buffer(path) as buffer:
        fill(buffer, LETTERS)
        assert write_all(buffer) == 3
        assert not buffer.upkeep.note_for_search()
    change(path)
    return path


class Rows(list[Row]):
    """Too many to be shown where a test fails."""

    def __repr__(self) -> str:
        return f"{len(self)} rows"


@pytest.fixture(scope="module")
def rows(path: Path) -> Rows:
    """All dead letters, newest first, with what the model asks of their groups."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        titles = dict(connection.execute("SELECT fingerprint, title FROM dead_letter_groups").fetchall())
        found = connection.execute("SELECT * FROM dead_letters ORDER BY id DESC").fetchall()
    return Rows(dict(row) | {"title": titles[row["fingerprint"]], "fingerprints": titles} for row in found)


@pytest.fixture(scope="module")
def reader(path: Path) -> Iterator[Reader]:
    with Reader(path, limit_ms=120_000) as reader:
        yield reader


NAMES: dict[str, tuple[str, ...]] = {
    "status": STATUSES,
    "group": ("f1", "f3", "f5", "f399", "group 1", "ämter", "STOCK", "of"),
    "class": ("oops", "transfererror", "shop.pay.TransferError", "übererror", "nothing"),
    "source": ("ORDERS", "Заказы", "payments", "x"),
    "dialect": ("orderpulse", "Spring-Kafka"),
    "key": ("key-17", "KEY-4711", "key-1", "ключ", "a", "\ufffd\ufffd"),
    "product": ("TEA", "mug", "none"),
    "order": ("a-100", "A-20000", "x"),
    "customer": ("c-1", "C-2"),
    "rule": ("price", "x"),
}
NUMBERS = {"price": 90_000, "attempts": 4, "replays": 2, "id": LETTERS, "offset": LETTERS, "source-partition": 3}


def named() -> st.SearchStrategy[Part]:
    return st.one_of(*(st.builds(Named, st.just(name), st.sampled_from(texts)) for name, texts in NAMES.items()))


def compared() -> st.SearchStrategy[Part]:
    signs: Any = st.sampled_from((":", "<", "<=", ">", ">="))
    numbers = [
        st.builds(Compared, st.just(name), signs, st.integers(-1, most + 1).map(lambda n: Number(str(n), n)))
        for name, most in NUMBERS.items()
    ]
    at_ms = st.integers(NOW_MS - LETTERS * 2_000 - HOUR_MS, NOW_MS + HOUR_MS)
    ages = at_ms.map(lambda at: Age("1h", at))
    periods = st.builds(lambda at, span: Period("2023", at, at + span), at_ms, st.sampled_from((1, 1000, HOUR_MS)))
    times = st.sampled_from(("failed", "created", "received", "timestamp", "first-failed"))
    return st.one_of(*numbers, st.builds(Compared, times, signs, st.one_of(ages, periods)))


def parts() -> st.SearchStrategy[Part]:
    texts = st.sampled_from((Text("überweisung"), Text("KEY-42"), Text("a-1000"), Named("reason", "STOCK")))
    return st.recursive(
        st.one_of(named(), compared(), texts),
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.lists(inner, min_size=2, max_size=3).map(lambda some: All(tuple(some))),
            st.lists(inner, min_size=2, max_size=3).map(lambda some: Either(tuple(some))),
        ),
        max_leaves=5,
    )


@example([Named("key", "\ufffd\ufffd")], None)
@example([Named("key", "a")], None)
@given(st.lists(parts(), max_size=3), st.none() | st.integers(0, LETTERS + 5))
@settings(max_examples=30, deadline=None)
def test_a_query_finds_what_it_means_row_by_row(
    reader: Reader, rows: Rows, some: list[Part], up_to_id: int | None
) -> None:
    query = Query(tuple(some))
    meant = [row for row in rows if (up_to_id is None or row["id"] <= up_to_id) and matches(row, query.tree)]
    expected = [row["id"] for row in meant]
    which = DeadLetterFilter(query, up_to_id=up_to_id)
    found = reader.find(which)
    assert list(found.ids) == expected[:FOUND_CAP]
    assert (found.more, found.cut) == (len(expected) > FOUND_CAP, "")
    assert reader.count_by_status(which) == Counter(row["status"] for row in meant)


def test_facets_count_what_rows_say(reader: Reader, rows: Rows) -> None:
    found = reader.find(DeadLetterFilter(parse("attempts<3", NOW_MS)))
    assert len(found.ids) == FOUND_CAP
    facets = reader.facets(found, 500)
    columns = {"group": "fingerprint", "source": "source_topic", "class": "error_class", "status": "status"}
    ids = set(found.ids)
    newest = [row for row in rows if row["id"] in ids]
    for name, column in columns.items():
        counts = Counter(row[column] for row in newest if row[column] is not None)
        assert {each.value: each.dead_letters for each in facets[name]} == counts
    assert sum(each.dead_letters for each in facets["failed"]) == FOUND_CAP


def test_of_a_block_that_is_noted_no_row_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "orderpulse.db"
    with open_buffer(path) as buffer:
        collect_alike(buffer, BLOCK)
        write_all(buffer)
    asked = {"name": ":x", "key": ":x", "class": ":x", "group": ":x", "status": ":open", "time": "<2020-01-01"}
    with closing(connect_reader(path)) as connection:
        for field in FIELDS:
            if field.kind == "text":
                continue
            query = parse(f"{field.name}{asked.get(field.kind, '>=0')}", NOW_MS)
            bounds = Masks(connection, Blocks(connection), query.tree).of(0)
            assert bounds.sure == bounds.maybe, field.name


def collect_alike(buffer: Buffer, count: int) -> None:
    place = collector(buffer)
    collect(buffer, place, 0, *(dead_letter(place.ref, offset, order=order()) for offset in range(count)))


def test_what_changes_while_a_block_is_noted_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.buffer.sqlite.stores import letter_blocks

    path = tmp_path / "orderpulse.db"
    with open_buffer(path) as buffer, open_buffer(path) as other:
        collect_alike(buffer, BLOCK)
        read = letter_blocks._columns

        def meanwhile(*arguments: Any) -> Any:
            columns = read(*arguments)
            other.dead_letters.triage((5,), "discarded", NOW_MS)
            return columns

        monkeypatch.setattr(letter_blocks, "_columns", meanwhile)
        assert buffer.upkeep.note_for_search()
        monkeypatch.setattr(letter_blocks, "_columns", read)
        with Reader(path) as reader:
            assert reader.find(DeadLetterFilter(parse("status:discarded", NOW_MS))).ids == (5,)
        assert write_all(buffer) == 1
        with Reader(path) as reader:
            assert reader.find(DeadLetterFilter(parse("status:discarded", NOW_MS))).ids == (5,)


def test_blocks_go_with_their_dead_letters(tmp_path: Path) -> None:
    path = tmp_path / "orderpulse.db"
    with open_buffer(path) as buffer:
        collect_alike(buffer, 2 * BLOCK)
        assert write_all(buffer) == 2
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("DELETE FROM dead_letter_rows WHERE id <= ?", (BLOCK + 9,))
        write_all(buffer)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT DISTINCT block FROM dead_letter_blocks").fetchall() == [(1,)]
            assert connection.execute("SELECT * FROM dead_letter_block_changes").fetchall() == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE dead_letter_blocks SET meaning = replace(meaning, 'Oops', 'Ooops') WHERE field = 'class'",
        "UPDATE dead_letter_blocks SET codes = zeroblob(8192) WHERE (block, field) = (0, 'status')",
        "UPDATE dead_letter_blocks SET meaning = '[[1, 2]]', codes = x'' WHERE (block, field) = (1, 'price')",
        "UPDATE dead_letter_blocks SET codes = zeroblob(16384) WHERE (block, field) = (0, 'key')",
        "UPDATE dead_letter_blocks SET codes = substr(codes, 2) WHERE (block, field) = (0, 'key')",
        "UPDATE dead_letter_blocks SET meaning = '[\"orders' WHERE (block, field) = (0, 'source')",
        "UPDATE dead_letter_blocks SET codes = zeroblob(8192) WHERE (block, field) = (0, 'there')",
    ],
)
def test_check_finds_blocks_that_their_rows_contradict_and_repair_has_them_made_anew(
    path: Path, tmp_path: Path, change: str
) -> None:
    copy = tmp_path / "orderpulse.db"
    copy.write_bytes(path.read_bytes())

    def wrong(differences: list[Difference]) -> list[str]:
        return [str(each) for each in differences if "blocks of dead letters" in str(each)]

    assert wrong(recount(copy)) == []
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        assert connection.execute(change).rowcount
    (told,) = wrong(recount(copy))
    mended, left = repair(copy)
    assert wrong(mended) == [told]
    assert wrong(left) == []
    with open_buffer(copy) as buffer:
        assert write_all(buffer) == 3
    assert wrong(recount(copy)) == []
