"""Whether every role could make its clients of the library with `ORDERPULSE_KAFKA_CONFIG`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.client import SILENT, Trouble, client_config, new_client
from pipeline.kafka.connection.membership import membership
from pipeline.kafka.connection.tokens import asking_nobody
from pipeline.kafka.reader import reader_config
from pipeline.kafka.sender import DEAD_LETTER_TIMEOUT_MS, sender_config
from pipeline.settings import Settings

_Client = tuple[Callable[[dict[str, Any]], Any], dict[str, Any]]


def check_kafka_config(settings: Settings) -> None:
    """Raises SettingsError for what librdkafka does not know or cannot use in some role's client; connects nowhere."""
    for make, config in _clients(settings):
        del config["bootstrap.servers"]
        new_client(make, settings, asking_nobody(config) | {"logger": SILENT})


def _clients(settings: Settings) -> Iterator[_Client]:
    """Each kind of client with the properties that the roles give it."""
    nowhere = Cluster("", "demo" if settings.demo else "")
    trouble = Trouble(nowhere)
    yield Consumer, reader_config(settings, nowhere, trouble, settings.group_id)
    member = membership(settings, nowhere, "check")
    yield Consumer, reader_config(settings, nowhere, trouble, settings.group_id, member)
    for timeout_ms in (0, DEAD_LETTER_TIMEOUT_MS):
        yield Producer, sender_config(settings, nowhere, trouble, timeout_ms)
    yield AdminClient, client_config(settings, nowhere, "admin", trouble)
