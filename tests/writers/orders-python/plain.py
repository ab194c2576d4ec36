"""What programs in Python write without a registry: JSON by its own module, Avro's single-object encoding by the
package avro, and Protobuf as it is."""

from __future__ import annotations

import json
import platform
from io import BytesIO
from pathlib import Path

import avro
import avro.schema
import google.protobuf
from avro.io import BinaryEncoder, DatumWriter
from messages import DESCRIPTORS, shop_order
from shared import SCHEMAS, Recording, as_avro, as_json, orders

MADE_BY = "orders-python/plain.py"
SINGLE_OBJECT = b"\xc3\x01"
FINGERPRINT = "CRC-64-AVRO"


def write(folder: Path) -> None:
    _write_json(folder)
    _write_avro(folder)
    _write_protobuf(folder)


def _write_json(folder: Path) -> None:
    how = "json.dumps as it comes: amounts are floats, other than ASCII is escaped"
    recording = Recording("python-json", "Python's json", platform.python_version(), MADE_BY, how)
    for order in orders():
        recording.add_order(order, json.dumps(as_json(order)))
    recording.write(folder)


def _write_avro(folder: Path) -> None:
    """The package has no encoder for single objects; the fingerprint of its own differs from that of others."""
    text = (SCHEMAS / "order.avsc").read_text(encoding="utf-8")
    schema = avro.schema.parse(text)
    how = "DatumWriter behind C3 01 and Schema.fingerprint('CRC-64-AVRO')"
    recording = Recording("python-avro-single", "avro (Python)", avro.__version__, MADE_BY, how)
    for order in orders():
        body = BytesIO()
        DatumWriter(schema).write(as_avro(order), BinaryEncoder(body))
        recording.add_order(order, SINGLE_OBJECT + schema.fingerprint(FINGERPRINT) + body.getvalue())
    recording.write(folder, schema_files=["order.avsc"])


def _write_protobuf(folder: Path) -> None:
    how = "SerializeToString of shop.Order"
    recording = Recording("python-protobuf", "protobuf (Python)", google.protobuf.__version__, MADE_BY, how)
    for order in orders():
        recording.add_order(order, shop_order(order).SerializeToString())
    recording.write(folder, schema_files=[DESCRIPTORS])
