"""What may stand in the schemas folder, and what of it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from pipeline.errors import SettingsError
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from tests.support.orders_as_bytes import (
    LOCAL,
    NEWEST,
    ORDER,
    SCHEMAS,
    STORE,
    Registry,
    datum,
    with_extra_field,
    with_field,
    written,
)


def test_a_schemas_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere has no order.v1.avsc"):
        SchemaStore(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "order.v1.avsc cannot be used: it is no Avro schema"),
        (b"\xff\xfe", "order.v1.avsc cannot be read"),
        (b'"string"', "order.v1.avsc describes no Order: it is no record"),
        (
            json.dumps(with_field("price", type="double")).encode(),
            "order.v1.avsc describes no Order: price is of type double and must be a decimal",
        ),
    ],
)
def test_a_broken_schema_file_is_named_in_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "order.v1.avsc").write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        SchemaStore(tmp_path)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_version_that_is_not_in_the_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "order.v1.avsc").write_text(STORE.version(1).text)
    with pytest.raises(SettingsError, match=r"no order\.v2\.avsc"):
        OrderCodec(SchemaStore(tmp_path)).encode(ORDER, version=2)


def test_a_folder_whose_latest_version_leaves_out_a_field_is_read_and_not_written(tmp_path: Path) -> None:
    (tmp_path / "order.v1.avsc").write_text(STORE.version(1).text)
    codec = OrderCodec(SchemaStore(tmp_path))
    assert codec.decode(LOCAL.encode(ORDER, version=1)).region == "unknown"
    with pytest.raises(SettingsError, match=r"order\.v1\.avsc: it has no field region"):
        codec.encode(ORDER)


@pytest.mark.parametrize(
    "changed",
    [
        with_field("price", type={"type": "bytes", "logicalType": "decimal", "precision": 14, "scale": 4}),
        with_field("created_at", type={"type": "long", "logicalType": "timestamp-micros"}),
        with_extra_field("string"),
    ],
)
def test_a_schema_that_would_send_other_orders_than_ours_is_not_written(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    (tmp_path / "order.v2.avsc").write_text(json.dumps(changed))
    codec = OrderCodec(SchemaStore(tmp_path), Registry(changed))
    assert codec.decode(written(changed, datum(extra="x"))).order_id == "ORD-1"
    with pytest.raises(SettingsError, match=r"cannot be written as order\.v2\.avsc"):
        codec.encode(ORDER)


def test_a_schema_of_somebody_else_in_the_folder_is_found_by_its_fingerprint(tmp_path: Path) -> None:
    theirs = NEWEST | {"namespace": "com.shop", "fields": list(reversed(NEWEST["fields"]))}
    (tmp_path / "order.v2.avsc").write_text(STORE.latest.text)
    (tmp_path / "shop.avsc").write_text(json.dumps(theirs))
    fingerprint = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(theirs), "CRC-64-AVRO")
    value = b"\xc3\x01" + bytes.fromhex(fingerprint) + written(theirs, datum())[5:]
    assert OrderCodec(SchemaStore(tmp_path)).decode(value) == ORDER


def test_every_field_of_every_schema_is_explained() -> None:
    for path in SCHEMAS.glob("*.avsc"):
        schema = json.loads(path.read_text())
        assert schema["doc"]
        assert all(field["doc"] for field in schema["fields"]), path
