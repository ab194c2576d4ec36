"""JSON of any depth is read, or is a dead letter: how deep it may be depends on how many calls are under way."""

from __future__ import annotations

import sys

import pytest

from pipeline.errors import UndecodableError
from pipeline.orders.formats.json_values import TOO_DEEP, JsonReader
from pipeline.orders.mapping.paths import parse_path

READER = JsonReader([parse_path("order.id"), parse_path("lines[].sku")])


@pytest.mark.parametrize("field", ["order", "lines", "elsewhere"])
def test_json_is_read_or_declined_at_every_depth(field: str) -> None:
    reasons = set()
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 50):
        try:
            READER.read(b'{"%s":%s%s}' % (field.encode(), b"[" * depth, b"]" * depth))
        except UndecodableError as error:
            reasons.add(error.reason)
    assert reasons == {TOO_DEEP}
