"""Refunds, which may stand for others."""

from __future__ import annotations

from datetime import datetime

from billing.errors import BillingError
from billing.store import Store


class Refunds:
    def __init__(self, store: Store) -> None:
        self.store = store

    def handle(self, refund: dict) -> None:
        origin = self._origin(refund)
        if refund.get("paid_at"):
            origin["paid_at"] = datetime.fromisoformat(refund["paid_at"])
        buyer = refund["buyer"]["name"]
        seller = refund["seller"]["name"]
        reference = f"{buyer}/{seller}/" + refund["reference"].strip()
        if refund.get("blocked"):
            raise BillingError(f"{buyer} is blocked since {refund['blocked']} by {refund['by']}")
        self._book(reference, refund["amounts"], refund.get("split", 1))

    def _origin(self, refund: dict) -> dict:
        """The refund that all of these stand for."""
        if "replaces" in refund:
            return self._origin(refund["replaces"])
        if refund["state"] == "void":
            raise BillingError(f"refund {refund['refund_id']} is void")
        return refund

    def _book(self, reference: str, amounts: list[str], split: int) -> None:
        cents = [int(amount.replace(".", "")) for amount in amounts]
        parts = sum(cents) // split
        first = cents[split - 1]
        if first < parts:
            raise BillingError(f"{reference}: first part {first} is below {parts}, amounts {amounts}")
