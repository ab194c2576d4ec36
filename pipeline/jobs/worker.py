"""The worker: runs what people asked for, watches the dead-letter rate, and keeps the buffer tidy."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.buffer import Buffer, Job, open_buffer
from pipeline.clock import Clock, StopSignal, is_due
from pipeline.errors import BufferUnavailableError, MappingFileError, SchemaRefusedError
from pipeline.jobs.lookups import Lookups
from pipeline.jobs.pace import Pace
from pipeline.jobs.producer import ProduceRun
from pipeline.jobs.replay import ReplayRun
from pipeline.jobs.reread import Rereads
from pipeline.jobs.runs import JobRun
from pipeline.jobs.sending import WindowSender
from pipeline.jobs.topic_examiner import TopicExaminer
from pipeline.kafka import Cluster, ClusterView, IdentityWatch, Sender, find_cluster
from pipeline.orders.sample_requests import why_no_samples
from pipeline.orders.serde import OrderCodec
from pipeline.running.sessions import keep_going
from pipeline.running.statusboard import StatusWriter
from pipeline.settings import Settings
from pipeline.watching.alerts import AlertWatch
from pipeline.watching.text_indexing import TextIndexing
from pipeline.watching.upkeep import PAUSE_S, Upkeep

LOOK_FOR_JOBS_EVERY_S = 0.2
STEP_S = 0.05
UPKEEP_EVERY_MS = 1000


def run_worker(
    settings: Settings,
    codec: OrderCodec,
    examiner: TopicExaminer,
    clock: Clock,
    steady_clock: Clock,
    stop: StopSignal,
    status: StatusWriter,
) -> None:
    """Runs jobs until asked to stop. `examiner` has a codec of its own; `steady_clock` is one that nobody sets."""

    def session() -> None:
        # FULL: what the ledger says was sent, or not yet, must survive a power cut.
        with _only_worker(settings), open_buffer(settings.database_file, "FULL") as buffer:
            worker = _Worker(settings, codec, examiner, buffer, clock, steady_clock, stop, status)
            try:
                worker.run()
            finally:
                worker.close()

    keep_going(session, status, clock, stop)


@contextmanager
def _only_worker(settings: Settings) -> Iterator[None]:
    """Two workers would each send what the other has under way."""
    with (settings.data_dir / "worker.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BufferUnavailableError(f"another worker works on {settings.data_dir}") from error
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class _Worker:
    """One session. Connects to Kafka when there is a job to do; the upkeep needs none."""

    def __init__(
        self,
        settings: Settings,
        codec: OrderCodec,
        examiner: TopicExaminer,
        buffer: Buffer,
        clock: Clock,
        steady_clock: Clock,
        stop: StopSignal,
        status: StatusWriter,
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._buffer = buffer
        self._clock = clock
        self._steady_clock = steady_clock
        self._stop = stop
        self._status = status
        self._alerts = AlertWatch(settings, buffer.watch, buffer.rereads, buffer.groups)
        self._upkeep_of_buffer = Upkeep(settings, buffer, stop.wait)
        self._texts = TextIndexing(buffer, stop.wait, steady_clock)
        self._rereads = Rereads(settings, buffer, clock)
        self._lookups = Lookups(buffer, examiner, clock)
        self._upkeep_at_ms = 0

    def run(self) -> None:
        """Takes jobs in the order in which they were asked for."""
        while not self._stop.is_set():
            job = self._buffer.jobs.next_job(self._clock())
            if job is None:
                self._lookups.step()
                self._upkeep(None, self._rereads.trouble)
                self._stop.wait(
                    PAUSE_S if self._rereads.step() or self._buffer.groups.move() else LOOK_FOR_JOBS_EVERY_S
                )
            else:
                self._run(job)

    def close(self) -> None:
        """Ends what runs beside the jobs."""
        self._alerts.close()

    def _run(self, job: Job) -> None:
        if job.kind == "produce" and (why_not := self._why_no_samples()):
            self._buffer.jobs.finish(job.id, "failed", self._clock(), why_not)
            return
        cluster = find_cluster(self._settings)
        view = ClusterView(self._settings, cluster, self._stop.wait)
        watch = IdentityWatch(self._settings, view, view.identities(self._topics_to_watch(job, view)))
        sender = Sender(self._settings, cluster)
        # While the topics are looked up and the processor is waited for.
        sender.connect()
        try:
            run = self._job_run(job, cluster, view, sender)
            while not run.step(STEP_S):
                watch.check()
                self._rereads.step()
                self._buffer.groups.move()
                self._lookups.step()
                self._upkeep(job, run.detail or sender.trouble)
                if self._stop.is_set():
                    return  # an open window is looked for at the next start
                if run.idle:
                    self._stop.wait(STEP_S)
        except SchemaRefusedError as error:
            # Waiting would hold up every job behind it.
            self._buffer.jobs.finish(job.id, "failed", self._clock(), str(error))
        finally:
            watch.close()
            sender.close()

    def _why_no_samples(self) -> str:
        from pipeline.orders.mapping.mapping_file import load_mappings  # takes 20 ms, and no other job needs it

        try:
            return why_no_samples(self._settings, load_mappings(self._settings))
        except MappingFileError as error:
            return str(error)

    def _topics_to_watch(self, job: Job, view: ClusterView) -> list[str]:
        if job.kind == "produce" and self._settings.own_orders_topic:
            view.ensure_topic(self._settings.own_orders_topic)
        # Dead letters may be somebody else's: then there need be no orders topic.
        partitions = view.partitions()
        return [topic for topic in self._settings.orders_topics.names if topic in partitions]

    def _job_run(self, job: Job, cluster: Cluster, view: ClusterView, sender: Sender) -> JobRun:
        window_sender = WindowSender(self._settings, cluster, view, sender)
        pace = Pace(self._settings, self._clock)
        topic, topics = self._settings.own_orders_topic, self._settings.orders_topics.names
        if job.kind == "produce" and topic:
            return ProduceRun(
                job, self._buffer, window_sender, pace, topic, self._codec, self._clock, self._steady_clock
            )
        return ReplayRun(job, self._buffer, window_sender, pace, topics, self._clock, self._steady_clock)

    def _upkeep(self, job: Job | None, detail: str = "") -> None:
        now_ms = self._clock()
        if not is_due(now_ms, self._upkeep_at_ms, UPKEEP_EVERY_MS):
            return
        self._upkeep_at_ms = now_ms
        self._buffer.check_file()
        detail = "; ".join(filter(None, (detail, self._upkeep_of_buffer.detail, self._texts.told())))
        self._status.report("running", detail, {"job": job.id if job else None})
        self._alerts.check(now_ms)
        self._texts.round()
        self._upkeep_of_buffer.round(now_ms)
