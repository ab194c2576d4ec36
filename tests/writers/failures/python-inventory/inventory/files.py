"""Deliveries that name a file, or carry one."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from datetime import datetime
from pathlib import Path


class Files:
    def take(self, value: bytes) -> None:
        delivery = json.loads(value)
        getattr(self, f"_by_{delivery['by']}")(delivery)

    def _by_path(self, delivery: dict) -> None:
        text = Path(delivery["path"]).read_text()
        raise ValueError(f"{delivery['path']} has {len(text)} characters")

    def _by_content(self, delivery: dict) -> None:
        content = base64.b64decode(delivery["content"], validate=True)
        rows = gzip.decompress(content).splitlines()
        self._parse(rows)

    def _by_rows(self, delivery: dict) -> None:
        self._parse([row.encode() for row in delivery["rows"]])

    def _parse(self, rows: list[bytes]) -> None:
        for number, row in enumerate(rows, 1):
            sku, count, counted = row.decode().split(";")
            day = datetime.strptime(counted, "%Y-%m-%d")
            if int(count) > 9_999:
                raise OverflowError(f"row {number}: {count} of {sku} on {day:%A %d %B} is too many")

    def _by_reference(self, delivery: dict) -> None:
        reference = uuid.UUID(delivery["reference"])
        raise LookupError(f"delivery {reference} of {delivery['supplier']} is not announced")
