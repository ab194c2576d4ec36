"""`replay` sends what can be sent, and says how many it left out and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.buffer import Reader, open_buffer
from pipeline.commands import replay
from pipeline.errors import NothingToReplayError
from pipeline.settings import Settings
from tests.support.buffer_rows import collect, collector, dead_letter

BODYLESS = (("__streams.errors.topic", b"orders"), ("__streams.errors.partition", b"3"))


class Options:
    """What the command line gives."""

    def __init__(self, **chosen: object) -> None:
        self.all = False
        self.ids: list[int] | None = None
        self.group = self.status = self.query = None
        self.rate, self.force, self.dry_run, self.no_wait = 0.0, False, False, True
        self.__dict__.update(chosen)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, dead_letters_file=tmp_path / "letters.toml")


def fill(settings: Settings, said: str, *kinds: str) -> None:
    settings.dead_letters_file.write_text(said)
    with open_buffer(settings.database_file) as buffer:
        place = collector(buffer)
        rows = {
            "good": {},
            "no target": {"source_topic": None, "source_partition": None, "source_offset": None, "dialect": "none"},
            "no body": {"key": None, "value": None, "dialect": "kafka-streams", "headers": BODYLESS},
        }
        collect(buffer, place, 0, *(dead_letter(place.ref, offset, **rows[kind]) for offset, kind in enumerate(kinds)))


def targets(settings: Settings) -> list[str | None]:
    with Reader(settings.database_file) as reader:
        return [topic for job in reader.jobs(9) for topic in reader.job_items(job.id).column("topic")]


def test_all_takes_what_can_be_sent_and_says_what_is_left_out_and_why(settings, capsys):
    fill(settings, "", "good", "no target", "no body", "no target")
    assert replay(settings, Options(all=True)) == 0
    assert targets(settings) == ["orders"]
    told = capsys.readouterr().err
    assert "left out: 2 without a source topic, as nobody has named one for orders-dlq in letters.toml" in told
    assert "left out: 1 as it has no body; the record itself is at orders[3], as long as" in told


def test_all_is_content_when_nothing_that_is_open_can_be_sent(settings, capsys):
    fill(settings, "", "no target")
    assert replay(settings, Options(all=True)) == 0
    assert targets(settings) == []
    assert "0 dead letters to send\nleft out: 1 without a source topic" in capsys.readouterr().err


def test_what_was_asked_for_by_id_and_cannot_be_sent_is_an_error_that_says_why(settings):
    fill(settings, "", "no target", "no body")
    with pytest.raises(NothingToReplayError, match=r"nothing was sent: 1 dead letter left out, without a source topic"):
        replay(settings, Options(ids=[1]))
    with pytest.raises(NothingToReplayError, match=r"orders\[3\]"):
        replay(settings, Options(ids=[2], force=True))


def test_a_dry_run_lists_what_the_job_would_hold(settings, capsys):
    fill(settings, '["orders-dlq"]\nsource = "payments"\n', "good", "no target", "no body")
    assert replay(settings, Options(all=True, dry_run=True)) == 0
    listed = capsys.readouterr()
    assert [line.split("\t")[:2] for line in listed.out.splitlines()] == [["1", "orders"], ["2", "payments"]]
    assert "2 dead letters would be sent\nleft out: 1 as it has no body" in listed.err
    assert replay(settings, Options(all=True)) == 0
    assert targets(settings) == ["orders", "payments"]
