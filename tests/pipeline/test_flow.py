"""Orders through the real processes: judged, counted, retried, dead-lettered, replayed."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable

import pytest

from pipeline.buffer import DeadLetterFilter, OrderFilter, open_buffer
from pipeline.headers.own import FAULT_REASON, TRANSIENT_FAILURES
from pipeline.jobs import requests
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order
from scripts.waiting import wait_for
from tests.support.faulty_handler import FAIL_AS_ASKED
from tests.support.kafkas import on_clusters
from tests.support.order_writer import write_samples
from tests.support.running_pipeline import RunningPipeline, alive

NONE = DeadLetterFilter()
on_apache_kafka = pytest.mark.parametrize("cluster_settings", ["apache"], indirect=True)


def test_every_sample_ends_as_an_order_or_a_dead_letter_and_the_same_seed_gives_the_same_outcome(pipeline):
    def produce(_: int) -> None:
        shares = ("--invalid-share", "0.1", "--malformed-share", "0.1", "--transient-share", "0.1")
        assert pipeline.command("produce", "--count", "100", "--seed", "9", *shares).returncode == 0

    assert_the_same_samples_have_the_same_outcome(pipeline, produce)


@on_apache_kafka
def test_so_does_every_sample_on_apache_kafka_where_a_handler_of_our_own_fails(pipeline_with):
    pipeline = pipeline_with(handler=FAIL_AS_ASKED)
    pipeline.up()
    request = ProduceRequest(100, seed=9, invalid_share=0.1, malformed_share=0.1, transient_share=0.1)
    assert_the_same_samples_have_the_same_outcome(pipeline, lambda job: write_samples(pipeline, job, request))


def assert_the_same_samples_have_the_same_outcome(pipeline: RunningPipeline, produce: Callable[[int], None]) -> None:
    """Of a hundred samples that `produce` puts onto the topic twice, twenty fail for good and ten at first."""
    outcomes = []
    for job in (1, 2):
        produce(job)
        wait_for(f"{job * 100} settled records", lambda job=job: pipeline.settled() == job * 100)
        with pipeline.reader() as reader:
            orders = reader.orders(OrderFilter(text=f"ORD-{job}-"), limit=1000)
            letters = reader.dead_letters(DeadLetterFilter(up_to_id=10_000), limit=100 - len(orders.rows))
        outcomes.append(
            (
                sorted(
                    zip(orders.column("product"), orders.column("price_cents"), orders.column("attempts"), strict=True)
                ),
                sorted((letter.fingerprint, letter.price_cents or 0) for letter in letters),
            )
        )
    assert outcomes[0] == outcomes[1]
    orders, letters = outcomes[0]
    assert len(letters) == 20
    assert sum(attempts > 1 for _, _, attempts in orders) == 10


def test_figures_agree_with_rows_to_the_cent(pipeline):
    pipeline.command("produce", "--count", "500", "--invalid-share", "0.2")
    wait_for("500 settled records", lambda: pipeline.settled() == 500)
    with pipeline.reader() as reader:
        orders = reader.orders(OrderFilter(), limit=1000)
        totals = reader.totals()
        minutes = reader.flow("minute", 3_600_000)
        products = reader.product_totals(100)
    assert totals.orders == len(orders.rows) == 400
    assert totals.revenue_cents == sum(orders.column("price_cents"))
    assert sum(minutes.column("revenue_cents")) == totals.revenue_cents
    assert sum(products.column("revenue_cents")) == totals.revenue_cents
    assert sum(minutes.column("dead_letters")) == totals.dead_letters == 100
    check = pipeline.command("check")
    assert check.returncode == 0, check.stdout


def test_a_transient_failure_is_retried_without_blocking_others_and_attempts_are_counted(pipeline_with):
    pipeline = pipeline_with(retry_preset="fixed")
    pipeline.up()
    pipeline.command("produce", "--count", "60", "--transient-share", "0.3")
    with pipeline.reader() as reader:
        wait_for("the untroubled ones", lambda: reader.totals().orders >= 30, 5)
        assert reader.parked_count() > 0
        wait_for("all of them", lambda: reader.totals().orders == 60, 30)
        attempts = reader.orders(OrderFilter(retried_only=True), limit=100).column("attempts")
    assert len(attempts) == 18
    assert set(attempts) <= {2, 3, 4}


def test_records_of_one_key_are_accepted_in_their_order(pipeline_with):
    pipeline = pipeline_with(retry_base_ms=100, retry_cap_ms=200)
    pipeline.up()
    pipeline.command("produce", "--count", "400", "--transient-share", "0.5", "--seed", "4")
    with pipeline.reader() as reader:
        wait_for("all of them", lambda: reader.totals().orders == 400)
        rows = reader.orders(OrderFilter(), limit=1000)
    by_customer = {}
    for customer, number, processed in zip(
        rows.column("customer_id"), rows.column("order_id"), rows.column("processed_at_ms"), strict=True
    ):
        by_customer.setdefault(customer, []).append((number, processed))
    for orders in by_customer.values():
        times = [processed for _, processed in sorted(orders)]
        assert times == sorted(times)


@on_apache_kafka
def test_on_a_team_s_kafka_no_header_makes_the_default_handler_fail(pipeline):
    codec = OrderCodec(SchemaStore(pipeline.settings.schemas_dir))
    headers = ((TRANSIENT_FAILURES, b"1000000"), (FAULT_REASON, b"stopped from outside"))
    order = Order("O-1", "C-1", "Cup", 100, time.time_ns() // 1_000_000)
    pipeline.send((b"C-1", codec.encode(order), headers))
    wait_for("the order", lambda: pipeline.settled() == 1)
    with pipeline.reader() as reader:
        assert (reader.totals().orders, reader.parked_count()) == (1, 0)
        assert reader.orders(OrderFilter()).column("attempts") == [1]


@on_apache_kafka
@pytest.mark.parametrize("asked", [("--transient-share", "0.1"), ("--scenario", "reference")])
def test_on_a_team_s_kafka_nobody_can_ask_for_simulated_failures(pipeline_with, asked):
    refused = pipeline_with().command("produce", *asked)
    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert "need the demo cluster" in line
    assert "ORDERPULSE_BOOTSTRAP_SERVERS names another Kafka" in line


@on_clusters()
def test_a_loosened_rule_and_a_replay_turn_open_dead_letters_into_recovered_ones(pipeline_with, tmp_path):
    rules = tmp_path / "rules.toml"
    pipeline = pipeline_with(rules_file=str(rules))
    strict = (pipeline.settings.schemas_dir.parent / "rules.toml").read_text()
    rules.write_text(re.sub(r"(?m)^price_max = .*$", 'price_max = "1.00"', strict))
    pipeline.up()
    pipeline.command("produce", "--count", "30")
    with pipeline.reader() as reader:
        wait_for("30 dead letters", lambda: reader.status_counts() == {"open": 30})
        before = pipeline.role("processor").figures["rules_version"]
        rules.write_text(strict)
        wait_for("the new rules", lambda: pipeline.role("processor").figures["rules_version"] != before, 2)

        listed = pipeline.command("replay", "--all", "--dry-run")
        assert len(listed.stdout.splitlines()) == 30
        assert reader.status_counts() == {"open": 30}
        replayed = pipeline.command("replay", "--all")
        assert replayed.returncode == 0, replayed.stderr
        wait_for("recovery", lambda: reader.status_counts() == {"recovered": 30})
        assert reader.totals().orders == 30
        [_, job] = reader.jobs()[::-1]
    assert (job.kind, job.state, job.done, job.failed, job.total) == ("replay", "done", 30, 0, 30)


def test_a_replay_that_fails_again_is_a_dead_letter_of_its_own_linked_to_the_first(pipeline):
    pipeline.command("produce", "--count", "1", "--invalid-share", "1")
    with pipeline.reader() as reader:
        wait_for("the dead letter", lambda: reader.totals().dead_letters == 1)
        [first] = reader.dead_letters(NONE)
        pipeline.command("replay", "--id", str(first.id))
        wait_for("the second one", lambda: reader.status_counts() == {"dead_again": 1, "open": 1})
        second = reader.dead_letters(NONE)[0]
        detail = reader.dead_letter(second.id)
        assert detail.replay_of == first.id
        assert [life.id for life in reader.lives(second.id)] == [first.id, second.id]
        # The origin is where the order first stood, not where its replay went.
        assert second.source == first.source
        assert detail.value == reader.dead_letter(first.id).value
        assert detail.row.replays == 1


def test_the_loop_breaker_refuses_a_fourth_replay_unless_forced(pipeline):
    pipeline.command("produce", "--count", "1", "--invalid-share", "1")
    with pipeline.reader() as reader:
        for lives in (1, 2, 3):
            wait_for(f"life {lives}", lambda lives=lives: reader.totals().dead_letters == lives)
            newest = reader.newest_dead_letter()
            assert pipeline.command("replay", "--id", str(newest)).returncode == 0
        wait_for("life 4", lambda: reader.totals().dead_letters == 4)
        newest = reader.newest_dead_letter()
        refused = pipeline.command("replay", "--id", str(newest))
        assert refused.returncode == 1
        assert "replayed 3 times" in refused.stderr
        assert pipeline.command("replay", "--id", str(newest), "--force").returncode == 0


def test_a_broken_rules_file_keeps_the_old_rules_and_is_shown_until_it_is_mended(pipeline_with, tmp_path):
    rules = tmp_path / "rules.toml"
    pipeline = pipeline_with(rules_file=str(rules))
    text = (pipeline.settings.schemas_dir.parent / "rules.toml").read_text()
    rules.write_text(text)
    pipeline.up()
    rules.write_text("price_min = what?")
    wait_for("the error", lambda: pipeline.role("processor").figures["rules_error"], 2)
    pipeline.command("produce", "--count", "10", "--invalid-share", "0.5")
    wait_for("10 settled records", lambda: pipeline.settled() == 10)
    with pipeline.reader() as reader:
        assert reader.totals().orders == 5
    rules.write_text(text)
    wait_for("no error", lambda: not pipeline.role("processor").figures["rules_error"], 2)


def test_a_team_s_own_handler_decides(pipeline_with, tmp_path):
    (tmp_path / "our_handler.py").write_text(
        "from pipeline.errors import PermanentError, TransientError\n"
        "def handle(order, context):\n"
        "    number = int(order.order_id[-2:])\n"
        "    if number == 1: raise PermanentError('the warehouse does not know it')\n"
        "    if number == 2 and context.attempt < 3: raise TransientError('the warehouse is closed')\n"
        "    if number == 3: raise ZeroDivisionError('a defect')\n"
    )
    pipeline = pipeline_with(handler="our_handler:handle", retry_base_ms=50, retry_cap_ms=50)
    pipeline.environment["PYTHONPATH"] = str(tmp_path)
    pipeline.up()
    pipeline.command("produce", "--count", "10")
    wait_for("10 settled records", lambda: pipeline.settled() == 10)
    with pipeline.reader() as reader:
        letters = {letter.order_id[-2:]: letter for letter in reader.dead_letters(NONE)}
        retried = reader.orders(OrderFilter(retried_only=True))
        assert letters["01"].reason == "the warehouse does not know it"
        assert letters["03"].error_class == "ZeroDivisionError"
        assert "our_handler.py" in reader.dead_letter(letters["03"].id).stacktrace
        assert len(letters) == 2
        assert retried.column("attempts") == [3]


def test_cancelling_a_produce_job_ends_it_early(pipeline):
    queued = pipeline.command("produce", "--count", "100000", "--rate", "50", "--no-wait")
    assert queued.returncode == 0
    with pipeline.reader() as reader:
        wait_for("some orders", lambda: reader.totals().orders > 0)
        with open_buffer(pipeline.settings.database_file) as buffer:
            requests.cancel(pipeline.settings, buffer, lambda: 0, 1)
        wait_for("the end", lambda: reader.job(1).state == "cancelled")
        assert 0 < reader.job(1).done < 5000


def test_metrics_and_status_agree(pipeline_with, free_port):
    pipeline = pipeline_with(metrics_port=free_port)
    pipeline.up()
    pipeline.command("produce", "--count", "40", "--invalid-share", "0.25")
    wait_for("40 settled records", lambda: pipeline.settled() == 40)
    status = pipeline.status()
    assert status["totals"]["orders"] == 30
    assert status["totals"]["dead_letters"] == 10
    assert status["dead_letters"] == {"open": 10}
    assert re.fullmatch(r"127\.0\.0\.1:\d+", status["bootstrap_servers"])
    assert status["buffer"]["bytes"] > 0
    with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics", timeout=10) as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
    assert float(lines["orderpulse_orders_total"]) == 30
    assert float(lines["orderpulse_revenue_cents_total"]) == status["totals"]["revenue_cents"]
    assert float(lines['orderpulse_dead_letters_by_status{status="open"}']) == 10
    assert float(lines['orderpulse_role_up{instance="0",role="processor"}']) == 1
    assert float(lines['orderpulse_lag_records{instance="0",role="processor"}']) == 0


def test_status_answers_even_without_a_buffer(pipeline_with):
    idle = pipeline_with()
    report = idle.status()
    assert report["running"] is False
    assert report["totals"] is None
    assert report["buffer"]["error"]


def test_a_second_pipeline_on_the_same_folder_is_refused_in_one_line(pipeline):
    second = pipeline.command("up")
    assert second.returncode == 1
    assert len(second.stderr.strip().splitlines()) == 1
    assert "runs on" in second.stderr


def test_nothing_of_it_stays_when_up_is_killed(pipeline):
    pids = [role.pid for role in pipeline.running()]
    pipeline.kill("up")
    wait_for("the end of every role", lambda: not any(alive(pid) for pid in pids), 10)
