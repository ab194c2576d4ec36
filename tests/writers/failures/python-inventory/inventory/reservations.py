"""Reservations, some of many items at once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

STOCK = {"A": 3, "B": 0}


class ReservationFailed(Exception):
    """Whatever went wrong with one."""


class BestandReichtNicht(Exception):
    """The German warehouse speaks German."""


@dataclass
class Reservation:
    reservation: str
    sku: str
    wanted: int
    buyer: dict
    until: str | None = None
    site: dict | None = None
    token: str | None = None
    parent: dict | None = None


async def reserve(value: bytes) -> None:
    reservation = Reservation(**json.loads(value))
    if reservation.parent:
        await _above(reservation.parent)
    if reservation.token:
        raise PermissionError(f"token {reservation.token} of {reservation.buyer['name']} is no longer valid")
    if reservation.until:
        _until(reservation)
    await _at_site(reservation)


async def _above(parent: dict) -> None:
    """Goes up to the first reservation."""
    await asyncio.sleep(0)
    if parent.get("parent"):
        await _above(parent["parent"])
    else:
        raise ReservationFailed(f"reservation {parent['reservation']} was closed on {parent['closed']}")


def _until(reservation: Reservation) -> None:
    kind, _, when = reservation.until.partition(" ")
    if kind == "expired":
        raise ReservationFailed(f"{reservation.buyer['name']} in {reservation.buyer['city']}: offer expired {when}")
    if kind == "withdrawn":
        raise ReservationFailed(f"{reservation.buyer['name']} in {reservation.buyer['city']}: offer withdrawn {when}")
    raise AssertionError(kind)


async def _at_site(reservation: Reservation) -> None:
    site = reservation.site
    if site["language"] == "de":
        raise BestandReichtNicht(
            f"Für {reservation.sku} in {site['city']} fehlen {reservation.wanted} (Anfrage {reservation.reservation})"
        )
    if site["language"] == "es":
        raise ReservationFailed(f"no se encontró el artículo {reservation.sku} en el almacén de {site['city']}")
    try:
        await _free(site, reservation)
    except (TypeError, ZeroDivisionError, KeyError, AttributeError) as error:
        raise ReservationFailed(f"could not reserve {reservation.sku} for {reservation.buyer['name']}") from error


async def _free(site: dict, reservation: Reservation) -> None:
    share = reservation.wanted / site["shelves"]
    shelf = site["shelf"].upper()
    closed = site["closed"].get("from").lower()
    if share > 10:
        raise ReservationFailed(f"shelf {shelf} has no room for {share:.1f} {reservation.sku} before {closed}")


async def _take(item: dict) -> None:
    await asyncio.sleep(0)
    if item["have"] < item["wanted"]:
        raise ReservationFailed(f"only {item['have']} of {item['sku']} left, {item['wanted']} wanted")


async def reserve_all(value: bytes) -> None:
    batch = json.loads(value)
    try:
        async with asyncio.timeout(batch.get("within", 5)), asyncio.TaskGroup() as tasks:
            for item in batch["items"]:
                tasks.create_task(_take(item))
            await asyncio.sleep(batch.get("pause", 0))
    except TimeoutError as error:
        raise ReservationFailed(f"batch {batch['batch']} took too long") from error
