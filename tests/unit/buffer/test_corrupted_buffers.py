"""Whatever somebody does to a buffer behind our back, `check` names it, and `--repair` makes the figures true again."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.buffer import (
    Batch,
    DeadLetterFilter,
    ReplayOutcome,
    Retention,
    Sent,
    open_buffer,
    record_id,
    recount,
    repair,
)
from pipeline.orders.fields import ORDER_FIELDS
from tests.support.buffer_rows import (
    NOW_MS,
    accept,
    batch,
    collect,
    collector,
    dead_letter,
    order_row,
    outbox_row,
    parked,
    processor,
)

DAY_MS = 86_400_000
BEYOND = 1000


def fill(path):
    """Every kind of row, several minutes, products and groups, replays of every outcome; something pruned of each."""
    with open_buffer(path) as buffer:
        place, dead = processor(buffer), collector(buffer)
        accept(buffer, place, 0, 3, now_ms=NOW_MS - DAY_MS, product="tea", price_cents=100)
        accept(buffer, place, 3, 5, product="tea", price_cents=300)
        accept(buffer, place, 8, 4, now_ms=NOW_MS + 60_000, product="mug", price_cents=900)
        step = batch(place.ref, 12, 18)
        step.orders = [order_row(place.ref, 12, product="pan", price_cents=5)]
        step.passed_over = [record_id(place.ref, offset) for offset in (15, 16, 17)]
        step.parked, step.outbox = [parked(place.ref, 13)], [outbox_row(place.ref, 14)]
        buffer.flow.commit(step)
        rows = [dead_letter(dead.ref, offset, fingerprint=f"group-{offset % 3}") for offset in range(9)]
        collect(buffer, dead, 0, *rows)
        buffer.dead_letters.triage([1, 2], "discarded", NOW_MS - DAY_MS)
        buffer.dead_letters.triage([3], "discarded", NOW_MS)
        _replay(buffer)
        while buffer.upkeep.prune(Retention(NOW_MS - 1, NOW_MS - 1)):
            pass
        buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(9,)), None, "me", "waiting", NOW_MS)
    return path


def _replay(buffer):
    """Dead letters 4 to 7: recovered, sent, failed to be sent, dead again."""
    buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(4, 5, 6, 7)), None, "me", "r", NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    buffer.jobs.open_send_window(1, "{}", [f"r-{each}" for each in (4, 5, 6, 7)])
    sent = [Sent(f"r-{each}", "orders", 0, each) for each in (4, 5, 7)]
    buffer.jobs.close_send_window(1, 3, 1, sent, {"r-6": "too large"}, NOW_MS)
    outcomes = [ReplayOutcome("r-4", "recovered"), ReplayOutcome("r-7", "dead_again")]
    buffer.flow.commit(Batch(NOW_MS, outcomes=outcomes))
    buffer.jobs.finish(1, "done", NOW_MS)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    path = fill(tmp_path_factory.mktemp("healthy") / "orderpulse.db")
    assert recount(path) == []
    return path


FIGURES = [
    *[("totals", name) for name in ("orders", "revenue_cents", "dead_letters")],
    *[("flow_minutes", name) for name in ("orders", "revenue_cents", "dead_letters")],
    *[("product_totals", name) for name in ("orders", "revenue_cents")],
    ("dead_letter_sources", "dead_letters"),
    ("dead_letter_counts", "dead_letters"),
    *[("partitions", name) for name in ("passed_over", "orders", "revenue_cents")],
    *[("dead_letter_groups", name) for name in ("total", "open")],
    *[("jobs", name) for name in ("done", "failed", "total")],
]
PRUNED = [
    *[("totals", f"pruned_{name}") for name in ("orders", "revenue_cents", "dead_letters")],
    *[("flow_minutes", f"pruned_{name}") for name in ("orders", "revenue_cents", "dead_letters")],
    *[("product_totals", f"pruned_{name}") for name in ("orders", "revenue_cents")],
    ("dead_letter_sources", "pruned_dead_letters"),
    *[("partitions", f"pruned_{name}") for name in ("orders", "revenue_cents")],
    *[("jobs", f"pruned_{name}") for name in ("done", "failed", "total")],
]
DELTA = st.integers(-(2**40), 2**40).filter(bool)
PLACES = st.integers(0, 2**16)

CELLS = ", ".join((*(field.column for field in ORDER_FIELDS), "processed_at_ms", "attempts"))
"""All columns of `order_rows` but the key."""

# What is done behind our back, and what `check` must say of it. `{row}` is one of the table's rows.
ROW_DAMAGE = {
    "an order deleted": ("order_rows", "DELETE FROM order_rows WHERE rowid = {row}", "totals: orders is"),
    "an order copied": (
        "order_rows",
        f"INSERT INTO order_rows (record_id, {CELLS}) SELECT record_id + 5000, {CELLS} FROM order_rows "
        "WHERE rowid = {row}",
        "totals: orders is",
    ),
    "an order moved": (
        "order_rows",
        "UPDATE order_rows SET record_id = record_id + 1000 WHERE rowid = {row}",
        "order_rows: 1 rows at or after next_offset 18",
    ),
    "an order of no partition": (
        "order_rows",
        "UPDATE order_rows SET record_id = record_id + (7 << 40) WHERE rowid = {row}",
        "which is no partition of a processor",
    ),
    "an order among dead letters": (
        "order_rows",
        "UPDATE order_rows SET record_id = record_id + (1 << 40) WHERE rowid = {row}",
        "which is no partition of a processor",
    ),
    "a price changed": (
        "order_rows",
        "UPDATE order_rows SET price_cents = price_cents + 1 WHERE rowid = {row}",
        "totals: revenue_cents is",
    ),
    "a time changed": (
        "order_rows",
        "UPDATE order_rows SET processed_at_ms = processed_at_ms + 3600000 WHERE rowid = {row}",
        "flow_minutes of",
    ),
    "a product without a name": (
        "order_rows",
        "UPDATE order_rows SET product_ref = 99 WHERE rowid = {row}",
        "order_rows: 1 rows have a product_ref that names no product",
    ),
    "a region without a name": (
        "order_rows",
        "UPDATE order_rows SET region_ref = 99 WHERE rowid = {row}",
        "order_rows: 1 rows have a region_ref that names no region",
    ),
    "a parked record moved": (
        "retries",
        "UPDATE retries SET record_id = record_id + 1000 WHERE rowid = {row}",
        "retries: 1 rows at or after next_offset",
    ),
    "an order that is parked too": (
        "order_rows",
        "UPDATE retries SET record_id = {row}",
        "is accepted and parked",
    ),
    "an order that is on its way too": (
        "order_rows",
        "UPDATE outbox SET record_id = {row}",
        "is accepted and in the outbox",
    ),
    "an order that was passed over too": (
        "passed_over_blocks",
        "UPDATE passed_over_blocks SET flags = x'ffff03' WHERE block = {row}",
        "is accepted and was passed over",
    ),
    "a record that was passed over before it was read": (
        "passed_over_blocks",
        "UPDATE passed_over_blocks SET flags = x'008007' WHERE block = {row}",
        "orders[0] offset 18 was passed over, but is at or after next_offset 18",
    ),
    "records passed over of no partition": (
        "passed_over_blocks",
        "UPDATE passed_over_blocks SET block = block + (7 << 27) WHERE block = {row}",
        "which is no partition of a processor",
    ),
    "flags that are none": (
        "passed_over_blocks",
        "UPDATE passed_over_blocks SET flags = 'text' WHERE block = {row}",
        "partitions of orders[0]: passed_over is 3, its rows make 0",
    ),
    "a dead letter deleted": (
        "dead_letter_rows",
        "DELETE FROM dead_letter_rows WHERE id = {row}",
        "totals: dead_letters is 9, its rows make 8",
    ),
    "a dead letter moved": (
        "dead_letter_rows",
        "UPDATE dead_letter_rows SET record_id = record_id + 1000 WHERE id = {row}",
        "dead_letter_rows: 1 rows at or after next_offset 9",
    ),
    "a dead letter that says another place": (
        "dead_letter_rows",
        'UPDATE dead_letter_rows SET "offset" = 99 WHERE id = {row}',
        "says it is orders-dlq[0] offset",
    ),
    "a dead letter of another group": (
        "dead_letter_rows",
        "UPDATE dead_letter_rows SET fingerprint = 'another' WHERE id = {row}",
        "dead_letter_groups of another: total is 0, its rows make 1",
    ),
    "a job deleted": ("jobs", "DELETE FROM jobs WHERE id = {row}", "job_items: "),
    "an item deleted": (
        "job_items",
        "DELETE FROM job_items WHERE dead_letter_id = {row}",
        ": total is",
    ),
    "a window open": ("jobs", "UPDATE jobs SET send_window = '{{}}', state = 'done' WHERE id = {row}", "still open"),
    "a replay that makes orders": ("jobs", "UPDATE jobs SET kind = 'produce' WHERE id = {row}", "makes orders, but"),
    "a group deleted": (
        "dead_letter_groups",
        "DELETE FROM dead_letter_groups WHERE rowid = {row}",
        ": total is 0, its rows make",
    ),
    "a partition deleted": (
        "partitions",
        "DELETE FROM partitions WHERE partition_ref = {row}",
        "which is no partition of a",
    ),
    "a partition set back": (
        "partitions",
        "UPDATE partitions SET next_offset = 5 WHERE partition_ref = {row}",
        "rows at or after next_offset 5",
    ),
}
KEYS = {
    "dead_letter_rows": "id",
    "jobs": "id",
    "job_items": "dead_letter_id",
    "partitions": "partition_ref",
    # Together one text: a row of them has no other name.
    "flow_minutes": "minute_ms || ' ' || topic",
    "product_totals": "product_ref || ' ' || topic",
    "dead_letter_sources": "topic",
}
STATUSES = ("open", "replaying", "replayed", "recovered", "dead_again", "discarded")
STATES = ("planned", "sending", "sent", "recovered", "dead_again", "failed", "cancelled")
NEVER_SENT = ("failed", "cancelled")


class Copy:
    """A copy of the healthy buffer for one example."""

    def __init__(self, healthy):
        self.path = healthy.with_name("copy.db")
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(healthy, self.path)

    def change(self, *statements):
        """Runs these as somebody with a SQLite tool would, whose connection does not check foreign keys."""
        with closing(sqlite3.connect(self.path)) as connection:
            for sql in statements:
                connection.execute(sql)
            connection.commit()
            return connection.total_changes

    def one_of(self, table, place):
        key = KEYS.get(table, "rowid")
        with closing(sqlite3.connect(self.path)) as connection:
            keys = [row[0] for row in connection.execute(f"SELECT {key} FROM {table} ORDER BY 1")]
        return keys[place % len(keys)]

    def change_one(self, table, place, name, delta):
        """Adds to a figure of one of a table's rows; returns which row that is."""
        row = self.one_of(table, place)
        key = row if isinstance(row, int) else f"'{row}'"
        self.change(f"UPDATE {table} SET {name} = {name} + {delta} WHERE {KEYS.get(table, 'rowid')} = {key}")
        return row

    def lines(self):
        return [str(difference) for difference in recount(self.path)]

    def repaired(self):
        mended, left = repair(self.path)
        assert recount(self.path) == left
        return [str(each) for each in mended], [str(each) for each in left]


