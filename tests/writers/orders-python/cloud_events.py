"""What the package cloudevents writes: an event whose data is an order, its attributes in headers or in the value."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from cloudevents.core.bindings.kafka import KafkaMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from shared import Order, Recording, as_json, orders


def write(folder: Path) -> None:
    _record(folder, "binary", to_binary_event)
    _record(folder, "structured", to_structured_event)


def _record(folder: Path, mode: str, binding: Callable[[CloudEvent], KafkaMessage]) -> None:
    recording = Recording(
        f"cloudevents-python-{mode}",
        "cloudevents (Python)",
        version("cloudevents"),
        "orders-python/cloud_events.py",
        f"{binding.__name__}; data is a dict",
    )
    for order in orders():
        message = binding(_event(order))
        key = message.key.encode() if isinstance(message.key, str) else message.key
        recording.add_order(order, message.value, message.headers.items(), key)
    recording.write(folder)


def _event(order: Order) -> CloudEvent:
    attributes = {
        "id": f"event-{order.order_id}",
        "source": "/shop/checkout",
        "type": "shop.order.placed",
        "specversion": "1.0",
        "subject": order.order_id,
        "time": order.created_at,
        "datacontenttype": "application/json",
        "partitionkey": order.customer_id,
    }
    return CloudEvent(attributes, as_json(order))
