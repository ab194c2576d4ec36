"""Movements by JSON Schema, items by marshmallow."""

import json

import jsonschema
from marshmallow import Schema, fields, validate

MOVEMENT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["movement_id", "sku", "quantity"],
    "additionalProperties": False,
    "properties": {
        "movement_id": {"type": "string"},
        "sku": {"type": "string", "pattern": "^[A-Z0-9-]+$"},
        "quantity": {"type": "integer", "minimum": 1},
        "reason": {"enum": ["sale", "return", "count"]},
        "moved_at": {"type": "string"},
        "parts": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "required": ["bin"], "properties": {"weight": {"type": "number"}}},
        },
    },
}


class Lot(Schema):
    number = fields.String(required=True)
    best_before = fields.Date(required=True)


class Item(Schema):
    item_id = fields.String(required=True)
    ean = fields.String(required=True, validate=validate.Length(equal=13))
    weight = fields.Decimal()
    contact = fields.Email()
    lots = fields.List(fields.Nested(Lot))


def read_movement(value: bytes) -> None:
    jsonschema.validate(json.loads(value), MOVEMENT)


def read_item(value: bytes) -> None:
    Item().loads(value.decode())
