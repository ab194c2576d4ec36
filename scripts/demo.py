"""The reference scenario on the console: 20 orders, of which order 15 fails for good after exactly 3 retries 2 s apart.

Runs the whole pipeline on the demo cluster in a folder of its own and ends it again; exit 0 when every figure agrees.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import Any

from pipeline.buffer import DeadLetterFilter, Reader
from pipeline.clock import wall_clock_ms
from pipeline.commands import status_report
from pipeline.settings import PROJECT_DIR, Settings, load_settings, variable_of
from scripts.waiting import wait_for

ORDERS = 20
SUCCESSFUL = 19


def main() -> int:
    """Plays the scenario and prints what happens."""
    with tempfile.TemporaryDirectory(prefix="orderpulse-demo-") as folder:
        scenario = {"data_dir": folder, "retry_preset": "fixed", "bootstrap_servers": "", "handler": ""}
        environment = os.environ | {variable_of(name): value for name, value in scenario.items()}
        settings = load_settings(**scenario)
        command = [sys.executable, "-m", "pipeline"]
        # The pipe's end tells `up` to end, also when this script is killed.
        with subprocess.Popen(
            [*command, "up", "--end-with-stdin"],
            cwd=PROJECT_DIR,
            env=environment | {"ORDERPULSE_LOG_LEVEL": "WARNING"},
            stdin=subprocess.PIPE,
        ) as up:
            try:
                wait_for("the pipeline", lambda: _running(settings))
                subprocess.run(
                    [*command, "produce", "--scenario", "reference"], cwd=PROJECT_DIR, env=environment, check=True
                )
                return _watch(settings)
            except TimeoutError as error:
                print(f"orderpulse: {error}", file=sys.stderr)
                return 1
            finally:
                up.terminate()
                up.wait()


def _watch(settings: Settings) -> int:
    wait_for("19 orders", lambda: _totals(settings)["orders"] == SUCCESSFUL)
    print(f"19 orders are processed; order 15 waits for its retries ({_parked(settings)} parked)")
    wait_for("the dead letter", lambda: _totals(settings)["dead_letters"] == 1)
    totals = _totals(settings)
    with Reader(settings.database_file) as reader:
        letter = reader.dead_letters(DeadLetterFilter(), limit=1)[0]
    print(f"successful     {totals['orders']}")
    print(f"dead-lettered  {totals['dead_letters']}")
    print(f"revenue        {totals['revenue_cents'] / 100:,.2f}")
    print(f"average price  {totals['average_cents'] / 100:,.2f}")
    order_id, price_cents, attempts = letter.order_id or "", letter.price_cents or 0, letter.attempts or 0
    took_ms = letter.failed_at_ms - (letter.first_failed_at_ms or letter.failed_at_ms)
    print(f"{order_id}: {letter.product}, {price_cents / 100:,.2f}, {letter.reason}")
    print(f"{attempts} attempts, {attempts - 1} of them retries, over {took_ms / 1000:.1f} s")
    right = totals["orders"] == SUCCESSFUL and attempts == 4 and order_id.endswith(f"{15:06d}")
    return 0 if right else 1


def _running(settings: Settings) -> bool:
    report = status_report(settings, wall_clock_ms())
    speaking = {role["role"] for role in report["roles"] if role["state"] == "running"}
    return {"broker", "processor", "collector", "worker"} <= speaking


def _totals(settings: Settings) -> dict[str, Any]:
    totals: dict[str, Any] = status_report(settings, wall_clock_ms())["totals"]
    return totals


def _parked(settings: Settings) -> int:
    return int(status_report(settings, wall_clock_ms())["parked"])


if __name__ == "__main__":
    sys.exit(main())
