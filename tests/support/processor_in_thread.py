"""A processor that runs in a thread of the test."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Self

from pipeline.clock import StopSignal, steady_clock_ms, wall_clock_ms
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.handlers import load_handler
from pipeline.orders.judge import Judge
from pipeline.orders.mapping.mapping_file import MappingFile
from pipeline.orders.order_reader import OrderReader
from pipeline.orders.rules_file import RulesFile
from pipeline.orders.serde import OrderCodec
from pipeline.processing.mapping_in_force import MappingInForce
from pipeline.processing.processor import run_processor
from pipeline.running.statusboard import RoleStatus, StatusWriter, read_roles
from pipeline.settings import Settings


class ProcessorInThread:
    """The processor of an instance, until the block is left."""

    def __init__(self, settings: Settings, instance: int = 0) -> None:
        self._settings = settings
        self._instance = instance
        self._status = StatusWriter(settings.data_dir, "processor", instance, wall_clock_ms)
        self._status.report("starting")
        self._stop = StopSignal()
        self._thread = threading.Thread(target=self._run, name=f"processor-{instance}")

    def _run(self) -> None:
        settings = self._settings
        reader = OrderReader(OrderCodec(SchemaStore(settings.schemas_dir)))
        with RulesFile(settings.rules_file) as rules_file, MappingFile(settings) as mapping_file:
            judge = Judge(reader, rules_file, load_handler(settings.handler, settings.demo), wall_clock_ms)
            run_processor(
                settings,
                judge,
                rules_file,
                MappingInForce(mapping_file, reader, wall_clock_ms),
                self._instance,
                wall_clock_ms,
                steady_clock_ms,
                self._stop,
                self._status,
            )
        self._status.report("stopped")

    @property
    def status(self) -> RoleStatus:
        """Its last word."""
        return next(
            role
            for role in read_roles(self._settings.data_dir)
            if (role.role, role.instance) == ("processor", self._instance)
        )

    @property
    def topics(self) -> dict[str, Any]:
        """The topics that it says it reads, with its figures of each."""
        found: dict[str, Any] = self.status.figures.get("topics", {})
        return found

    @property
    def partitions(self) -> set[str]:
        """The partitions that it says it has, as `topic[partition]`."""
        return set(self.status.figures.get("partitions", {}))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._status.close()
