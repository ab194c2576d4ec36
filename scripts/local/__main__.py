"""Apache Kafka and a schema registry to play with, until Ctrl-C: what `make kafka` runs."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from scripts.local.cluster import KafkaCluster
from scripts.local.process import LocalServiceError
from scripts.local.registry import ApicurioRegistry


def main(arguments: list[str]) -> int:
    """0 after Ctrl-C or SIGTERM, 1 with one line when something could not be started or ended by itself."""
    parser = argparse.ArgumentParser(prog="python -m scripts.local", description=__doc__)
    parser.add_argument("--brokers", type=int, default=1, help="how many brokers (1)")
    asked = parser.parse_args(arguments)
    # Ctrl-C too: whoever is started in the background begins with that ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        _run(asked.brokers)
    except KeyboardInterrupt:
        return 0
    except LocalServiceError as error:
        print(f"orderpulse: {error}", file=sys.stderr)
        return 1
    return 0


def _run(brokers: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="orderpulse-kafka-") as folder,
        KafkaCluster(Path(folder), brokers) as kafka,
        ApicurioRegistry(Path(folder)) as registry,
    ):
        print(f"export ORDERPULSE_BOOTSTRAP_SERVERS={kafka.bootstrap_servers}")
        print(f"export ORDERPULSE_SCHEMA_REGISTRY_URL={registry.url}")
        print(f"Its logs are in {folder}. Ctrl-C ends it, and its data with it.", flush=True)
        pause = threading.Event()
        while registry.alive and not kafka.ended():
            pause.wait(0.5)
        raise LocalServiceError(f"it has ended by itself: {', '.join(map(str, kafka.ended())) or 'the registry'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
