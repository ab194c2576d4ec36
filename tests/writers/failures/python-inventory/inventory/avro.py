"""Stock levels in Avro without a frame."""

import io

import fastavro

STOCK = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Stock",
        "fields": [
            {"name": "sku", "type": "string"},
            {"name": "site", "type": {"type": "enum", "name": "Site", "symbols": ["NORTH", "SOUTH"]}},
            {"name": "level", "type": ["null", "long"]},
        ],
    }
)


def read_stock(value: bytes) -> None:
    stock = fastavro.schemaless_reader(io.BytesIO(value), STOCK)
    if stock["level"] < 0:
        raise ValueError(f"level of {stock['sku']} at {stock['site']} is {stock['level']}")
