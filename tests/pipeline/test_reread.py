"""A topic is read again while everything runs, from any place, and whoever dies at whichever step."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.buffer import recount
from pipeline.crash_points import FOLDER_VARIABLE, POINTS
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order
from scripts.waiting import wait_for
from tests.support.faulty_handler import FAIL_AS_ASKED, FAILURES
from tests.support.kafkas import on_clusters
from tests.support.order_writer import OrderWriter
from tests.support.running_pipeline import RunningPipeline

HALF, DEAD = 600, 4
FAILS = 40
REREAD_POINTS = tuple(point for point in POINTS if point.startswith("reread: "))


def figures(pipeline: RunningPipeline) -> tuple[int, int, int]:
    """Orders, revenue in cents and dead letters."""
    with pipeline.reader() as reader:
        totals = reader.totals()
    return totals.orders, totals.revenue_cents, totals.dead_letters


def asked(pipeline: RunningPipeline, start: str, *more: str) -> tuple[int, str]:
    """Has the orders topic read again; the exit code, and what that said."""
    done = pipeline.command("reread", "--topic", pipeline.settings.orders_topic, "--from", start, *more)
    return done.returncode, done.stderr


def stop(pipeline: RunningPipeline) -> None:
    process = pipeline.started("up")
    process.terminate()
    assert process.wait(20) == 0


def assert_content(pipeline: RunningPipeline) -> None:
    check = pipeline.command("check")
    assert check.returncode == 0, check.stdout + check.stderr


@on_clusters()
def test_orders_from_a_time_on_go_out_and_are_read_again_once(pipeline_with: Callable[..., RunningPipeline]):
    pipeline = pipeline_with()
    pipeline.up()
    with OrderWriter(pipeline, 0) as writer:
        writer.write(HALF)
        wait_for("the first half", lambda: figures(pipeline)[0] == HALF)
        kept = figures(pipeline)
        time_ms = time.time_ns() // 1_000_000 + 1
        wait_for("that time", lambda: time.time_ns() // 1_000_000 > time_ms)
        writer.write(HALF)
        writer.write(DEAD, "malformed")
        wait_for("all", lambda: figures(pipeline)[0::2] == (2 * HALF, DEAD))
    before = figures(pipeline)

    refused = asked(pipeline, str(time_ms))
    assert refused[0] == 1
    assert "say --yes" in refused[1]
    assert figures(pipeline) == before
    code, told = asked(pipeline, str(time_ms), "--yes")
    assert (code, told.splitlines()[-1]) == (0, "done: the processors read on from there")
    assert f"up to {HALF + DEAD:,} records" in told
    assert f"{HALF:,} orders with a revenue of {(before[1] - kept[1]) / 100:,.2f} go out" in told
    # The bad ones have failed twice.
    wait_for("all of it again", lambda: figures(pipeline) == (*before[:2], 2 * DEAD))
    assert_content(pipeline)
    with pipeline.reader() as reader:
        [event] = [each for each in reader.events().column("message") if "is read again from" in each]
    assert "as command line asked" in event


@on_clusters()
def test_from_the_latest_nothing_goes_and_from_the_earliest_all_while_orders_come(
    pipeline_with: Callable[..., RunningPipeline],
):
    pipeline = pipeline_with(processors=2)
    pipeline.up()
    with OrderWriter(pipeline, 100) as writer:
        wait_for("some orders", lambda: figures(pipeline)[0] > HALF)
        assert asked(pipeline, "earliest", "--yes")[0] == 0
        wait_for("more orders", lambda: writer.account.orders > 3 * HALF)
    wait_for("all orders", lambda: figures(pipeline)[:2] == (writer.account.orders, writer.account.revenue_cents))
    before = figures(pipeline)
    code, told = asked(pipeline, "latest", "--yes")
    assert code == 0
    assert "0 orders with a revenue of 0.00 go out" in told
    with OrderWriter(pipeline, 0) as other:
        other.write(20)
    wait_for("what came", lambda: figures(pipeline)[:2] == (before[0] + 20, before[1] + other.account.revenue_cents))
    assert_content(pipeline)


@on_clusters("quick_returns")
def test_what_is_parked_comes_to_its_end_first(pipeline_with: Callable[..., RunningPipeline]):
    pipeline = pipeline_with(handler=FAIL_AS_ASKED, retry_max=2 * FAILS, retry_base_ms=500, retry_cap_ms=500)
    pipeline.up()
    codec = OrderCodec(SchemaStore(pipeline.settings.schemas_dir))
    order = Order("P-1", "C1", "Cup", 100, time.time_ns() // 1_000_000)
    pipeline.send((b"C1", codec.encode(order), ((FAILURES, b"%d" % FAILS),)))
    with pipeline.reader() as reader:
        wait_for("a parked record", lambda: reader.parked_count() == 1)
    stop(pipeline)
    code, told = asked(pipeline, "earliest", "--yes")
    assert code == 1
    assert "1 records are parked and 0 wait in the outbox: start the processors" in told
    pipeline.up()
    code, told = asked(pipeline, "earliest", "--yes")
    assert (code, "waiting for 1 parked records" in told) == (0, True)
    # It fails as often again, and is counted once.
    wait_for("it again", lambda: figures(pipeline) == (1, 100, 0))
    with pipeline.reader() as reader:
        [attempts] = reader._rows("SELECT attempts FROM orders").column("attempts")
    assert attempts == FAILS + 1
    assert_content(pipeline)


@contextmanager
def dying_at(pipeline: RunningPipeline, folder: Path, point: str) -> Iterator[None]:
    """Commands of this name die there, meanwhile."""
    folder.mkdir(exist_ok=True)
    (folder / "reread").write_text(point)
    pipeline.environment[FOLDER_VARIABLE] = str(folder)
    yield
    del pipeline.environment[FOLDER_VARIABLE]
    assert (folder / "reread").read_text() == "", f"nobody came to {point}"


@on_clusters("quick_returns")
def test_who_dies_at_a_step_leaves_nothing_half_done(pipeline_with: Callable[..., RunningPipeline], tmp_path: Path):
    pipeline = pipeline_with()
    pipeline.up()
    with OrderWriter(pipeline, 0) as writer:
        writer.write(2 * HALF)
        wait_for("all", lambda: figures(pipeline)[0] == 2 * HALF)
    stop(pipeline)
    before, database = figures(pipeline), pipeline.settings.database_file
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(database, tmp_path / "kept.db")
    for point in REREAD_POINTS:
        shutil.copy(tmp_path / "kept.db", database)
        with dying_at(pipeline, tmp_path / "points", point):
            assert asked(pipeline, "earliest", "--yes")[0] == -signal.SIGKILL, point
        assert recount(database) == [], point
        code, told = asked(pipeline, "earliest", "--yes")
        assert (code, figures(pipeline)) == (0, (0, 0, 0)), (point, told)
        assert recount(database) == [], point
    pipeline.up()
    wait_for("all of it again", lambda: figures(pipeline) == before)
    assert_content(pipeline)
