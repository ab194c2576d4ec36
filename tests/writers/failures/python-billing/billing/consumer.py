"""Where a record comes in: its type says who handles it."""

from __future__ import annotations

import json

from billing.errors import ProcessingFailed
from billing.gateway import Gateway
from billing.invoices import Invoices
from billing.refunds import Refunds
from billing.store import Store


class Consumer:
    def __init__(self) -> None:
        self.store = Store()
        self.gateway = Gateway()
        self.invoices = Invoices(self.store)
        self.refunds = Refunds(self.store)

    def on_record(self, topic: str, value: bytes) -> None:
        record = json.loads(value.decode("utf-8"))
        if topic == "invoices":
            self.invoices.handle(record)
        elif topic == "refunds":
            self.refunds.handle(record)
        elif topic == "charges":
            self.gateway.charge(record)
        elif topic == "statements":
            self._statement(record)
        else:
            self.store.add(f"{topic.removesuffix('-rows')}s", record)

    def _statement(self, record: dict) -> None:
        try:
            self.invoices.statement(record)
        except Exception as error:
            raise ProcessingFailed(f"record of account {record.get('account')} was not processed") from error
