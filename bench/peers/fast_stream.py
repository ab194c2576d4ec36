"""FastStream on its Confluent broker, in batches.

`python -m bench.peers.fast_stream SERVERS TOPIC ORDERS DATABASE [FORMAT REGISTRY]`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Any
from uuid import uuid4

from faststream import FastStream
from faststream.confluent import KafkaBroker, KafkaMessage

from bench.peers.formats import decoder
from bench.peers.work import Work

BATCH_RECORDS = 10_000


async def _raw(message: Any) -> Any:
    return message.body


def main(servers: str, topic: str, orders: int, database: str, format_: str = "order", registry: str = "") -> None:
    """Reads until all orders are done."""
    work = Work(database, orders, decoder(format_, registry))
    broker = KafkaBroker(servers, logger=None)

    @broker.subscriber(
        topic,
        batch=True,
        max_records=BATCH_RECORDS,
        group_id=f"faststream-{uuid4().hex}",
        auto_offset_reset="earliest",
        decoder=_raw,
    )
    async def take(values: list[bytes], message: KafkaMessage) -> None:
        records = message.raw_message
        if work.take(
            (record.partition(), record.offset(), value) for record, value in zip(records, values, strict=True)
        ):
            os._exit(0)

    logging.disable(logging.INFO)
    asyncio.run(FastStream(broker).run())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], *sys.argv[5:])
