"""Quix Streams with a BatchingSink: `python -m bench.peers.quix SERVERS TOPIC ORDERS DATABASE`."""

from __future__ import annotations

import logging
import os
import sys
from uuid import uuid4

from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from bench.peers.formats import decoder
from bench.peers.work import Work


class SqliteSink(BatchingSink):
    """Writes what Quix Streams has gathered for one partition."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    def write(self, batch: SinkBatch) -> None:
        """One batch, one transaction."""
        if self._work.take((batch.partition, item.offset, item.value) for item in batch):
            os._exit(0)


def main(servers: str, topic: str, orders: int, database: str) -> None:
    """Reads until all orders are done."""
    application = Application(
        broker_address=servers,
        consumer_group=f"quix-{uuid4().hex}",
        auto_offset_reset="earliest",
        commit_every=40_000,  # of four partitions, so that a batch is as big as ours
        commit_interval=5.0,
        loglevel=logging.WARNING,
    )
    frame = application.dataframe(application.topic(topic, value_deserializer="bytes", key_deserializer="bytes"))
    frame.sink(SqliteSink(Work(database, orders, decoder("order", ""))))
    application.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
