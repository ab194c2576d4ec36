"""The orders that every writer writes, and how their bytes are kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.stand_in_registry import RegisteredSchema

DATA = Path(__file__).resolve().parents[2] / "data" / "orders"
SCHEMAS = DATA / "schemas"
SENT_AFTER_MS = 250
"""How much later than the order was made its record was sent."""

Headers = Iterable[tuple[str, bytes | str | None]]


@dataclass(frozen=True)
class Line:
    sku: str
    unit_price: Decimal
    quantity: int


@dataclass(frozen=True)
class Order:
    """One order; amounts are exact."""

    order_id: str
    customer_id: str
    customer_name: str | None
    lines: tuple[Line, ...]
    total: Decimal
    currency: str
    created_at_ms: int
    region: str | None
    note: str | None

    @property
    def created_at(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.created_at_ms)


def orders() -> list[Order]:
    return [_order(each["order"]) for each in json.loads((DATA / "orders.json").read_text(encoding="utf-8"))]


def _order(told: dict[str, Any]) -> Order:
    lines = tuple(Line(each["sku"], Decimal(each["unit_price"]), each["quantity"]) for each in told["lines"])
    customer = told["customer"]
    rest = {name: told[name] for name in ("order_id", "currency", "created_at_ms", "region", "note")}
    return Order(
        customer_id=customer["id"], customer_name=customer["name"], lines=lines, total=Decimal(told["total"]), **rest
    )


def cents(amount: Decimal) -> int:
    return int(amount.scaleb(2))


def as_avro(order: Order) -> dict[str, Any]:
    """What goes into `order.avsc`."""
    return {
        "order_id": order.order_id,
        "customer": {"id": order.customer_id, "name": order.customer_name},
        "lines": [asdict(line) for line in order.lines],
        "total": order.total,
        "currency": order.currency,
        "created_at": order.created_at,
        "region": order.region,
        "note": order.note,
    }


def as_json(order: Order) -> dict[str, Any]:
    """What most programs in Python make JSON of: amounts are floats, times ISO 8601."""
    lines = [asdict(line) | {"unit_price": float(line.unit_price)} for line in order.lines]
    return as_avro(order) | {
        "lines": lines,
        "total": float(order.total),
        "created_at": order.created_at.isoformat(timespec="milliseconds"),
    }


class Recording:
    """What one writer puts on one topic. Written, it is two files: the records, and what is to know of them."""

    def __init__(self, name: str, writer: str, version: str, made_by: str, how: str) -> None:
        self.topic = name
        self._about = {"writer": writer, "version": version, "made_by": f"tests/writers/{made_by}", "how": how}
        self._records: list[dict[str, Any]] = []

    def add_order(self, order: Order, value: bytes | str, headers: Headers = (), key: bytes | None = None) -> None:
        """An order, under the customer's id unless the writer chooses the key."""
        key = order.customer_id.encode() if key is None else key
        self.add(order.order_id, order.order_id, order.created_at_ms + SENT_AFTER_MS, key, value, headers)

    def add(
        self,
        name: str,
        order_id: str | None,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | str | None,
        headers: Headers = (),
    ) -> None:
        """A record; `order_id` is that of the new order that it is, None where it is something else."""
        self._records.append(
            {
                "name": name,
                "order_id": order_id,
                "topic": self.topic,
                "partition": None,
                "timestamp_ms": timestamp_ms,
                "key": _base64(key),
                "value": _base64(value),
                "headers": [[each, _base64(content)] for each, content in headers],
            }
        )

    def write(self, folder: Path, schemas: Sequence[RegisteredSchema] = (), schema_files: Sequence[str] = ()) -> None:
        """Writes both files anew. `schema_files` are those in `schemas/` that a reader needs."""
        about = self._about | {
            "schema_files": list(schema_files),
            "registered": [_said(each) for each in schemas],
        }
        text = json.dumps(about, indent=2, ensure_ascii=False)
        (folder / f"{self.topic}.json").write_text(f"{text}\n", encoding="utf-8")
        lines = [json.dumps(each, ensure_ascii=False) for each in self._records]
        (folder / f"{self.topic}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _said(schema: RegisteredSchema) -> dict[str, Any]:
    return {name: value for name, value in asdict(schema).items() if value not in (None, ())}


def _base64(content: bytes | str | None) -> str | None:
    data = content.encode() if isinstance(content, str) else content
    return None if data is None else base64.b64encode(data).decode()
