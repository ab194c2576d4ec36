"""JSON of any depth is read, or is a dead letter: how deep it may be does not depend on what calls are under way."""

from __future__ import annotations

import sys

import pytest

from pipeline.errors import UndecodableError
from pipeline.orders.formats.json_values import MAXIMUM_DEPTH, JsonReader
from pipeline.orders.mapping.paths import parse_path

READER = JsonReader([parse_path("order.id"), parse_path("lines[].sku")])


@pytest.mark.parametrize("field", ["order", "lines", "elsewhere"])
def test_json_is_read_or_declined_at_every_depth(field: str) -> None:
    limit = sys.getrecursionlimit()
    for depth in (*range(1, MAXIMUM_DEPTH + 50), *range(limit - 200, limit + 50)):
        value = b'{"%s":%s%s}' % (field.encode(), b"[" * depth, b"]" * depth)
        if depth < MAXIMUM_DEPTH:
            READER.read(value)
        else:
            with pytest.raises(UndecodableError, match=f"nested more than {MAXIMUM_DEPTH} deep"):
                READER.read(value)
