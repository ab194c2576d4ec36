"""What may be asked for: simulated failures need the demo cluster, whoever asks."""

from __future__ import annotations

import pytest

from pipeline.buffer import open_buffer
from pipeline.errors import UsageError
from pipeline.jobs.requests import accept_losses, request_produce, resume_reading
from pipeline.orders.samples import ProduceRequest
from pipeline.settings import load_settings

SIMULATED = [ProduceRequest(20, transient_share=0.05), ProduceRequest(20, scenario="reference")]


@pytest.mark.parametrize("request_", SIMULATED)
def test_simulated_failures_are_refused_on_a_team_s_kafka_in_one_line(tmp_path, request_):
    settings = load_settings(data_dir=tmp_path, bootstrap_servers="kafka:9092")
    with open_buffer(settings.database_file) as buffer:
        with pytest.raises(UsageError) as refused:
            request_produce(settings, buffer, lambda: 1, request_, "test")
        assert buffer.jobs.next_job(1) is None
    assert "ORDERPULSE_BOOTSTRAP_SERVERS names another Kafka" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("request_", SIMULATED)
def test_simulated_failures_are_there_for_the_demo_cluster(tmp_path, request_):
    settings = load_settings(data_dir=tmp_path, bootstrap_servers="")
    with open_buffer(settings.database_file) as buffer:
        assert request_produce(settings, buffer, lambda: 1, request_, "test") == 1


def test_other_faults_are_taken_anywhere(tmp_path):
    settings = load_settings(data_dir=tmp_path, bootstrap_servers="kafka:9092")
    with open_buffer(settings.database_file) as buffer:
        faulty = ProduceRequest(20, invalid_share=0.5, malformed_share=0.5)
        assert request_produce(settings, buffer, lambda: 1, faulty, "test") == 1


def test_who_may_only_look_neither_resumes_reading_nor_accepts_losses(tmp_path):
    settings = load_settings(data_dir=tmp_path, read_only=True)
    with open_buffer(settings.database_file) as buffer:
        with pytest.raises(UsageError, match="read-only"):
            resume_reading(settings, buffer, lambda: 1, "test")
        with pytest.raises(UsageError, match="read-only"):
            accept_losses(settings, buffer, lambda: 1)


def test_where_nothing_is_stopped_nothing_goes_on(tmp_path):
    settings = load_settings(data_dir=tmp_path)
    with (
        open_buffer(settings.database_file) as buffer,
        pytest.raises(UsageError, match="no topic's reading is stopped"),
    ):
        resume_reading(settings, buffer, lambda: 1, "test")
