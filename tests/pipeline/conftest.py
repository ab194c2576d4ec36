"""Pipelines for tests, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kafkas import PARTITIONS, own_names
from tests.support.running_pipeline import RunningPipeline
from tests.support.secured_kafka import SecuredKafka, TlsKafka

NAMES = "late roles workbench reader guest stranger onlooker lagging changing parts"
USERS = {name: f"{name}-S3cret" for name in NAMES.split()}
"""One user a test, so that no test depends on the ACLs or the password that another one leaves."""


@pytest.fixture
def cluster_settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the test's pipelines run: the demo cluster, or Apache Kafka where `on_clusters` names it."""
    if getattr(request, "param", "demo") == "demo":
        return {}
    bootstrap_servers = request.getfixturevalue("apache_kafka").bootstrap_servers
    return {"bootstrap_servers": bootstrap_servers, "topic_partitions": PARTITIONS, **own_names()}


@pytest.fixture
def pipeline_with(tmp_path: Path, cluster_settings: dict[str, Any]) -> Iterator[Callable[..., RunningPipeline]]:
    """Makes pipelines with settings; ends them after the test."""
    made: list[RunningPipeline] = []

    def make(**settings: Any) -> RunningPipeline:
        folder = tmp_path / f"data{len(made)}"
        folder.mkdir()
        made.append(RunningPipeline(folder, **{**cluster_settings, **settings}))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.end()


@pytest.fixture
def pipeline(pipeline_with: Callable[..., RunningPipeline]) -> RunningPipeline:
    """A pipeline that runs, with the default settings."""
    running = pipeline_with()
    running.up()
    return running


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Apache Kafka with TLS, SASL and ACLs."""
    with SecuredKafka(tmp_path_factory.mktemp("secured"), USERS) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def tls_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsKafka]:
    """Apache Kafka with TLS that asks for no client certificate."""
    kafka = TlsKafka(tmp_path_factory.mktemp("tls"))
    with kafka.cluster:
        yield kafka
