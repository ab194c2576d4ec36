"""What reads hostile inputs keeps nothing of them: after many it holds as much memory as after a few."""

import gc
import os
import random
import tracemalloc

from pipeline.dead_letters.causes import fingerprint
from pipeline.dead_letters.causes.fingerprint import forget
from pipeline.errors import UndecodableError
from pipeline.headers import DIALECTS, headers_from_json, headers_to_json, read_failure, reason_of
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order
from pipeline.settings import PROJECT_DIR
from tests.fuzz.cases import LONG, RAN

ROUND = 20_000 if LONG in os.environ else 1_000
ROUNDS = 4
MOST_KEPT_BYTES = 64_000
HEADER_NAMES = sorted({name for dialect in DIALECTS for name in dialect.header_names})
CODEC = OrderCodec(SchemaStore(PROJECT_DIR / "schemas"))
GOOD = CODEC.encode(Order("A-1", "C-1", "tea", 250, 1_700_000_000_000))


def read_one(draw: random.Random) -> None:
    """A damaged order, headers of several dialects, and a reason."""
    value = bytearray(GOOD + draw.randbytes(draw.randrange(3)))
    for _ in range(draw.randrange(4)):
        value[draw.randrange(len(value))] = draw.randrange(256)
    try:
        CODEC.decode(bytes(value))
    except UndecodableError as error:
        fingerprint(type(error).__name__, error.reason, error.rule, "orders")
    headers = tuple((draw.choice(HEADER_NAMES), draw.randbytes(draw.randrange(12))) for _ in range(draw.randrange(8)))
    failure = read_failure(headers_from_json(headers_to_json(headers)))
    fingerprint(failure.error_class, reason_of(failure, bytes(value)), failure.rule, failure.source_topic)
    RAN["test_memory_is_bounded"] += 1


def test_memory_is_bounded():
    draw = random.Random(1)
    tracemalloc.start()
    try:
        held = []
        for _ in range(ROUNDS):
            for _ in range(ROUND):
                read_one(draw)
            forget()  # what is remembered of failures has a limit of its own
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(held[1:]) - held[0] < MOST_KEPT_BYTES, held
