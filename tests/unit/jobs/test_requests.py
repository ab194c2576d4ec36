"""What may be asked for: simulated failures need the demo cluster, whoever asks."""

from __future__ import annotations

from threading import Thread

import pytest

from pipeline.buffer import Reader, open_buffer
from pipeline.clock import StopSignal, steady_clock_ms, wall_clock_ms
from pipeline.errors import MappingFileError, UsageError
from pipeline.jobs.requests import accept_losses, request_lookup, request_produce, resume_reading, save_section
from pipeline.jobs.topic_examiner import TopicExaminer
from pipeline.jobs.worker import run_worker
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.running.statusboard import StatusWriter
from pipeline.settings import load_settings
from tests.support.flow_in_process import CODEC
from tests.support.running_pipeline import wait_for

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


MAPPED = """\
[topics.orders]
order_id = "id"
customer_id = "customer"
product = "sku"
price = "total"
created_at = "at"
"""


def test_sample_orders_are_refused_where_the_mapping_file_maps_their_topic_or_cannot_be_read(tmp_path):
    mapping_file = tmp_path / "mapping.toml"
    settings = load_settings(data_dir=tmp_path, mapping_file=mapping_file)
    with open_buffer(settings.database_file) as buffer:
        for content, error, why in (
            (MAPPED, UsageError, "orders is read by its section in mapping.toml"),
            ("[labels]\ncurrency_digits = 3", UsageError, "the currency in mapping.toml has 3"),
            ("[labels", MappingFileError, "not valid TOML"),
        ):
            mapping_file.write_text(content)
            with pytest.raises(error, match=why):
                request_produce(settings, buffer, lambda: 1, ProduceRequest(20), "test")
        assert buffer.jobs.next_job(1) is None
        mapping_file.write_text(MAPPED.replace("orders", "others"))
        assert request_produce(settings, buffer, lambda: 1, ProduceRequest(20), "test") == 1


def test_a_produce_job_fails_in_one_line_where_its_topic_has_come_to_be_mapped(tmp_path):
    settings = load_settings(data_dir=tmp_path, mapping_file=tmp_path / "mapping.toml")
    settings.mapping_file.write_text("")
    with open_buffer(settings.database_file) as buffer:
        number = request_produce(settings, buffer, wall_clock_ms, ProduceRequest(20), "test")
        settings.mapping_file.write_text(MAPPED)
        stop, status = StopSignal(), StatusWriter(tmp_path, "worker", 0, wall_clock_ms)
        parts = (settings, CODEC, TopicExaminer(settings, CODEC, wall_clock_ms), wall_clock_ms, steady_clock_ms)
        worker = Thread(target=run_worker, args=(*parts, stop, status))
        worker.start()
        try:
            wait_for("the job's end", lambda: buffer.jobs.get(number).state == "failed", 10)
        finally:
            stop.set()
            worker.join()
            status.close()
    with Reader(settings.database_file) as reader:
        assert "orders is read by its section in mapping.toml" in reader.job(number).error


def test_who_may_only_look_neither_resumes_reading_nor_accepts_losses(tmp_path):
    settings = load_settings(data_dir=tmp_path, read_only=True)
    with open_buffer(settings.database_file) as buffer:
        with pytest.raises(UsageError, match="read-only"):
            resume_reading(settings, buffer, lambda: 1, "test")
        with pytest.raises(UsageError, match="read-only"):
            accept_losses(settings, buffer, lambda: 1)


def test_who_may_only_look_neither_asks_kafka_nor_writes_the_mapping_file(tmp_path):
    settings = load_settings(data_dir=tmp_path, read_only=True, mapping_file=tmp_path / "mapping.toml")
    with open_buffer(settings.database_file) as buffer:
        with pytest.raises(UsageError, match="read-only"):
            request_lookup(settings, buffer, lambda: 1, "topics", {}, "test")
        with pytest.raises(UsageError, match="read-only"):
            save_section(settings, buffer, lambda: 1, "orders", MAPPED, "test")
        assert buffer.lookups.next(1) is None
    assert not settings.mapping_file.exists()


def test_where_nothing_is_stopped_nothing_goes_on(tmp_path):
    settings = load_settings(data_dir=tmp_path)
    with (
        open_buffer(settings.database_file) as buffer,
        pytest.raises(UsageError, match="no topic's reading is stopped"),
    ):
        resume_reading(settings, buffer, lambda: 1, "test")
