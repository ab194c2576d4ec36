"""Puts each role together from its parts, at the edge where the real clock and the signals are."""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

from pipeline.clock import StopSignal, wall_clock_ms
from pipeline.collector import run_collector
from pipeline.handlers import load_handler
from pipeline.judge import Judge
from pipeline.kafka import DemoBroker, check_kafka_config
from pipeline.metrics import serve_metrics
from pipeline.processor import run_processor
from pipeline.rules import RulesFile
from pipeline.serde import OrderCodec, SchemaStore
from pipeline.settings import Settings
from pipeline.statusboard import StatusWriter
from pipeline.supervisor import supervise
from pipeline.worker import run_worker

log = logging.getLogger(__name__)


def run_role(settings: Settings, options: argparse.Namespace) -> int:
    """Runs a role until SIGTERM, SIGINT or, with `--end-with-stdin`, the end of standard input."""
    _log_to_stderr(settings, f"{options.role}-{options.instance}")
    check_kafka_config(settings)
    stop = _stop_signal(options.end_with_stdin)
    if options.role == "up":
        supervise(settings, wall_clock_ms, stop)
        return 0
    status = StatusWriter(settings.data_dir, options.role, options.instance, wall_clock_ms)
    try:
        _ROLES[options.role](settings, options.instance, stop, status)
    except Exception as error:
        status.say("failing", str(error))
        raise
    status.say("stopped")
    status.close()
    return 0


def _broker(settings: Settings, instance: int, stop: StopSignal, status: StatusWriter) -> None:
    broker = DemoBroker(settings.data_dir)
    log.info("demo cluster at %s", broker.cluster.bootstrap_servers)
    figures = {"bootstrap_servers": broker.cluster.bootstrap_servers, "cluster_id": broker.cluster.demo_id}
    try:
        while not stop.is_set():
            status.say("running", "", figures)
            stop.wait(1.0)
    finally:
        broker.close()


def _processor(settings: Settings, instance: int, stop: StopSignal, status: StatusWriter) -> None:
    handler = load_handler(settings.handler)
    codec = OrderCodec(SchemaStore(settings.schemas_dir))
    with RulesFile(settings.rules_file) as rules_file:
        judge = Judge(codec, rules_file, handler, wall_clock_ms)
        run_processor(settings, judge, rules_file, _member_name(settings, instance), wall_clock_ms, stop, status)


def _collector(settings: Settings, instance: int, stop: StopSignal, status: StatusWriter) -> None:
    run_collector(settings, OrderCodec(SchemaStore(settings.schemas_dir)), wall_clock_ms, stop, status)


def _worker(settings: Settings, instance: int, stop: StopSignal, status: StatusWriter) -> None:
    serve_metrics(settings, wall_clock_ms)
    run_worker(settings, OrderCodec(SchemaStore(settings.schemas_dir)), wall_clock_ms, stop, status)


_ROLES: dict[str, Callable[[Settings, int, StopSignal, StatusWriter], None]] = {
    "broker": _broker,
    "processor": _processor,
    "collector": _collector,
    "worker": _worker,
}


def _member_name(settings: Settings, instance: int) -> str:
    """A name that is the same after a restart, so that Kafka gives the same partitions back without a rebalance."""
    folder = hashlib.blake2b(str(settings.data_dir).encode(), digest_size=4).hexdigest()
    return f"{socket.gethostname()}-{folder}-{instance}"


def _stop_signal(end_with_stdin: bool) -> StopSignal:
    stop = StopSignal()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if end_with_stdin:
        threading.Thread(target=_wait_for_end_of_stdin, args=(stop,), name="stdin-watch", daemon=True).start()
    return stop


def _wait_for_end_of_stdin(stop: StopSignal) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass  # nobody talks to us; only the end counts
    stop.set()


def _log_to_stderr(settings: Settings, name: str) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=settings.log_level, format=f"%(asctime)s {name} %(levelname)s %(message)s"
    )
