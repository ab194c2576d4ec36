"""A session ends in the right order: what is being written is written before anybody else can go on from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from pipeline.buffer import Buffer
from pipeline.buffer.batch_writer import BIG_RECORDS
from pipeline.clock import StopSignal, steady_clock_ms, wall_clock_ms
from pipeline.consuming.session import ConsumerSession, consumer_session
from pipeline.errors import BufferUnavailableError, KafkaUnavailableError, TopicChangedError
from pipeline.kafka import DemoBroker
from pipeline.records import TopicIdentity
from pipeline.settings import Settings, load_settings


class Client:
    """A reader or sender that notes when it is closed."""

    def __init__(self, name: str, happened: list[str]) -> None:
        self._name = name
        self._happened = happened

    def close(self) -> None:
        self._happened.append(self._name)


@pytest.fixture
def settings(tmp_path) -> Iterator[Settings]:
    with closing(DemoBroker(tmp_path)):
        yield load_settings(data_dir=tmp_path)


def opened(settings: Settings):
    return consumer_session(settings, "processor", 1000, wall_clock_ms, steady_clock_ms, StopSignal())


def write_slowly(session: ConsumerSession, happened: list[str], go_on: threading.Event) -> None:
    def commit(_: Buffer) -> None:
        go_on.wait()
        happened.append("batch")

    session.writer.write(commit, BIG_RECORDS)


@pytest.mark.parametrize("fails", [False, True])
def test_the_last_batch_is_written_before_the_clients_leave_the_last_one_first(settings, fails):
    happened: list[str] = []
    go_on = threading.Event()

    def run() -> None:
        with opened(settings) as session:
            session.keep(Client("sender", happened))
            session.keep(Client("reader", happened))
            write_slowly(session, happened, go_on)
            # While the session is being left, its writer waits for the batch.
            go_on.set()
            if fails:
                raise KafkaUnavailableError("away")

    if fails:
        with pytest.raises(KafkaUnavailableError, match="away"):
            run()
    else:
        run()
    assert happened == ["batch", "reader", "sender"]


def test_a_session_that_is_left_raises_what_its_last_batch_raised(settings):
    def commit(_: Buffer) -> None:
        raise BufferUnavailableError("full")

    def run() -> None:
        with opened(settings) as session:
            session.writer.write(commit, BIG_RECORDS)

    with pytest.raises(BufferUnavailableError, match="full"):
        run()


def test_a_buffer_that_was_moved_or_a_topic_that_changed_ends_the_session(settings):
    with opened(settings) as session:
        session.check()
        session.watch._changed = "topic orders was recreated"
        with pytest.raises(TopicChangedError, match="recreated"):
            session.check()
        session.watch._changed = ""
        settings.database_file.rename(settings.database_file.with_name("moved.db"))
        with pytest.raises(BufferUnavailableError, match="moved"):
            session.check()


def test_without_a_broker_the_buffer_is_closed_again(tmp_path):
    settings = load_settings(data_dir=tmp_path)
    with pytest.raises(KafkaUnavailableError), opened(settings):
        pass
    assert not settings.database_file.with_name(settings.database_file.name + "-wal").exists()


def test_a_topic_that_was_away_and_comes_back_as_another_one_ends_the_session(settings):
    with opened(settings) as session:
        orders = session.view.identities(["orders"])["orders"]
        assert session.guard.expect({"orders": orders}) == {}
        letters = TopicIdentity(orders.cluster_id, "letters", "first")
        session.guard.expect({"letters": letters})
        session.guard.forget(["letters", "orders"])
        assert session.guard.expect({"letters": letters}) == {}
        session.guard.forget(["letters"])
        with pytest.raises(TopicChangedError, match="letters was recreated"):
            session.guard.expect({"letters": replace(letters, topic_id="second")})
        with pytest.raises(TopicChangedError, match="orders is on another cluster"):
            session.guard.expect({"orders": TopicIdentity("another", "orders")})
