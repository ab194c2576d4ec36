"""Suppliers over HTTP; some pass on what their database says."""

from __future__ import annotations

import json
import os

import requests


class SupplierError(Exception):
    """A supplier says no."""


class Suppliers:
    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.base = f"http://127.0.0.1:{os.environ['UPSTREAM_PORT']}"

    def order(self, value: bytes) -> None:
        order = json.loads(value)
        url = f"{order.get('base', self.base)}/suppliers/{order['supplier']}/orders/{order['order']}"
        response = self.session.put(url, json=order, timeout=1.0)
        response.raise_for_status()
        accepted = response.json()
        if accepted["until"] is None:
            raise SupplierError(f"{order['supplier']} promises nothing for {order['order']} ({order['sku']})")

    def job(self, value: bytes) -> None:
        job = json.loads(value)
        response = self.session.post(f"{self.base}/jobs/{job['job']}", data=value, timeout=1.0)
        if response.status_code != 200:
            raise SupplierError(f"job {job['job']} of {job['supplier']} failed: {response.text}")
