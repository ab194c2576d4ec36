"""Classes and texts of the Protobuf messages, made of the `.proto` files by protoc as grpcio-tools has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc_tools
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc
from shared import SCHEMAS, Order, cents

DESCRIPTORS = "shop.desc"
PROTOS = ("shop.proto", "checkout.proto")
# The known types are in the pool by being imported.
assert timestamp_pb2


def write_descriptors() -> None:
    """Writes the descriptor set that a reader of plain Protobuf needs."""
    include = Path(grpc_tools.__file__).with_name("_proto")
    target = SCHEMAS / DESCRIPTORS
    told = ["protoc", f"-I{SCHEMAS}", f"-I{include}", f"--descriptor_set_out={target}", "--include_imports", *PROTOS]
    if protoc.main(told) != 0:
        raise SystemExit("protoc failed")
    pool = Default()
    for file in FileDescriptorSet.FromString(target.read_bytes()).file:
        if file.name in PROTOS:
            pool.Add(file)


def message_class(name: str) -> Any:
    return GetMessageClass(Default().FindMessageTypeByName(name))


def shop_order(order: Order) -> Any:
    """Of shop.proto: minor units, and a Timestamp."""
    message = message_class("shop.Order")(order_id=order.order_id, total_cents=cents(order.total))
    message.currency = message.DESCRIPTOR.file.enum_types_by_name["Currency"].values_by_name[order.currency].number
    message.created_at.FromDatetime(order.created_at)
    _common(message, order)
    for line in order.lines:
        message.lines.add(sku=line.sku, unit_price_cents=cents(line.unit_price), quantity=line.quantity)
    return message


def checkout_order(order: Order) -> Any:
    """Of checkout.proto, inside of Checkout: amounts as text, milliseconds."""
    message = message_class("shop.checkout.Checkout.Order")(
        order_id=order.order_id, total=str(order.total), currency=order.currency, created_at_ms=order.created_at_ms
    )
    _common(message, order)
    for line in order.lines:
        message.lines.add(sku=line.sku, unit_price=str(line.unit_price), quantity=line.quantity)
    return message


def subscription_order(order: Order) -> Any:
    """Of checkout.proto, its second message: flat, microseconds."""
    return message_class("shop.checkout.SubscriptionOrder")(
        order_id=order.order_id,
        customer_id=order.customer_id,
        sku=order.lines[0].sku,
        total=str(order.total),
        currency=order.currency,
        created_at_us=order.created_at_ms * 1000,
        region=order.region,
    )


def _common(message: Any, order: Order) -> None:
    message.customer.id = order.customer_id
    if order.customer_name is not None:
        message.customer.name = order.customer_name
    if order.region is not None:
        message.region = order.region
    if order.note is not None:
        message.note = order.note
