"""The long run, with a seed of one's choice: `python -m tests.chaos --faults 300 --seed 1`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.harness import Chaos, surroundings

DISK_MB = 2000


def main(arguments: list[str]) -> int:
    """0 when nothing was lost, doubled or stuck; the assertion that failed ends it otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default="", help="only faults of these kinds, separated by commas (all)")
    parser.add_argument("--rate", type=int, default=2000, help="records a second (2000)")
    asked = parser.parse_args(arguments)
    kinds = [kind.strip() for kind in asked.kinds.split(",") if kind.strip()]
    with (
        tempfile.TemporaryDirectory(prefix="orderpulse-chaos-") as folder,
        surroundings(Path(folder), DISK_MB) as around,
    ):
        chaos = Chaos(around, asked.seed, lambda text: print(text, flush=True))
        result = chaos.run(asked.faults, asked.rate, kinds)
    for kind, count in result.faults.items():
        print(f"{count:5}  {kind}")
    account = result.account
    print(f"{account.records:,} records in {result.took_s:.0f} s, each there once:", end=" ")
    print(f"{account.orders:,} orders, {account.dead_letters:,} dead letters; {result.replays:,} replays sent once")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
