"""Sample orders as a small shop would write them, with the faults asked for; the same seed makes the same orders.

Faults are in the record, where anybody can see them: a price that breaks a rule, bytes that are no order, or a header
that asks the demo cluster's handler to fail. Nothing is left to chance later on.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from itertools import accumulate, repeat

import numpy as np
from numpy.typing import NDArray

from pipeline.clock import Clock
from pipeline.headers.own import FAULT_REASON, TRANSIENT_FAILURES
from pipeline.orders.columns import Integers, OrderColumns, filled_columns
from pipeline.orders.formats.framing import CONFLUENT_MARK
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.orders.serde import OrderEncoder
from pipeline.records import Headers, Outgoing

SAMPLE = "orderpulse.sample"
"""Header of every sample record: `<request id>:<number>`."""

CHUNK = 1000
CUSTOMERS = 1000
REGIONS = ("north", "south", "east", "west")
REFERENCE_ORDERS = 20
REFERENCE_FAILURE = 15
REFERENCE_REASON = "Simulated permanent failure - invalid order data"
NEVER_WORKS = 1_000_000

# Product, lowest and highest price in cents, share of the orders.
CATALOGUE = (
    ("Espresso machine", 24900, 69900, 2),
    ("Coffee grinder", 5900, 19900, 4),
    ("Pour-over kettle", 3900, 9900, 5),
    ("Coffee beans 1 kg", 1490, 3290, 18),
    ("Filter papers", 290, 790, 12),
    ("Milk frother", 1990, 6990, 5),
    ("Travel mug", 1290, 3490, 9),
    ("Ceramic cup", 690, 1890, 11),
    ("Tea sampler", 990, 2490, 7),
    ("Kitchen scale", 1990, 5990, 5),
    ("Descaler", 490, 1290, 6),
    ("Cold brew jar", 1790, 3990, 4),
    ("Barista apron", 2490, 4990, 3),
    ("Gift card", 1000, 10000, 6),
    ("Service visit", 8900, 14900, 1),
)
Drawn = NDArray[np.float64]
"""Numbers from 0 to below 1."""


def _cumulated(shares: list[float]) -> Drawn:
    sums = np.cumsum(np.array(shares, np.float64))
    cumulated: Drawn = sums / sums[-1]
    return cumulated


_PRODUCTS = _cumulated([share for *_, share in CATALOGUE])
_LOWEST = np.array([lowest for _, lowest, _, _ in CATALOGUE])
_HIGHEST = np.array([highest for _, _, highest, _ in CATALOGUE])
# Few customers order much and many order little: the n-th in proportion to 1/(n + 4) (Zipf's law, Mandelbrot's form).
_CUSTOMERS = _cumulated([1 / (rank + 4) for rank in range(1, CUSTOMERS + 1)])
_CUSTOMER_IDS = [f"C{number:04d}" for number in range(CUSTOMERS)]
# What a fault does to an order, drawn with equal chances.
_FAULTS = ("a negative price", "no price", "a price above the limit", "no product", "from the future")
_KINDS = ("invalid", "transient", "malformed")
# Steps of the golden ratio spread evenly and show no rhythm.
_GOLDEN = (math.sqrt(5) - 1) / 2


class SampleOrders:
    """All records of one produce request."""

    def __init__(
        self, request: ProduceRequest, job_id: int, request_id: str, topic: str, encoder: OrderEncoder, clock: Clock
    ) -> None:
        self._request = request
        self._job_id = job_id
        self._request_id = request_id
        self._topic = topic
        self._encoder = encoder
        self._clock = clock
        self._phase = int(_draw(request.seed, "phase", 1)[0, 0] * request.count)
        self._stride = _stride(request.count)

    def between(self, first: int, last: int) -> Iterator[Outgoing]:
        """The samples number `first` to `last`, counted from 1, made at this moment."""
        for chunk in range((first - 1) // CHUNK, (last - 1) // CHUNK + 1):
            # A chunk is drawn by itself and whole, so that a job can go on in the middle.
            begin = chunk * CHUNK + 1
            numbers = np.arange(max(first, begin), min(last, begin + CHUNK - 1) + 1)
            yield from self._samples(numbers, _draw(self._request.seed, str(chunk), CHUNK)[:, numbers - begin])

    def _samples(self, numbers: Integers, drawn: Drawn) -> Iterable[Outgoing]:
        kinds, faults = self._kinds(numbers), drawn[4]
        orders = self._orders(numbers, drawn)
        for index in [index for index, kind in enumerate(kinds) if kind == "invalid"]:
            _break_a_rule(orders, index, _FAULTS[int(faults[index] * len(_FAULTS))])
        values = self._encoder.encode_many(orders)
        send_ids = [f"{self._request_id}:{number}" for number in numbers.tolist()]
        headers: list[Headers] = [((SAMPLE, send_id.encode()),) for send_id in send_ids]
        for index in [index for index, kind in enumerate(kinds) if kind]:
            if kinds[index] == "malformed":
                values[index] = _malformed(values[index], float(faults[index]))
            else:
                headers[index] += _asking_for(kinds[index], float(faults[index]))
        return map(Outgoing, send_ids, repeat(self._topic), map(str.encode, orders.customer_ids), values, headers)

    def _orders(self, numbers: Integers, drawn: Drawn) -> OrderColumns:
        products = np.searchsorted(_PRODUCTS, drawn[0], "right")
        lowest = _LOWEST[products]
        # Prices end in 9, as prices do.
        prices_cents = (lowest + (drawn[1] * (_HIGHEST[products] - lowest)).astype(np.int64)) // 10 * 10 + 9
        customer_ids = [_CUSTOMER_IDS[rank] for rank in np.searchsorted(_CUSTOMERS, drawn[2], "right").tolist()]
        if self._request.scenario == "reference":
            # Each its own, so that nobody waits behind the one that fails.
            customer_ids = [f"C{number:04d}" for number in numbers.tolist()]
        # A field that is not drawn has its default.
        return filled_columns(
            numbers,
            {
                "order_id": [f"ORD-{self._job_id}-{number:06d}" for number in numbers.tolist()],
                "customer_id": customer_ids,
                "product": [CATALOGUE[product][0] for product in products.tolist()],
                "region": [REGIONS[region] for region in (drawn[3] * len(REGIONS)).astype(np.int64).tolist()],
            },
            {"price_cents": prices_cents, "created_at_ms": np.full(len(numbers), self._clock(), np.int64)},
        )

    def _kinds(self, numbers: Integers) -> list[str]:
        """What is wrong with each, empty for those that are valid."""
        if self._request.scenario == "reference":
            return ["hopeless" if number == REFERENCE_FAILURE else "" for number in numbers.tolist()]
        count = self._request.count
        shares = (self._request.invalid_share, self._request.transient_share, self._request.malformed_share)
        bounds = list(accumulate(round(share * count) for share in shares))
        # Numbers times a stride that shares no factor with the count, modulo the count, are all ranks once.
        ranks = (self._phase + numbers * self._stride) % count
        return [(*_KINDS, "")[kind] for kind in np.searchsorted(bounds, ranks, "right").tolist()]


def _draw(seed: int, what: str, count: int) -> Drawn:
    """Five rows of so many numbers, always the same for this seed."""
    entropy = hashlib.blake2b(f"{seed}/{what}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(entropy, "big"))).random((5, count))


def _stride(count: int) -> int:
    stride = max(1, round(count * _GOLDEN))
    while math.gcd(stride, count) > 1:
        stride += 1
    return stride


def _break_a_rule(orders: OrderColumns, index: int, fault: str) -> None:
    match fault:
        case "a negative price":
            orders.prices_cents[index] *= -1
        case "no price":
            orders.prices_cents[index] = 0
        case "a price above the limit":
            orders.prices_cents[index] += 100_000_00
        case "no product":
            orders.products[index] = ""
        case "from the future":
            orders.created_at_ms[index] += 3_600_000


def _asking_for(kind: str, fault: float) -> Headers:
    """The headers that ask the handler to fail."""
    if kind == "transient":
        return ((TRANSIENT_FAILURES, str(1 + int(fault * 3)).encode()),)
    if kind == "hopeless":
        return ((TRANSIENT_FAILURES, str(NEVER_WORKS).encode()), (FAULT_REASON, REFERENCE_REASON.encode()))
    return ()


def _malformed(value: bytes, fault: float) -> bytes:
    kinds = (
        value[: len(value) // 2],  # cut off
        _of_an_unknown_schema(value),
        b'{"order_id": "not Avro at all"}',
        value + b"\x00\x01",  # more than an order
    )
    return kinds[int(fault * len(kinds))]


def _of_an_unknown_schema(value: bytes) -> bytes:
    if value.startswith(CONFLUENT_MARK):
        return CONFLUENT_MARK + b"\x7f\xff\xff\xff" + value[5:]
    return value[:2] + bytes(8) + value[10:]
