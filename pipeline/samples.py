"""Sample orders as a small shop would write them, with the faults asked for; the same seed makes the same orders.

Faults are in the record, where anybody can see them: a price that breaks a rule, bytes that are no order, or a header
that asks the handler to fail. Nothing is left to chance later on.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from pipeline.clock import Clock
from pipeline.headers.orderpulse import FAULT_REASON, TRANSIENT_FAILURES
from pipeline.records import Headers, Order
from pipeline.requests import ProduceRequest
from pipeline.serde import CONFLUENT_MARK, OrderEncoder

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
_PRODUCTS = tuple(accumulate(share for *_, share in CATALOGUE))
# Few customers order much and many order little: the n-th in proportion to 1/(n + 4) (Zipf's law, Mandelbrot's form).
_CUSTOMERS = tuple(accumulate(1 / (rank + 4) for rank in range(1, CUSTOMERS + 1)))
# Steps of the golden ratio spread evenly and show no rhythm.
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample record. `number` counts from 1."""

    number: int
    key: bytes
    value: bytes
    headers: Headers


class SampleOrders:
    """All records of one produce request."""

    def __init__(
        self, request: ProduceRequest, job_id: int, request_id: str, encoder: OrderEncoder, clock: Clock
    ) -> None:
        self._request = request
        self._job_id = job_id
        self._request_id = request_id
        self._encoder = encoder
        self._clock = clock
        self._phase = random.Random(request.seed).randrange(request.count)
        self._stride = _stride(request.count)

    def between(self, first: int, last: int) -> Iterator[Sample]:
        """The samples number `first` to `last`, made at this moment."""
        for chunk in range((first - 1) // CHUNK, (last - 1) // CHUNK + 1):
            # A chunk has a generator of its own, so that a job can go on in the middle.
            draw = random.Random(f"{self._request.seed}/{chunk}")
            for number in range(chunk * CHUNK + 1, min((chunk + 1) * CHUNK, last) + 1):
                order = self._order(number, draw)
                fault = draw.random()
                if number >= first:
                    yield self._sample(number, order, fault)

    def send_id(self, number: int) -> str:
        """What the header `orderpulse.sample` of that record carries."""
        return f"{self._request_id}:{number}"

    def _order(self, number: int, draw: random.Random) -> Order:
        product, lowest, highest, _ = draw.choices(CATALOGUE, cum_weights=_PRODUCTS)[0]
        # Prices end in 9, as prices do.
        price_cents = (lowest + int(draw.random() * (highest - lowest))) // 10 * 10 + 9
        customer = draw.choices(range(CUSTOMERS), cum_weights=_CUSTOMERS)[0]
        if self._request.scenario == "reference":
            customer = number  # each its own, so that nobody waits behind the one that fails
        return Order(
            order_id=f"ORD-{self._job_id}-{number:06d}",
            customer_id=f"C{customer:04d}",
            product=product,
            price_cents=price_cents,
            created_at_ms=self._clock(),
            region=draw.choice(REGIONS),
        )

    def _sample(self, number: int, order: Order, fault: float) -> Sample:
        headers: Headers = ((SAMPLE, self.send_id(number).encode()),)
        value = b""
        match self._kind(number):
            case "invalid":
                value = self._encoder.encode(_invalid(order, fault))
            case "malformed":
                value = _malformed(self._encoder.encode(order), fault)
            case "transient":
                headers += ((TRANSIENT_FAILURES, str(1 + int(fault * 3)).encode()),)
                value = self._encoder.encode(order)
            case "hopeless":
                headers += ((TRANSIENT_FAILURES, str(NEVER_WORKS).encode()), (FAULT_REASON, REFERENCE_REASON.encode()))
                value = self._encoder.encode(order)
            case _:
                value = self._encoder.encode(order)
        return Sample(number, order.customer_id.encode(), value, headers)

    def _kind(self, number: int) -> str:
        if self._request.scenario == "reference":
            return "hopeless" if number == REFERENCE_FAILURE else "valid"
        # Numbers times a stride that shares no factor with the count, modulo the count, are all places once.
        place = (self._phase + number * self._stride) % self._request.count
        for kind, share in (
            ("invalid", self._request.invalid_share),
            ("transient", self._request.transient_share),
            ("malformed", self._request.malformed_share),
        ):
            faults = round(share * self._request.count)
            if place < faults:
                return kind
            place -= faults
        return "valid"


def _stride(count: int) -> int:
    stride = max(1, round(count * _GOLDEN))
    while math.gcd(stride, count) > 1:
        stride += 1
    return stride


def _invalid(order: Order, fault: float) -> Order:
    faults: tuple[dict[str, object], ...] = (
        {"price_cents": -order.price_cents},
        {"price_cents": 0},
        {"price_cents": 100_000_00 + order.price_cents},
        {"product": ""},
        {"created_at_ms": order.created_at_ms + 3_600_000},
    )
    return _replace(order, faults[int(fault * len(faults))])


def _replace(order: Order, changes: dict[str, object]) -> Order:
    fields = {name: getattr(order, name) for name in Order.__slots__}
    return Order(**(fields | changes))


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
