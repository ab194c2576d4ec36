"""Invoices and statements."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from billing.errors import BillingError
from billing.store import Store

VOUCHERS = {"WELCOME10": 10, "SPRING24": 15}


class Line(BaseModel):
    sku: str
    quantity: int
    price: Annotated[Decimal, Field(ge=0)]


class Invoice(BaseModel):
    invoice_no: str
    customer_id: str
    due_date: date
    currency: Literal["EUR", "USD", "GBP"]
    lines: list[Line]
    voucher: str | None = None
    shipping_address: dict | None = None

    @model_validator(mode="after")
    def _has_lines(self) -> Invoice:
        if not self.lines:
            raise ValueError(f"invoice {self.invoice_no} has no lines")
        return self


class Invoices:
    def __init__(self, store: Store) -> None:
        self.store = store

    def handle(self, record: dict) -> None:
        invoice = Invoice.model_validate(record)
        total = sum((line.price * line.quantity for line in invoice.lines), Decimal(0))
        if invoice.voucher:
            total -= total * VOUCHERS[invoice.voucher] / 100
        if invoice.shipping_address:
            self._ship_to(invoice.shipping_address)
        if total > 100_000:
            raise BillingError(f"invoice {invoice.invoice_no} for {invoice.customer_id}: {total} is above the limit")

    def _ship_to(self, address: dict) -> str:
        street = address["street"]
        return f"{street}, {address['postcode']} {address['city'].upper()}"

    def statement(self, record: dict) -> None:
        country = self.store.country_of(record["account"]) if record.get("with_tax") else "DE"
        name = self.store.name_of(record["account"]) if record.get("by_name") else record["account"]
        balance = self._balance(record["entries"], record["account"])
        share = balance / Decimal(record["months"])
        print_line = f"{name} ({country}): {share}"
        if "/" in print_line:
            raise BillingError(f"statement for {name} cannot be printed")

    def _balance(self, entries: list[dict], account: str) -> Decimal:
        total = Decimal(0)
        for position, entry in enumerate(entries):
            try:
                total += Decimal(entry["amount"])
            except InvalidOperation as error:
                raise BillingError(f"account {account}, entry {position}: bad amount {entry['amount']!r}") from error
        return total