def called(table, row, name):
    return f"job {row}: {name}" if table == "jobs" else f"{table}"


@settings(max_examples=80, deadline=None)
@given(figure=st.sampled_from(FIGURES), place=PLACES, delta=DELTA)
def test_a_figure_that_was_changed_is_named_and_mended(healthy, figure, place, delta):
    copy, (table, name) = Copy(healthy), figure
    before = dump(copy.path)
    row = copy.change_one(table, place, name, delta)
    [line] = copy.lines()
    assert line.startswith(called(table, row, name))
    assert f"{name} is " in line
    assert copy.repaired() == ([line], [])
    assert dump(copy.path) == before


def dump(path):
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


@settings(max_examples=60, deadline=None)
@given(figure=st.sampled_from(PRUNED), place=PLACES, delta=DELTA)
def test_what_was_pruned_is_named_when_it_was_changed_and_mended_from_where_it_also_stands(
    healthy, figure, place, delta
):
    copy, (table, name) = Copy(healthy), figure
    before = dump(copy.path)
    row = copy.change_one(table, place, name, delta)
    assert any(line.startswith((called(table, row, name.removeprefix("pruned_")), name)) for line in copy.lines())
    mended, left = copy.repaired()
    assert (len(mended), left) == (1, [])
    if table != "jobs":
        # Of a job nothing else says how many of its items were pruned: its counts are made of what is there.
        assert dump(copy.path) == before


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(sorted(ROW_DAMAGE)), place=PLACES)
def test_a_row_that_was_changed_is_named_and_the_figures_are_made_of_what_is_there(healthy, kind, place):
    copy, (table, sql, said) = Copy(healthy), ROW_DAMAGE[kind]
    row = copy.one_of(table, place)
    if kind == "a partition set back":
        row = copy.one_of(table, 0)
    assert copy.change(sql.format(row=row)) > 0
    assert any(said in line for line in copy.lines()), copy.lines()
    _, left = copy.repaired()
    assert not [line for line in left if "its rows make" in line]


