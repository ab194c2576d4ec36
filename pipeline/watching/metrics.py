"""Prometheus metrics of the whole pipeline, served by the worker: read when somebody asks."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.buffer import Reader
from pipeline.clock import Clock
from pipeline.errors import BufferCorruptError, BufferUnavailableError, SettingsError
from pipeline.running.statusboard import read_roles
from pipeline.settings import Settings, variable_of
from pipeline.version import VERSION

FIGURES = {
    "lag": ("orderpulse_lag_records", "Records that are in Kafka and not read yet."),
    "rate_per_s": ("orderpulse_rate_records_per_second", "Records read a second, over the last five."),
    "parked": ("orderpulse_parked_records", "Records that wait for a retry, or behind one."),
    "outbox": ("orderpulse_outbox_records", "Failed records on their way to the dead-letter topic."),
}


def serve_metrics(settings: Settings, clock: Clock) -> None:
    """Serves the metrics in a thread of their own, when a port is set. Raises SettingsError when it is taken."""
    if not settings.metrics_port:
        return
    registry = CollectorRegistry()
    registry.register(PipelineMetrics(settings, clock))
    try:
        start_http_server(settings.metrics_port, settings.metrics_address, registry)
    except OSError as error:
        raise _not_served(settings, error) from error


def check_metrics_address(settings: Settings, now_ms: int) -> None:
    """Raises SettingsError where no worker could serve the metrics; a worker that runs may do so already."""
    if not settings.metrics_port:
        return
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            settings.metrics_address, settings.metrics_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        workers = [role for role in read_roles(settings.data_dir) if role.role == "worker" and not role.silent(now_ms)]
        if error.errno != errno.EADDRINUSE or not workers:
            raise _not_served(settings, error) from error


def _not_served(settings: Settings, error: OSError) -> SettingsError:
    names = f"{variable_of('metrics_address')} and {variable_of('metrics_port')}"
    return SettingsError(
        f"metrics cannot be served on {settings.metrics_address}:{settings.metrics_port} ({error.strerror}); set "
        f"{names} to an address of this machine and a port that is free"
    )


class PipelineMetrics(Collector):
    """All figures at the moment of asking."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._reader = Reader(settings.database_file)

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is shows when it is asked for, and the buffer may not be there yet."""
        return []

    def collect(self) -> Iterable[Metric]:
        """The families, of the roles first, then those that need the buffer."""
        yield InfoMetricFamily("orderpulse_build", "The version of OrderPulse.", {"version": VERSION})
        yield from self._roles()
        readable = GaugeMetricFamily("orderpulse_buffer_readable", "1 when the buffer can be read.")
        try:
            families = list(self._buffer())
        except (BufferUnavailableError, BufferCorruptError):
            families = []
        readable.add_metric([], float(bool(families)))
        yield readable
        yield from families

    def _roles(self) -> Iterable[Metric]:
        now_ms = self._clock()
        up = GaugeMetricFamily("orderpulse_role_up", "1 when the role runs and is heard.", labels=["role", "instance"])
        figures = {
            figure: GaugeMetricFamily(name, text, labels=["role", "instance"])
            for figure, (name, text) in FIGURES.items()
        }
        for role in read_roles(self._settings.data_dir):
            labels = [role.role, str(role.instance)]
            heard = role.state == "running" and not role.silent(now_ms)
            up.add_metric(labels, float(heard))
            for figure, family in figures.items():
                if heard and figure in role.figures:
                    family.add_metric(labels, float(role.figures[figure]))
        yield up
        yield from figures.values()

    def _buffer(self) -> Iterable[Metric]:
        totals = self._reader.totals()
        yield CounterMetricFamily("orderpulse_orders", "Orders accepted.", value=totals.orders)
        yield CounterMetricFamily(
            "orderpulse_revenue_cents", "Sum of their prices in cents.", value=totals.revenue_cents
        )
        yield CounterMetricFamily("orderpulse_dead_letters", "Dead letters collected.", value=totals.dead_letters)
        by_status = GaugeMetricFamily("orderpulse_dead_letters_by_status", "Dead letters by status.", labels=["status"])
        for status, count in self._reader.status_counts().items():
            by_status.add_metric([status], count)
        yield by_status
        lost = CounterMetricFamily(
            "orderpulse_lost_offsets", "Offsets that Kafka removed before they were read.", labels=["role", "topic"]
        )
        for role, topic, offsets, _, _ in self._reader.lost_offsets().rows:
            lost.add_metric([role, topic], offsets)
        yield lost
        passed_over = CounterMetricFamily(
            "orderpulse_passed_over", "Records that are no orders and were passed over.", labels=["topic"]
        )
        for topic, records in self._reader.passed_over().rows:
            passed_over.add_metric([topic], records)
        yield passed_over
        stopped = GaugeMetricFamily(
            "orderpulse_reading_stopped", "1 for a topic that the brake has stopped, or that is held.", labels=["topic"]
        )
        topics = {each.topic for each in self._reader.stopped()} | {each.topic for each in self._reader.held()}
        for topic in sorted(topics):
            stopped.add_metric([topic], 1.0)
        yield stopped
        yield GaugeMetricFamily("orderpulse_buffer_bytes", "Size of the buffer file.", value=self._reader.file_bytes())
