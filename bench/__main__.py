"""`make bench`: measures on Apache Kafka, prints a table and writes it to bench/RESULTS.md."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import confluent_kafka

from bench.measures import ALONE, MEASURES, Line, Setup, Size
from scripts.local.cluster import KafkaCluster

RESULTS = Path("bench/RESULTS.md")
QUICK = Size(orders=500_000, many=2_000_000, rows=3_000_000)
FULL = Size(orders=2_000_000, many=10_000_000, rows=50_000_000)


def main(arguments: list[str]) -> int:
    """0 when everything was measured, whether targets are met or not."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--orders", type=int, default=0, help=f"orders to catch up with ({QUICK.orders:,})")
    parser.add_argument(
        "--full", action="store_true", help=f"{FULL.orders:,} orders, and a buffer of {FULL.rows:,} rows"
    )
    parser.add_argument("--letters", type=int, default=QUICK.letters, help="dead letters in a buffer (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES), help="some of the measurements")
    asked = parser.parse_args(arguments)
    size = FULL if asked.full else QUICK
    size = replace(size, orders=asked.orders or size.orders, letters=asked.letters)
    # Whatever a rate is compared with is measured in the same run.
    needed = set(asked.only) if ALONE.issuperset(asked.only) else {"catch-up", *asked.only}
    wanted = [name for name in MEASURES if name in needed]
    lines: list[Line] = []
    with (
        tempfile.TemporaryDirectory(prefix="orderpulse-bench-") as folder,
        KafkaCluster(Path(folder) / "kafka") as kafka,
    ):
        setup = Setup(kafka.bootstrap_servers, Path(folder), size)
        for name in wanted:
            for line in MEASURES[name](setup):
                lines.append(line)
                print(_row(line), flush=True)
            RESULTS.write_text(_report(size.orders, lines))
    return 0


def _row(line: Line) -> str:
    met = {None: "", True: "met", False: "**not met**"}[line.met]
    return f"| {line.what} | {line.measured} | {line.target} | {met} |"


def _report(orders: int, lines: list[Line]) -> str:
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return "\n".join(
        [
            "# Results of the last `make bench`",
            "",
            f"{time.strftime('%Y-%m-%d')}, {orders:,} orders in 4 partitions. {_processor()}, {os.cpu_count()} cores, "
            f"load at the end {load}. Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
            f"librdkafka {confluent_kafka.libversion()[0]}, Linux {platform.release()}.",
            "",
            "| what | measured | target | |",
            "|---|---|---|---|",
            *map(_row, lines),
            "",
        ]
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