@settings(max_examples=60, deadline=None)
@given(letter=st.integers(3, 9), status=st.sampled_from(STATUSES))
def test_a_status_that_the_ledger_does_not_bear_out_is_named(healthy, letter, status):
    copy = Copy(healthy)
    with closing(sqlite3.connect(copy.path)) as connection:
        (before,) = connection.execute("SELECT status FROM dead_letters WHERE id = ?", (letter,)).fetchone()
    copy.change(f"UPDATE dead_letter_rows SET status = '{status}' WHERE id = {letter}")
    triaged = {before, status} <= {"open", "discarded"}
    assert any(f"dead letter {letter} is" in line or f"letter {letter} on its" in line for line in copy.lines()) is (
        before != status and not triaged
    )


@settings(max_examples=60, deadline=None)
@given(letter=st.sampled_from([4, 5, 6, 7, 9]), state=st.sampled_from(STATES))
def test_a_state_of_an_item_that_its_dead_letter_does_not_bear_out_is_named(healthy, letter, state):
    copy = Copy(healthy)
    with closing(sqlite3.connect(copy.path)) as connection:
        (before,) = connection.execute("SELECT state FROM job_items WHERE dead_letter_id = ?", (letter,)).fetchone()
    copy.change(f"UPDATE job_items SET state = '{state}' WHERE dead_letter_id = {letter}")
    # Of two states that leave the dead letter what it was, and of two in which it is on its way, both may be true.
    alike = before == state or {before, state} <= set(NEVER_SENT)
    assert bool(copy.lines()) is not alike


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(st.tuples(st.sampled_from(sorted(ROW_DAMAGE)), PLACES), min_size=1, max_size=4),
    figures=st.lists(st.tuples(st.sampled_from(FIGURES), PLACES, DELTA), max_size=4),
)
def test_after_any_mixture_of_changes_a_repair_leaves_no_figure_that_differs_from_its_rows(healthy, kinds, figures):
    copy = Copy(healthy)
    for (table, name), place, delta in figures:
        copy.change_one(table, place, name, delta)
    for kind, place in kinds:
        table, sql, _ = ROW_DAMAGE[kind]
        with closing(sqlite3.connect(copy.path)) as connection:
            empty = connection.execute(f"SELECT 1 FROM {table}").fetchone() is None
        if not empty:
            once = sql.replace("UPDATE ", "UPDATE OR IGNORE ", 1).replace("INSERT ", "INSERT OR IGNORE ", 1)
            copy.change(once.format(row=copy.one_of(table, place)))
    _, left = copy.repaired()
    assert not [line for line in left if "its rows make" in line]
    assert copy.repaired() == ([], left)
