"""librdkafka's own cluster for tests, through its C functions (rdkafka.h, rdkafka_mock.h).

The Python package can start one too, but not configure it, and one that is not configured has a consumer group wait
3 s for its first partitions.
"""

from __future__ import annotations

import ctypes
from typing import Any

from confluent_kafka import cimpl

from pipeline.errors import KafkaUnavailableError

FIRST_JOIN_MS = 100
"""How long a group waits for more members before it deals out its partitions for the first time; 0 would be never."""
LOG_NOTHING = b"0"
_PRODUCER = 0
_REASON_BYTES = 512


class MockCluster:
    """One broker in this process, on a free port of 127.0.0.1. Raises KafkaUnavailableError when it does not start."""

    def __init__(self) -> None:
        self._library = _library()
        reason = ctypes.create_string_buffer(_REASON_BYTES)
        properties = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(properties, b"log_level", LOG_NOTHING, reason, _REASON_BYTES)
        self._host = self._library.rd_kafka_new(_PRODUCER, properties, reason, _REASON_BYTES)
        if not self._host:
            raise KafkaUnavailableError(f"starting the demo cluster: {reason.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._host, 1)
        if not self._cluster:
            raise KafkaUnavailableError("starting the demo cluster: librdkafka finds no free port on 127.0.0.1")
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, FIRST_JOIN_MS)
        self.bootstrap_servers: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def close(self) -> None:
        """Ends the broker and all it holds, once."""
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            self._library.rd_kafka_mock_cluster_destroy(cluster)
            self._library.rd_kafka_destroy(self._host)


def _library() -> Any:
    """librdkafka as the Python package has loaded it, wherever that came from; pointers are kept whole."""
    library = ctypes.CDLL(cimpl.__file__)
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_conf_set", ctypes.c_int, [pointer, text, text, text, size]),
        ("rd_kafka_new", pointer, [ctypes.c_int, pointer, text, size]),
        ("rd_kafka_destroy", None, [pointer]),
        ("rd_kafka_mock_cluster_new", pointer, [pointer, ctypes.c_int]),
        ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
        ("rd_kafka_mock_cluster_destroy", None, [pointer]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [pointer, ctypes.c_int32]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
