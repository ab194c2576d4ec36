"""When most of a topic fails, reading of it stops by itself: on Apache Kafka, with several processors and restarts."""

from __future__ import annotations

from collections.abc import Callable

from scripts.waiting import wait_for
from tests.support.kafkas import PARTITIONS, on_clusters
from tests.support.running_pipeline import RunningPipeline

NOISE = b"not an order"


def send_noise(pipeline: RunningPipeline, count: int) -> None:
    pipeline.send(*((b"%d" % number, NOISE, ()) for number in range(count)))


def lag(pipeline: RunningPipeline) -> int:
    """Of all partitions; -1 until each of them has an owner that reports it."""
    owned = [each.figures for each in pipeline.running() if each.role == "processor"]
    partitions = {name: each for figures in owned for name, each in figures["partitions"].items()}
    return sum(each["lag"] for each in partitions.values()) if len(partitions) == PARTITIONS else -1


def stopped(pipeline: RunningPipeline) -> bool:
    """Whether the buffer says so and every processor has heard it."""
    with pipeline.reader() as reader:
        in_buffer = reader.stopped()
    processors = [each for each in pipeline.running() if each.role == "processor"]
    return bool(in_buffer) and len(processors) == 2 and all(each.figures["stopped"] for each in processors)


@on_clusters("quick_returns")
def test_reading_stops_for_all_processors_and_goes_on_when_somebody_says_so(
    pipeline_with: Callable[..., RunningPipeline],
):
    pipeline = pipeline_with(processors=2, brake_share=0.5, brake_min_records=50, alert_hold_s=0)
    up = pipeline.up()
    wait_for("all partitions", lambda: lag(pipeline) == 0)
    # As many as it takes: no processor reads more before both have stopped.
    send_noise(pipeline, 50)
    wait_for("the brake", lambda: stopped(pipeline))
    rule = f"brake of {pipeline.settings.orders_topic}"
    wait_for("an alert", lambda: rule in pipeline.firing())
    assert "100.0% of 50 records failed" in pipeline.command("status").stdout
    [told] = pipeline.status()["stopped"]
    assert (told["topic"], told["failed"]) == (pipeline.settings.orders_topic, 50)

    # Nothing that comes now is read, by whomever, after a restart either.
    send_noise(pipeline, 200)
    wait_for("the lag of those", lambda: lag(pipeline) == 200)
    up.terminate()
    assert up.wait(30) == 0
    pipeline.up()
    wait_for("both to obey", lambda: stopped(pipeline) and lag(pipeline) == 200)
    wait_for("the dead letters of before", lambda: pipeline.settled() == 50)

    resumed = pipeline.command("resume")
    assert (resumed.returncode, resumed.stderr) == (0, f"{pipeline.settings.orders_topic}: reading goes on\n")
    # All of them fail again, so it stops again. How many are read by then depends on how they come.
    wait_for("the brake again", lambda: stopped(pipeline))

    def all_after_another_stop_or_two() -> bool:
        if stopped(pipeline):
            assert pipeline.command("resume").returncode == 0
        return pipeline.settled() == 250

    wait_for("all", all_after_another_stop_or_two)
