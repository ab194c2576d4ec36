"""Mapping files of tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.orders.fields import ORDER_FIELDS


def section_of_order(topic: str) -> str:
    """The section that reads `Order` as the schemas folder has it."""
    fields = (f'{each.avro_name} = "{each.avro_name}"' for each in ORDER_FIELDS)
    return "\n".join([f'[topics."{topic}"]', *fields, ""])


def write_sections(path: Path, topics: Iterable[str]) -> None:
    """Writes a file in which these topics hold `Order`, in place of the one before."""
    new = path.with_suffix(".new")
    new.write_text("\n".join(map(section_of_order, sorted(topics))))
    new.replace(path)
