"""A buffer comes forward from every released layout with all that is in it, step by step, and never back."""

import hashlib
import re
import sqlite3
from contextlib import closing

import pytest

from pipeline.buffer import Reader, open_buffer, recount
from pipeline.buffer.sqlite.connection import LAYOUT_VERSION, connect_reader, connect_writer, migrate
from pipeline.buffer.sqlite.migrations import released_steps
from pipeline.clock import steady_clock_ms
from pipeline.errors import BufferCorruptError, BufferTooNewError, BufferUnavailableError
from tests.support.layout_dump import layout_file, load

RELEASED = range(1, LAYOUT_VERSION + 1)
NEXT = LAYOUT_VERSION + 1
STEP = """
CREATE TABLE notes (dead_letter_id INTEGER NOT NULL REFERENCES dead_letter_rows, note TEXT NOT NULL);
INSERT INTO notes SELECT id, 'seen; before' FROM dead_letters;
ALTER TABLE totals ADD COLUMN notes INTEGER NOT NULL DEFAULT 0;
"""


def schema(path):
    """What a buffer is made of, without comments and with the same spaces: ALTER TABLE adds to the old text."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    return {(kind, name): one_line(sql or "") for kind, name, sql in rows}


def one_line(sql):
    uncommented = re.sub(r"--.*", "", sql.replace('"', ""))
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(uncommented.split()))


def rows(path, table):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def columns_by_table(path):
    with closing(sqlite3.connect(path)) as connection:
        sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = [name for (name,) in connection.execute(sql)]
        return {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in tables}


BY_TOPIC = ("flow_seconds", "flow_minutes", "product_totals")
"""Figures that layouts before 6 have of all topics alone, by the column that comes first."""


def contents(path, columns):
    """All rows of these tables, of these columns: a step may add others. Figures are those of all topics."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: sorted(connection.execute(selection(table, names)).fetchall(), key=repr)
            for table, names in columns.items()
        }


def selection(table, names):
    if table not in BY_TOPIC:
        return f"SELECT {', '.join(names)} FROM {table}"
    sums = [f"sum({name})" for name in names[1:] if name != "topic"]
    return f"SELECT {', '.join([names[0], *sums])} FROM {table} GROUP BY {names[0]}"


def version_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


@pytest.fixture
def path(tmp_path):
    """A buffer of the newest layout with rows in every table."""
    path = tmp_path / "orderpulse.db"
    load(layout_file(LAYOUT_VERSION).read_text(), path)
    return path


def stepped(path, steps, to_version=NEXT):
    with closing(connect_writer(path)) as connection:
        migrate(connection, steps, to_version)


@pytest.mark.parametrize("version", RELEASED)
def test_a_buffer_of_every_released_layout_opens_with_all_that_is_in_it(tmp_path, version):
    path = tmp_path / "orderpulse.db"
    load(layout_file(version).read_text(), path)
    columns = columns_by_table(path)
    before = contents(path, columns)
    open_buffer(path).close()
    assert version_of(path) == LAYOUT_VERSION
    assert contents(path, columns) == before
    dead_letters = "dead_letters" if version == 1 else "dead_letter_rows"
    assert all(before[table] for table in ("order_rows", dead_letters, "jobs", "job_items", "alerts"))
    assert recount(path) == []
    with Reader(path) as reader:
        assert reader.totals().orders == len(before["order_rows"])


@pytest.mark.parametrize("version", RELEASED)
def test_every_released_layout_becomes_the_one_that_a_new_buffer_has(tmp_path, version):
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    load(layout_file(version).read_text(), old)
    open_buffer(old).close()
    open_buffer(new).close()
    assert schema(old) == schema(new)


def public_rows(path, columns="*"):
    with closing(sqlite3.connect(path)) as connection:
        cursor = connection.execute(f"SELECT {columns} FROM dead_letters ORDER BY id")
        return ", ".join(f'"{name}"' for name, *_ in cursor.description), cursor.fetchall()


