"""Which topic is handled by whom."""

from __future__ import annotations

from inventory import avro, reservations, schema
from inventory.db import Database
from inventory.files import Files
from inventory.suppliers import Suppliers


class Router:
    def __init__(self) -> None:
        database = Database()
        suppliers = Suppliers()
        files = Files()
        self.handlers = {
            "stock": avro.read_stock,
            "movements": schema.read_movement,
            "items": schema.read_item,
            "articles": database.add_article,
            "articles-de": database.add_german_article,
            "lots": database.add_lot,
            "searches": database.search,
            "supplier-orders": suppliers.order,
            "supplier-jobs": suppliers.job,
            "files": files.take,
        }
        self.coroutines = {"reservations": reservations.reserve, "batches": reservations.reserve_all}

    async def dispatch(self, topic: str, value: bytes) -> None:
        if topic in self.coroutines:
            await self.coroutines[topic](value)
        else:
            self.handlers[topic](value)
