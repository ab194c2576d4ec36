"""Records as people's shops write them, in a dozen shapes; what is to be proposed of each stands beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.records import Headers, Position, Record

NOW_MS = 1_764_300_000_000
Written = Any


@dataclass(frozen=True, slots=True)
class Shape:
    """How record number n is written, and the keys of the section that are to be proposed."""

    name: str
    written: Callable[[int], Written]
    proposed: dict[str, Any]
    orders: int = 100
    """How many of a hundred records are orders."""
    headers: Callable[[int], Headers] = field(default=lambda number: ())
    key: Callable[[int], bytes | None] = field(default=lambda number: b"c-%d" % (number % 7))


def records_of(shape: Shape, count: int = 100) -> list[Record]:
    """So many records of a shape."""
    return [record(number, shape.written(number), shape.key(number), shape.headers(number)) for number in range(count)]


def record(number: int, value: Written, key: bytes | None = None, headers: Headers = ()) -> Record:
    """A record whose value is bytes as they are, None, or JSON of anything else."""
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Record(Position("shop", 0, number), NOW_MS + number, key, raw, headers)


def one_of(number: int, *values: Any) -> Any:
    """One of these, in turn."""
    return values[number % len(values)]


def _nested(number: int) -> Written:
    lines = [{"sku": one_of(number, "A", "B"), "quantity": 2, "price": 4.5}, {"sku": "BAG", "quantity": 1, "price": 1}]
    return {
        "type": one_of(number, "order.created", "order.created", "order.shipped", "order.cancelled"),
        "order": {
            "id": f"o-{number}",
            "customer": {"id": f"c-{number % 7}", "email": f"{number}@example.com"},
            "lines": lines,
            "total": 10,
            "currency": "EUR",
            "created": "2026-01-27T10:00:00+01:00",
            "shipping": {"country": one_of(number, "DE", "FR"), "cost": 0},
        },
    }


def _flat(number: int) -> Written:
    product = one_of(number, "cup", "plate", "bowl")
    return {"order_id": number, "user_id": number % 7, "item": product, "quantity": 3, "price": 1.25, "ts": 1764300000}


def _debezium(number: int) -> Written:
    row = {
        "id": number,
        "customer_id": number % 7,
        "amount_cents": 1999 + number,
        "product_code": one_of(number, "X", "Y"),
    }
    return {
        "before": None,
        "after": row | {"created_at": 1_764_300_000_000_000 + number},
        "source": {"ts_ms": NOW_MS, "table": "orders", "connector": "postgresql", "name": "shop"},
        "op": one_of(number, "c", "r", "u", "d"),
        "ts_ms": NOW_MS,
    }


def _cloud_event(number: int) -> Written:
    items = [{"title": one_of(number, "Tea", "Jam"), "unitPrice": {"amount": "9.95"}, "quantity": 2}]
    return {
        "specversion": "1.0",
        "type": "com.example.order.placed",
        "id": f"event-{number}",
        "source": "/shop",
        "time": "2026-01-27T10:00:00Z",
        "data": {
            "orderNumber": f"N-{number}",
            "buyer": {"uuid": f"u-{number % 9}"},
            "grandTotal": {"amount": "19.90", "currencyCode": "USD"},
            "channel": one_of(number, "web", "app"),
            "items": items,
        },
    }


def _bare(number: int) -> Written:
    data = _cloud_event(number)["data"]
    assert isinstance(data, dict)
    return data


def _payment_provider(number: int) -> Written:
    kind = one_of(
        number, "checkout.session.completed", "charge.refunded", "customer.created", "checkout.session.completed"
    )
    about = {
        "id": f"cs_{number}",
        "amount_total": 1099 + 7 * number,
        "currency": "usd",
        "customer": f"cus_{number % 4}",
    }
    return {"id": f"evt_{number}", "type": kind, "created": 1764300000 + number, "data": {"object": about}}


def _shop_software(number: int) -> Written:
    lines = [
        {"id": 1, "title": "Player", "sku": "PLAYER", "quantity": 1, "price": "199.00"},
        {"id": 2, "title": "Case", "sku": "CASE", "quantity": 2, "price": "19.00"},
    ]
    return {
        "id": 450_789_469 + number,
        "created_at": "2026-01-10T11:00:00-05:00",
        "updated_at": "2026-01-11T11:00:00-05:00",
        "total_price": "248.94",
        "subtotal_price": "237.00",
        "total_tax": "11.94",
        "currency": "USD",
        "customer": {"id": 207_119_551 + number % 5, "created_at": "2020-01-10T11:00:00-05:00"},
        "shipping_address": {"country_code": one_of(number, "US", "CA"), "city": "Springfield"},
        "line_items": lines,
    }


def _states(number: int) -> Written:
    return {
        "orderId": f"o-{number // 4}",
        "status": one_of(number, "created", "paid", "shipped", "delivered"),
        "customerId": f"c-{number % 5}",
        "totalAmount": 12.5,
        "createdAt": NOW_MS,
    }


def _only_lines(number: int) -> Written:
    lines = [{"product": {"name": one_of(number, "Tea", "Jam")}, "qty": 2, "unit_price_cents": 450}]
    return {
        "orderNumber": number,
        "customer_number": f"{number % 5}",
        "positions": lines,
        "placedAt": "2026-01-27T10:00:00",
    }


def _analytics(number: int) -> Written:
    event = one_of(number, "page_view", "add_to_cart", "purchase", "refund", "begin_checkout")
    more = (
        {"transaction_id": f"T-{number}", "value": 12.34, "currency": "EUR"} if event in ("purchase", "refund") else {}
    )
    return {"event_name": event, "user_id": f"u-{number % 9}", "event_timestamp": 1_764_300_000_000_000, **more}


def _connect(number: int) -> Written:
    fields = [
        {"type": "int32", "optional": False, "field": "order_no"},
        {"type": "string", "optional": True, "field": "client_id"},
        {
            "type": "bytes",
            "optional": False,
            "name": "org.apache.kafka.connect.data.Decimal",
            "version": 1,
            "parameters": {"scale": "2", "connect.decimal.precision": "10"},
            "field": "amount",
        },
        {
            "type": "int64",
            "optional": False,
            "name": "org.apache.kafka.connect.data.Timestamp",
            "version": 1,
            "field": "order_date",
        },
        {"type": "string", "optional": True, "field": "article"},
        {"type": "string", "optional": True, "field": "store"},
    ]
    payload = {
        "order_no": number,
        "client_id": f"{number % 7}",
        "amount": "BNI=",
        "order_date": NOW_MS,
        "article": one_of(number, "tea", "jam"),
        "store": one_of(number, "north", "south"),
    }
    schema = {"type": "struct", "fields": fields, "optional": False, "name": "orders"}
    # As JsonConverter writes it: without spaces.
    return json.dumps({"schema": schema, "payload": payload}, separators=(",", ":")).encode()


def _hostile(number: int) -> Written:
    return {
        "a.b": {'order "id"': f"q{number}", "größe \u202e": 1, "key": "x", "in": "web", "x]": {"y": 1}},
        "key": f"k{number}",
        "timestamp": NOW_MS + number,
        "to tal": "9.99",
        "line\nbreak\u0000": "z",
        "order-id": f"oo{number}",
        "'; DROP TABLE": "x",
        "n" * 500: "long",
    }


def _change_deletions(number: int) -> Written:
    return (
        None
        if number % 4 == 3
        else {"orderId": f"o{number}", "amount": "5.00", "clientId": f"c{number % 5}", "orderDate": NOW_MS}
    )


def _types(number: int) -> Written:
    return {
        "docType": "order",
        "documentType": one_of(number, "ORDER", "RETURN"),
        "ref": f"R{number}",
        "account": {"id": f"a{number % 3}"},
        "totals": {"gross": "11.90", "net": "10.00", "tax": "1.90"},
        "issuedAt": "2026-01-27T10:00:00Z",
    }


SHAPES: Sequence[Shape] = (
    Shape(
        "a shop's nested JSON",
        _nested,
        {
            "where": 'type == "order.created"',
            "order_id": "order.id",
            "customer_id": "order.customer.id",
            "price": "order.total",
            "created_at": "order.created",
            "region": {"path": "order.shipping.country", "default": "unknown"},
            "currency": {"code": "EUR", "path": "order.currency"},
        },
        50,
    ),
    Shape(
        "flat, of one line",
        _flat,
        {
            "order_id": "order_id",
            "customer_id": "user_id",
            "product": "item",
            "price": "price * quantity",
            "created_at": {"path": "ts", "unit": "s"},
        },
    ),
    Shape(
        "Debezium's changes",
        _debezium,
        {
            "where": 'op in ["c", "r"]',
            "order_id": "after.id",
            "customer_id": "after.customer_id",
            "product": "after.product_code",
            "price": {"path": "after.amount_cents", "unit": "minor"},
            "created_at": {"path": "after.created_at", "unit": "us"},
        },
        50,
    ),
    Shape(
        "CloudEvents, structured",
        _cloud_event,
        {
            "where": 'type == "com.example.order.placed"',
            "order_id": "data.orderNumber",
            "customer_id": "data.buyer.uuid",
            "price": "data.grandTotal.amount",
            "created_at": "time",
            "region": {"path": "data.channel", "default": "unknown"},
            "currency": {"code": "USD", "path": "data.grandTotal.currencyCode"},
        },
    ),
    Shape(
        "CloudEvents, binary",
        _bare,
        {
            "where": 'header:ce_type == "com.example.order.placed"',
            "order_id": "orderNumber",
            "created_at": "header:ce_time",
            "price": "grandTotal.amount",
        },
        50,
        headers=lambda number: (
            ("ce_type", one_of(number, b"com.example.order.placed", b"com.example.order.shipped")),
            ("ce_id", b"%d" % number),
            ("ce_time", b"2026-01-27T10:00:00Z"),
        ),
    ),
    Shape(
        "a payment provider's events",
        _payment_provider,
        {
            "where": 'type == "checkout.session.completed"',
            "order_id": "data.object.id",
            "customer_id": "data.object.customer",
            "price": {"path": "data.object.amount_total", "unit": "minor"},
            "created_at": {"path": "created", "unit": "s"},
            "currency": {"code": "USD", "path": "data.object.currency"},
        },
        50,
    ),
    Shape(
        "shop software",
        _shop_software,
        {
            "order_id": "id",
            "customer_id": "customer.id",
            "price": "total_price",
            "created_at": "created_at",
            "region": {"path": "shipping_address.country_code", "default": "unknown"},
        },
    ),
    Shape(
        "an order in each of its states",
        _states,
        {"where": 'status == "created"', "order_id": "orderId", "price": "totalAmount", "created_at": "createdAt"},
        25,
    ),
    Shape(
        "lines and no total",
        _only_lines,
        {
            "order_id": "orderNumber",
            "customer_id": "customer_number",
            "product": {"path": "positions[].product.name", "line": "dearest"},
            "price": {"path": "sum(positions[].unit_price_cents * positions[].qty)", "unit": "minor"},
            "created_at": {"path": "placedAt", "zone": "UTC"},
        },
    ),
    Shape(
        "web analytics",
        _analytics,
        {
            "where": 'event_name == "purchase"',
            "order_id": "transaction_id",
            "customer_id": "user_id",
            "price": "value",
            "created_at": {"path": "event_timestamp", "unit": "us"},
        },
        20,
    ),
    Shape(
        "Kafka Connect, with schemas",
        _connect,
        {
            "order_id": "payload.order_no",
            "customer_id": "payload.client_id",
            "product": "payload.article",
            "price": "payload.amount",
            "created_at": "payload.order_date",
            "region": {"path": "payload.store", "default": "unknown"},
        },
    ),
    Shape(
        "names that are hard to write",
        _hostile,
        {"order_id": "order-id", "price": '"to tal"', "created_at": '"timestamp"'},
    ),
    Shape(
        "deletions",
        _change_deletions,
        {"where": "orderId != null", "order_id": "orderId", "customer_id": "clientId", "price": "amount"},
        75,
    ),
    Shape(
        "orders beside returns",
        _types,
        {"where": 'documentType == "ORDER"', "order_id": "ref", "customer_id": "account.id", "price": "totals.gross"},
        50,
    ),
)