def test_layout_2_has_every_public_value_of_layout_1_in_seconds_however_many_dead_letters_there_are(tmp_path):
    path = tmp_path / "orderpulse.db"
    load(layout_file(1).read_text(), path)
    with closing(sqlite3.connect(path)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(dead_letters)")]
        cells = {name: f'"{name}"' for name in names}
        cells |= {
            "id": "NULL",
            "dead_letter_id": "dead_letter_id || '-' || number",
            "record_id": "record_id + number * 100",
        }
        cells |= {"stacktrace": "printf('%.2000c', 'x')"}
        connection.execute(
            "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers "
            "WHERE number < 10000) "
            f"INSERT INTO dead_letters SELECT {', '.join(cells.values())} FROM dead_letters, numbers"
        )
        connection.commit()
    columns, before = public_rows(path)
    assert len(before) > 100_000
    began_ms = steady_clock_ms()
    open_buffer(path).close()
    assert steady_clock_ms() - began_ms < 30_000
    assert public_rows(path, columns)[1] == before


@pytest.mark.parametrize(("version", "digest"), [(1, "9e98cd8a6195d401")])
def test_a_released_layout_is_never_changed(version, digest):
    # People have buffers of it: it changes by the next step.
    assert hashlib.sha256(layout_file(version).read_bytes()).hexdigest()[:16] == digest


def test_there_is_a_step_to_every_version_after_the_first():
    assert sorted(released_steps()) == list(range(2, LAYOUT_VERSION + 1))


def test_a_step_changes_the_layout_and_keeps_the_rows(path):
    letters = rows(path, "dead_letters")
    stepped(path, {NEXT: STEP})
    assert version_of(path) == NEXT
    assert rows(path, "dead_letters") == letters
    assert [note for _, note in rows(path, "notes")] == ["seen; before"] * len(letters)


def test_steps_are_taken_in_turn(path):
    stepped(path, {NEXT + 1: "INSERT INTO notes VALUES (1, 'later');\n", NEXT: STEP}, NEXT + 1)
    assert version_of(path) == NEXT + 1
    assert rows(path, "notes")[-1][1] in ("later", "seen; before")


def test_a_step_that_fails_leaves_the_buffer_as_it_was(path):
    before = schema(path), rows(path, "totals")
    with pytest.raises(sqlite3.OperationalError):
        stepped(path, {NEXT: STEP + "INSERT INTO nowhere VALUES (1);\n"})
    assert (schema(path), rows(path, "totals")) == before
    assert version_of(path) == LAYOUT_VERSION
    stepped(path, {NEXT: STEP})
    assert version_of(path) == NEXT


def test_steps_before_the_one_that_fails_stay_done(path):
    with pytest.raises(sqlite3.OperationalError):
        stepped(path, {NEXT: STEP, NEXT + 1: "DROP TABLE nowhere;\n"}, NEXT + 1)
    assert version_of(path) == NEXT


def test_a_step_may_put_a_table_in_the_place_of_one_that_others_refer_to(path):
    items = rows(path, "job_items")
    stepped(path, {NEXT: "CREATE TABLE new_jobs AS SELECT * FROM jobs;\nDROP TABLE jobs;\n" + REBUILT})
    assert rows(path, "job_items") == items


REBUILT = """CREATE TABLE jobs (id INTEGER PRIMARY KEY, kind TEXT NOT NULL);
INSERT INTO jobs SELECT id, kind FROM new_jobs;
DROP TABLE new_jobs;
"""


def test_a_step_that_leaves_rows_without_a_parent_is_refused(path):
    with pytest.raises(BufferCorruptError, match="row of job_items refers to a row of dead_letter_rows"):
        stepped(path, {NEXT: "DELETE FROM dead_letter_rows WHERE id IN (SELECT dead_letter_id FROM job_items);\n"})
    assert version_of(path) == LAYOUT_VERSION


@pytest.mark.parametrize(
    "step",
    [
        "INSERT INTO group_split_letters VALUES (4711, 'f', 'title');\n",
        "UPDATE dead_letter_rows SET id = id + 4711 WHERE id = (SELECT min(dead_letter_id) FROM job_items);\n",
        "CREATE TABLE new_jobs AS SELECT * FROM jobs WHERE id < 0;\nDROP TABLE jobs;\n",
        "CREATE TABLE notes (dead_letter_id INTEGER REFERENCES dead_letter_rows);\nINSERT INTO notes VALUES (4711);\n",
    ],
)
def test_a_step_may_leave_no_row_without_a_parent_in_any_way(path, step):
    step += REBUILT if "new_jobs" in step else ""
    with pytest.raises(BufferCorruptError, match="refers to a row of"):
        stepped(path, {NEXT: step})
    assert version_of(path) == LAYOUT_VERSION


def test_a_step_looks_at_no_rows_but_those_that_it_may_have_left_so(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE dead_letter_rows SET replay_of = 4711 WHERE id = 1")
    # All dead letters of a large buffer would have to be read for that; `check` does.
    stepped(path, {NEXT: "ALTER TABLE dead_letter_rows ADD COLUMN seen INTEGER;\nCREATE TABLE new (a INTEGER);\n"})
    assert version_of(path) == NEXT


def test_foreign_keys_hold_again_after_the_steps(path):
    with closing(connect_writer(path)) as connection:
        migrate(connection, {NEXT: STEP}, NEXT)
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            connection.execute("INSERT INTO notes VALUES (4711, 'nobody')")


def test_two_who_come_at_once_do_each_step_once(path):
    with closing(connect_writer(path)) as one, closing(connect_writer(path)) as other:
        migrate(one, {NEXT: STEP}, NEXT)
        migrate(other, {NEXT: STEP}, NEXT)
    assert len(rows(path, "notes")) == len(rows(path, "dead_letters"))


def test_an_older_program_refuses_what_a_newer_one_has_brought_forward(path):
    stepped(path, {NEXT: STEP})
    for opened in (open_buffer, connect_reader):
        with pytest.raises(BufferTooNewError, match=f"layout {NEXT}"):
            opened(path)


def test_a_reader_waits_until_the_pipeline_has_brought_an_older_buffer_forward(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {LAYOUT_VERSION - 1}")
    with pytest.raises(BufferUnavailableError, match=r"being made|at its start"):
        connect_reader(path)


def test_layout_5_counts_orders_by_partition_and_what_was_pruned_before(tmp_path):
    path = tmp_path / "orderpulse.db"
    load(layout_file(3).read_text(), path)
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("totals", "flow_minutes", "product_totals"):
            connection.execute(
                f"UPDATE {table} SET orders = orders + 2, revenue_cents = revenue_cents + 90, pruned_orders = 2, "
                f"pruned_revenue_cents = 90 WHERE rowid = (SELECT min(rowid) FROM {table})"
            )
    open_buffer(path).close()
    with Reader(path) as reader:
        totals = reader.totals()
        assert reader.topic_totals()["orders"].orders == totals.orders
        assert reader.topic_totals()["orders"].revenue_cents == totals.revenue_cents
    assert recount(path) == []


MINUTE_MS = 1_767_268_680_000
"""A minute, and its first second, of which layouts have 11 orders and two dead letters."""


def of_layout_5(path, *statements):
    """A buffer of layout 5, changed so, as layout 6."""
    load(layout_file(5).read_text(), path)
    with closing(sqlite3.connect(path)) as connection, connection:
        for sql in statements:
            connection.execute(sql)
    open_buffer(path).close()
    return path


def pruned(orders, revenue_cents, dead_letters, at_ms=MINUTE_MS):
    """What else was there and retention has taken: orders of the partition and the product that were met first."""
    sales = (
        f"orders = orders + {orders}, revenue_cents = revenue_cents + {revenue_cents}, "
        f"pruned_orders = {orders}, pruned_revenue_cents = {revenue_cents}"
    )
    letters = f"dead_letters = dead_letters + {dead_letters}, pruned_dead_letters = {dead_letters}"
    return (
        f"UPDATE totals SET {sales}, {letters}",
        f"UPDATE flow_minutes SET {sales}, {letters} WHERE minute_ms = {at_ms}",
        f"UPDATE product_totals SET {sales} WHERE product_ref = 1",
        f"UPDATE partitions SET {sales} WHERE partition_ref = (SELECT min(partition_ref) FROM partitions "
        "WHERE role = 'processor')",
    )


def another_topic(orders, cents, at_ms=MINUTE_MS):
    """So many orders of another topic in the same minute, of the product that was met first, at so many cents each."""
    sales = f"orders = orders + {orders}, revenue_cents = revenue_cents + {orders * cents}"
    return (
        "INSERT INTO topics (topic_ref, cluster_id, topic, topic_id, first_seen_ms) VALUES (99, 'c', 'shop', '', 0)",
        "INSERT INTO partitions (partition_ref, role, topic_ref, partition, next_offset, orders, revenue_cents) "
        f"VALUES (99, 'processor', 99, 0, {orders}, {orders}, {orders * cents})",
        *(
            f"INSERT INTO order_rows VALUES ({(99 << 40) + offset}, 'S', 'C', 1, 1, {cents}, {at_ms}, {at_ms}, 1)"
            for offset in range(orders)
        ),
        f"UPDATE totals SET {sales}",
        f"INSERT INTO flow_seconds (second_ms, orders, revenue_cents) VALUES ({at_ms}, {orders}, {orders * cents}) "
        f"ON CONFLICT (second_ms) DO UPDATE SET {sales}",
        f"UPDATE flow_minutes SET {sales} WHERE minute_ms = {at_ms}",
        f"UPDATE product_totals SET {sales} WHERE product_ref = 1",
    )


def sums_by_topic(path, table):
    """Orders, revenue, and what there is beside them, of each topic that has something in a table."""
    with closing(sqlite3.connect(path)) as connection:
        cursor = connection.execute(f"SELECT * FROM {table}")
        names = [name for name, *_ in cursor.description]
        found = {}
        for row in cursor.fetchall():
            cells = dict(zip(names, row, strict=True))
            of_topic = found.setdefault(cells["topic"], {})
            for name in ("orders", "revenue_cents", "retries", "dead_letters", "pruned_orders", "pruned_dead_letters"):
                of_topic[name] = of_topic.get(name, 0) + cells.get(name, 0)
        return found


def test_layout_6_gives_the_figures_of_one_topic_to_it_and_dead_letters_to_their_sources(tmp_path):
    before = tmp_path / "before.db"
    load(layout_file(5).read_text(), before)
    path = of_layout_5(tmp_path / "orderpulse.db", *pruned(3, 600, 2))
    assert recount(path) == []
    ((orders, revenue_cents, retries),) = rows(before, "(SELECT sum(orders), sum(revenue_cents), sum(retries) "
                                                       "FROM flow_minutes)")  # fmt: skip
    minutes = sums_by_topic(path, "flow_minutes")
    mine = minutes["orders"]
    assert (mine["orders"], mine["revenue_cents"], mine["retries"]) == (orders + 3, revenue_cents + 600, retries)
    assert mine["pruned_orders"] == 3
    assert sums_by_topic(path, "product_totals").keys() == {"orders"}
    sources = dict(rows(before, "(SELECT coalesce(source_topic, ''), count(*) FROM dead_letters GROUP BY 1)"))
    # Of which source those were that are gone nobody knows.
    sources[""] += 2
    assert {topic: each["dead_letters"] for topic, each in minutes.items()} == sources
    assert dict(rows(path, "(SELECT topic, dead_letters FROM dead_letter_sources)")) == sources
    assert rows(path, "(SELECT topic, pruned_dead_letters FROM dead_letter_sources WHERE pruned_dead_letters > 0)") == [
        ("", 2)
    ]


def test_layout_6_gives_dead_letters_of_one_source_to_it_with_those_that_were_pruned(tmp_path):
    one = "UPDATE dead_letter_rows SET source_topic = 'orders'"
    path = of_layout_5(tmp_path / "orderpulse.db", one, *pruned(0, 0, 2))
    minutes = sums_by_topic(path, "flow_minutes")
    assert minutes.keys() == {"orders"}
    assert minutes["orders"]["pruned_dead_letters"] == 2
    assert recount(path) == []


def test_layout_6_tells_the_orders_of_several_topics_apart_by_those_that_are_there(tmp_path):
    path = of_layout_5(tmp_path / "orderpulse.db", *another_topic(4, 25), *pruned(3, 600, 0))
    assert recount(path) == []
    for table in ("flow_minutes", "flow_seconds", "product_totals"):
        assert sums_by_topic(path, table)["shop"]["orders"] == 4
        assert sums_by_topic(path, table)["shop"]["revenue_cents"] == 100
    with Reader(path) as reader:
        kept = reader.topic_totals()["orders"].orders - 3
        flow = reader.flow("minute", 3_600_000, "shop")
        assert list(zip(flow.column("at_ms"), flow.column("orders"), strict=True)).count((MINUTE_MS, 4)) == 1
        assert reader.product_totals(9, "shop").column("orders") == [4]
        assert sum(reader.flow("minute", 10**13).column("orders")) == reader.totals().orders == kept + 3 + 4
    minutes = sums_by_topic(path, "flow_minutes")
    assert minutes["orders"]["orders"] == kept
    # What was pruned, and attempts that failed: rows do not say of which topic they were.
    assert (minutes[""]["orders"], minutes[""]["pruned_orders"], minutes["orders"]["retries"]) == (3, 3, 0)
    assert minutes[""]["retries"] > 0
    assert sums_by_topic(path, "product_totals")[""]["pruned_orders"] == 3
