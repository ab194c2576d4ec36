"""What a consumer holds while a session lasts: opened in this order, closed in the reverse one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pipeline.buffer import Reader, open_buffer
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.buffer.contract import Role
from pipeline.clock import Clock, StopSignal
from pipeline.consuming.holds import TopicHolds
from pipeline.consuming.topic_guard import TopicGuard
from pipeline.kafka import ClusterView, IdentityWatch, find_cluster
from pipeline.settings import Settings


class _Client(Protocol):
    def close(self) -> object: ...


_KeptClient = TypeVar("_KeptClient", bound=_Client)


@dataclass(frozen=True, slots=True)
class ConsumerSession:
    """One session: the buffer, by its writer, and the cluster that topics are read from. They join it as it goes on.

    `guard` knows which generation of each topic that is, `holds` which are not to be read.
    """

    writer: BatchWriter
    view: ClusterView
    guard: TopicGuard
    holds: TopicHolds
    watch: IdentityWatch
    _clients: ExitStack

    def keep(self, client: _KeptClient) -> _KeptClient:
        """Closes a reader or sender at the session's end, after the last batch is written."""
        return self._clients.enter_context(closing(client))

    def check(self) -> None:
        """Raises TopicChangedError or BufferUnavailableError when topic or buffer is not the one that was opened.

        TopicHeldError when one is not to be read any more, or from elsewhere.
        """
        self.watch.check()
        self.writer.check_file()
        self.holds.check()


@contextmanager
def consumer_session(
    settings: Settings,
    role: Role,
    max_records: int,
    clock: Clock,
    steady_clock: Clock,
    stop: StopSignal,
) -> Iterator[ConsumerSession]:
    """A session that writes batches of up to `max_records` records.

    Left without an error it waits for the last batch, and raises what writing that raised. Raises
    BufferUnavailableError, BufferCorruptError and KafkaUnavailableError.
    """
    # Clients leave last: once a reader is gone, another one goes on from where the buffer stands.
    with (
        ExitStack() as clients,
        closing(_writer(settings, max_records, steady_clock)) as writer,
    ):
        view = ClusterView(settings, find_cluster(settings), stop.wait)
        with (
            closing(IdentityWatch(settings, view, {})) as watch,
            closing(TopicGuard(settings, role, writer, view, watch, stop.wait, clock)) as guard,
            Reader(settings.database_file) as reader,
        ):
            holds = TopicHolds(role, writer, reader, clock)
            yield ConsumerSession(writer, view, guard, holds, watch, clients)
            writer.finish()


def _writer(settings: Settings, max_records: int, steady_clock: Clock) -> BatchWriter:
    return BatchWriter(open_buffer(settings.database_file, steady_clock=steady_clock), max_records, steady_clock)
