"""Puts each role together from its parts, at the edge where the real clock and the signals are.

A role's process imports its own parts only, inside its function: a role that died is back the sooner.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline.clock import StopSignal, steady_clock_ms, wall_clock_ms
from pipeline.errors import OrderPulseError, SettingsError
from pipeline.kafka import DemoBroker, check_kafka_config
from pipeline.running.imported import refuse_imported
from pipeline.running.instances import first_free_instance, given_instance
from pipeline.running.statusboard import StatusWriter
from pipeline.settings import Settings, check_data_dir, variable_of

if TYPE_CHECKING:
    from pipeline.jobs.topic_examiner import TopicExaminer
    from pipeline.orders.handlers import Handler
    from pipeline.orders.order_reader import OrderReader
    from pipeline.orders.serde import OrderCodec
    from pipeline.schema_source import SchemaRegistry

log = logging.getLogger(__name__)

SWITCH_S = 0.0005
MALLOPT_ARENA_MAX = -8
PR_SET_NAME = 15
PARTS = {
    "broker": (),
    "processor": (
        "pipeline.orders.file_watch",
        "pipeline.orders.judge",
        "pipeline.orders.rules_file",
        "pipeline.processing.mapping_in_force",
        "pipeline.processing.processor",
    ),
    "collector": (
        "pipeline.dead_letters.collector",
        "pipeline.dead_letters.topics_file",
        "pipeline.orders.file_watch",
    ),
    "worker": ("pipeline.jobs.worker", "pipeline.jobs.topic_examiner", "pipeline.watching.metrics"),
}
"""What each role imports when it begins, with what that brings; `up` imports it before it forks one."""


def run_up(settings: Settings, options: argparse.Namespace, run: Callable[[Sequence[str]], int]) -> int:
    """Runs all roles, each by its command line, until what ends a role ends this."""
    from pipeline.running.supervisor import supervise

    refuse_imported(settings.data_dir, "up does not start")
    check_kafka_config(settings)
    stop = _stop_signal(options.end_with_stdin)
    _log_to_stderr(settings, "up")
    supervise(settings, run, import_parts, wall_clock_ms, steady_clock_ms, stop)
    return 0


def run_role(settings: Settings, options: argparse.Namespace) -> int:
    """Runs a role until SIGTERM, SIGINT or, with `--end-with-stdin`, the end of standard input."""
    refuse_imported(settings.data_dir, f"{options.role} does not start")
    check_kafka_config(settings)
    stop = _stop_signal(options.end_with_stdin)
    if options.instance is None:
        with first_free_instance(settings.data_dir, options.role) as instance:
            _log_to_stderr(settings, f"{options.role}-{instance}")
            _run(settings, options.role, instance, stop)
    else:
        _log_to_stderr(settings, f"{options.role}-{options.instance}")
        with given_instance(settings.data_dir, options.role, options.instance, stop) as held:
            if held:
                _run(settings, options.role, options.instance, stop)
    return 0


def import_parts(role: str) -> None:
    """Imports what a role needs."""
    for name in PARTS[role]:
        importlib.import_module(name)


def check_roles(settings: Settings) -> None:
    """Whether each role that `up` starts could begin with these settings; connects nowhere and makes nothing.

    Raises SettingsError, RulesFileError or MappingFileError.
    """
    from pipeline.orders.mapping.mapping_file import MappingFile
    from pipeline.orders.rules_file import load_rules
    from pipeline.watching.alerts import check_addresses
    from pipeline.watching.metrics import check_metrics_address

    check_data_dir(settings)
    check_kafka_config(settings)
    _codec(settings)
    if "processor" in settings.roles:
        _handler(settings)
        load_rules(settings.rules_file)
        MappingFile(settings)
    if "worker" in settings.roles:
        check_addresses(settings)
        check_metrics_address(settings, wall_clock_ms())


def _run(settings: Settings, role: str, instance: int, stop: StopSignal) -> None:
    status = StatusWriter(settings.data_dir, role, instance, wall_clock_ms)
    gc.freeze()  # what is imported is never garbage
    _share_one_heap()
    _show_name(f"{role}-{instance}")
    try:
        _ROLES[role](settings, instance, stop, status)
    except Exception as error:
        status.report("failing", str(error))
        raise
    status.report("stopped")
    status.close()


def _broker(settings: Settings, instance: int, stop: StopSignal, status: StatusWriter) -> None:
    broker = DemoBroker(settings.data_dir)
    log.info("demo cluster at %s", broker.cluster.bootstrap_servers)
    figures = {"bootstrap_servers": broker.cluster.bootstrap_servers, "cluster_id": broker.cluster.demo_id}
    try:
        while not stop.is_set():
            status.report("running", "", figures)
            stop.wait(1.0)
    finally:
        broker.close()


def _processor(settings: Settings, instance: int, stop: StopSignal, status: StatusWriter) -> None:
    from pipeline.orders.judge import Judge
    from pipeline.orders.mapping.mapping_file import MappingFile
    from pipeline.orders.rules_file import RulesFile
    from pipeline.processing.mapping_in_force import MappingInForce
    from pipeline.processing.processor import run_processor

    _share_the_interpreter()
    handler = _handler(settings)
    with RulesFile(settings.rules_file) as rules_file, MappingFile(settings) as mapping_file:
        reader = make_order_reader(settings)
        judge = Judge(reader, rules_file, handler, wall_clock_ms)
        mapping = MappingInForce(mapping_file, reader, wall_clock_ms)
        run_processor(settings, judge, rules_file, mapping, instance, wall_clock_ms, steady_clock_ms, stop, status)


def _collector(settings: Settings, instance: int, stop: StopSignal, status: StatusWriter) -> None:
    from pipeline.dead_letters.collector import run_collector
    from pipeline.dead_letters.topics_file import DeadLetterTopicsFile
    from pipeline.orders.mapping.mapping_file import MappingFile

    _share_the_interpreter()
    with DeadLetterTopicsFile(settings) as topics_file, MappingFile(settings) as mapping_file:
        reader = make_order_reader(settings)
        run_collector(settings, reader, topics_file, mapping_file, wall_clock_ms, steady_clock_ms, stop, status)


def _worker(settings: Settings, instance: int, stop: StopSignal, status: StatusWriter) -> None:
    from pipeline.jobs.worker import run_worker
    from pipeline.watching.metrics import serve_metrics

    serve_metrics(settings, wall_clock_ms)
    run_worker(settings, _codec(settings), topic_examiner(settings), wall_clock_ms, steady_clock_ms, stop, status)


def _handler(settings: Settings) -> Handler:
    from pipeline.orders.handlers import load_handler

    try:
        return load_handler(settings.handler, settings.demo)
    except OrderPulseError:
        raise
    except Exception as error:  # a module of somebody else's
        raise SettingsError(
            f"{variable_of('handler')}: the module of {settings.handler} cannot be imported: it raises "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


def topic_examiner(settings: Settings) -> TopicExaminer:
    """What looks at topics and proposes how their records become orders."""
    from pipeline.jobs.topic_examiner import TopicExaminer

    return TopicExaminer(settings, _codec(settings), wall_clock_ms)


def _codec(settings: Settings) -> OrderCodec:
    from pipeline.orders.avro_schemas import SchemaStore
    from pipeline.orders.serde import OrderCodec

    return OrderCodec(SchemaStore(settings.schemas_dir), registry_of(settings))


def make_order_reader(settings: Settings) -> OrderReader:
    """What reads orders with these settings."""
    from pipeline.orders.order_reader import OrderReader

    return OrderReader(_codec(settings))


def registry_of(settings: Settings) -> SchemaRegistry | None:
    """The schema registry of the settings; None where they name none."""
    if not settings.schema_registry_url:
        return None
    from pipeline.kafka.schema_registry import RegistryClient

    return RegistryClient(settings, wall_clock_ms)


_ROLES: dict[str, Callable[[Settings, int, StopSignal, StatusWriter], None]] = {
    "broker": _broker,
    "processor": _processor,
    "collector": _collector,
    "worker": _worker,
}


def _share_the_interpreter() -> None:
    # A batch is written in a thread while the next is decoded. By Python's default of 5 ms each statement would wait
    # so long for the interpreter's lock; with this the two share it evenly.
    sys.setswitchinterval(SWITCH_S)


def _share_one_heap() -> None:
    """Has all threads take memory from one heap, where the C library is glibc: see mallopt(3), M_ARENA_MAX."""
    # By default each thread has its own, and what one has freed another cannot use: 20 MB in a processor.
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(MALLOPT_ARENA_MAX, 1)


def _show_name(name: str) -> None:
    """Has `ps -e` and `top` show a process by its role, where the system is Linux: see prctl(2), PR_SET_NAME."""
    # `up` and the roles that it forked have one command line.
    library = ctypes.CDLL(None)
    if hasattr(library, "prctl"):
        library.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def _stop_signal(end_with_stdin: bool) -> StopSignal:
    stop = StopSignal()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    if end_with_stdin:
        threading.Thread(target=_wait_for_end_of_stdin, args=(stop,), name="stdin-watch", daemon=True).start()
    return stop


def _wait_for_end_of_stdin(stop: StopSignal) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass  # nobody talks to us; only the end counts
    stop.set()


def _log_to_stderr(settings: Settings, name: str) -> None:
    form = f"%(asctime)s {name} %(levelname)s %(message)s"
    # A role that was forked has its supervisor's name in its log so far.
    logging.basicConfig(stream=sys.stderr, level=settings.log_level, format=form, force=True)
