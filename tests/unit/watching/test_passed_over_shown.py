"""People see how many records of each topic were passed over."""

import json
from argparse import Namespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pipeline.buffer import open_buffer, record_id
from pipeline.commands import status
from pipeline.settings import load_settings
from pipeline.watching.metrics import PipelineMetrics
from tests.support.buffer_rows import NOW_MS, batch, processor


@pytest.fixture
def settings(tmp_path):
    return load_settings(data_dir=tmp_path)


@pytest.fixture
def assignment(settings):
    with open_buffer(settings.database_file) as buffer:
        return processor(buffer)


def pass_over(settings, ref, count):
    with open_buffer(settings.database_file) as buffer:
        step = batch(ref, 0, count)
        step.passed_over = [record_id(ref, offset) for offset in range(count)]
        buffer.flow.commit(step)


def metrics(settings):
    registry = CollectorRegistry()
    registry.register(PipelineMetrics(settings, lambda: NOW_MS))
    return generate_latest(registry).decode()


def shown(settings, capsys, as_json=False):
    status(settings, Namespace(json=as_json))
    return capsys.readouterr().out


def test_status_and_metrics_tell_them_by_topic(settings, assignment, capsys):
    pass_over(settings, assignment.ref, 1200)
    assert "passed over   1,200 records of orders: they are no orders\n" in shown(settings, capsys)
    assert json.loads(shown(settings, capsys, as_json=True))["passed_over"] == [{"topic": "orders", "records": 1200}]
    assert 'orderpulse_passed_over_total{topic="orders"} 1200.0' in metrics(settings)


def test_where_none_was_passed_over_nothing_is_said_of_it(settings, assignment, capsys):
    assert "passed over" not in shown(settings, capsys)
    assert json.loads(shown(settings, capsys, as_json=True))["passed_over"] == []
    assert "orderpulse_passed_over_total{" not in metrics(settings)
