"""What topics are by their names: those that Kafka and the frameworks around it make for themselves hold no orders.

A name that a program uses unless it is told otherwise. What people have named themselves is in `ORDERPULSE_DLQ_TOPICS`,
or has no section in the mapping file.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pipeline.headers import DIALECTS


class _Known(NamedTuple):
    """Names that fit `pattern`, and what such a topic is."""

    pattern: re.Pattern[str]
    what: str


def _known(pattern: str, what: str) -> _Known:
    return _Known(re.compile(pattern), what)


KNOWN = (
    # Kafka's own: `Topic.INTERNAL_TOPICS` (__consumer_offsets, __transaction_state, __share_group_state), and tiered
    # storage's __remote_log_metadata. Two underscores are kept for such.
    _known(r"^__", "is internal to Kafka"),
    # `kafkastore.topic` of Confluent's registry; also Karapace's. `kafkasql-journal` is that of Apicurio's.
    _known(r"^(_schemas\w*|kafkasql-(journal|snapshots))$", "is internal to a schema registry"),
    # Of Confluent Platform (_confluent-command, _confluent-metrics, those of ksqlDB), of Redpanda.
    _known(r"^_(confluent|redpanda)[-._]", "is internal to the platform"),
    # Connect: config/connect-distributed.properties, with the prefixes of Confluent's and Debezium's images
    # (docker-connect-configs, _connect-configs, my_connect_statuses).
    _known(r"(^|[-._])connect[-_](configs?|offsets?|status(es)?)$", "is internal to Kafka Connect"),
    # MirrorMaker 2: `DefaultReplicationPolicy`, KIP-382.
    _known(r"^mm2-[\w.-]+\.internal$|\.checkpoints\.internal$|^([\w.-]+\.)?heartbeats$", "is internal to MirrorMaker"),
    # Kafka Streams: docs/streams/developer-guide/manage-topics, "Internal topics". Those of a foreign-key join end
    # in `-topic`.
    _known(
        r"-(changelog|repartition)$|-subscription-(registration|response)-topic$",
        "is internal to a Streams application",
    ),
    # What programs of the dialects that we know call their topics, unless they are told otherwise.
    *(_known(dialect.topics, f"is of the kind that {dialect.name} writes") for dialect in DIALECTS if dialect.topics),
    # How people name such topics themselves, for programs that ask for a name: Confluent Cloud's connectors have
    # `dlq-lcc-…`, guides of others `orders_dlq`, `orders.dlq` and `orders.retry`, Watermill's `poison_queue`, Dapr's
    # `poisonMessages`, Sentry's consumers `snuba-dead-letter-…`.
    _known(r"(^|[-._])(dlq|dlt|DLQ|DLT)([-._]|$)", "is named as one for dead letters"),
    _known(r"(^|[-._])dead[-._]?letters?([-._]|$)|^poison([-_]?queue|Messages)?$", "is named as one for dead letters"),
    _known(r"(^|[-._])retr(y|ies)([-._]\w+)?$", "is named as one for retries"),
)
"""In this order, as some fit two."""


def known_use(topic: str) -> str:
    """What a topic is, by its name, that holds no orders; empty where the name says nothing."""
    return next((known.what for known in KNOWN if known.pattern.search(topic)), "")
