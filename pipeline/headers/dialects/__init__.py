"""One module for each dialect of dead-letter headers, and the list of all of them."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.dialects import (
    arroyo,
    brighter,
    confluent_rules,
    dapr,
    kafka_connect,
    kafka_streams,
    kafkajs_async_retry,
    karafka,
    laravel_kafka,
    masstransit,
    nservicebus,
    orderpulse,
    share_group,
    silverback,
    smallrye,
    spring_cloud_stream,
    spring_kafka,
    watermill,
    wolverine,
)

DIALECTS: tuple[Dialect, ...] = (
    orderpulse.DIALECT,
    spring_kafka.DIALECT,
    spring_cloud_stream.DIALECT,
    kafka_connect.DIALECT,
    kafka_streams.DIALECT,
    share_group.DIALECT,
    smallrye.DIALECT,
    karafka.DIALECT,
    arroyo.DIALECT,
    nservicebus.DIALECT,
    watermill.DIALECT,
    dapr.DIALECT,
    wolverine.DIALECT,
    silverback.DIALECT,
    brighter.DIALECT,
    masstransit.DIALECT,
    kafkajs_async_retry.DIALECT,
    laravel_kafka.DIALECT,
    confluent_rules.DIALECT,
)
"""In the order of the table in docs/dead-letters.md."""

EVERY_DIALECT: tuple[Dialect, ...] = tuple(each for dialect in DIALECTS for each in (dialect, *dialect.older))
"""With the older headers of each."""
