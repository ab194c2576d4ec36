"""How likely a field of a stranger's record is a field of an order, by its name alone: 0 (not) to about 110.

Names are compared without case and separators, alone and behind the name of what holds them: `order.customer.id` is
`customerid`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.orders.mapping.paths import EACH, Step

_ORDER = {
    "order": 100, "salesorder": 98, "purchaseorder": 96, "ord": 88, "purchase": 92, "po": 80, "booking": 85,
    "transaction": 80, "sale": 80, "checkout": 75, "receipt": 70, "invoice": 65, "cart": 45, "basket": 45,
}  # fmt: skip
_CUSTOMER = {
    "customer": 100, "cust": 95, "buyer": 92, "shopper": 90, "purchaser": 90, "client": 88, "consumer": 85, "user": 82,
    "member": 75, "subscriber": 75, "account": 70, "guest": 62, "payer": 60, "profile": 55, "contact": 50,
}  # fmt: skip
_PRODUCT = {
    "product": 100, "article": 93, "item": 88, "lineitem": 88, "line": 80, "variant": 72, "material": 72, "plan": 75,
    "offer": 62, "listing": 62, "part": 60, "service": 58, "position": 70, "entry": 60, "orderline": 84,
    "orderitem": 86,
}  # fmt: skip
_IDS = {
    "id": 0, "identifier": -3, "uuid": -2, "guid": -2, "number": -8, "no": -10, "nr": -10, "num": -10, "ref": -18,
    "reference": -14, "key": -18, "code": -16,
}  # fmt: skip
_CREATED = {
    "created": 100, "creation": 98, "order": 97, "ordered": 98, "placed": 98, "purchase": 94, "purchased": 95,
    "submitted": 90, "checkout": 88, "sale": 88, "sold": 88, "transaction": 86, "booking": 88, "booked": 88,
    "received": 70, "issued": 70, "occurred": 74, "event": 62,
}  # fmt: skip
_TIMES = ("at", "on", "date", "time", "timestamp", "datetime", "ts", "instant", "")
_CREATIONS = {noun + ending: score for noun, score in _CREATED.items() for ending in _TIMES} | {
    "timestamp": 72, "time": 64, "ts": 64, "date": 60, "datetime": 66, "eventtime": 66, "when": 58, "tsms": 40,
    "cetime": 68,
}  # fmt: skip
_WRAPPERS = frozenset(
    "payload data after body value record event content message msg detail details object document doc entity resource "
    "attributes fields result root envelope model dto".split()
)
_CUSTOMERS_AND_PRODUCTS = _CUSTOMER.keys() | _PRODUCT.keys()


def _product_of(nouns: Mapping[str, int], endings: Mapping[str, int]) -> dict[str, int]:
    return {noun + ending: score + less for noun, score in nouns.items() for ending, less in endings.items()}


_ORDER_IDS = _product_of(_ORDER, _IDS) | {"oid": 60, "order": 58, "cesubject": 46, "subject": 42}
_CUSTOMER_IDS = _product_of(
    _CUSTOMER, _IDS | {"": -8, "email": -35, "emailaddress": -36, "username": -25, "login": -35, "name": -50}
) | {"username": 60, "email": 45, "emailaddress": 44, "userprincipal": 50, "tenantid": 30}
_PRODUCTS = _product_of(
    _PRODUCT,
    _IDS | {"id": -12, "sku": 5, "name": -3, "title": -5, "": -4, "ean": -18, "gtin": -18, "label": -15, "slug": -20},
) | {"sku": 104, "asin": 92, "ean": 86, "gtin": 86, "upc": 86, "isbn": 86, "artnr": 90, "title": 55, "category": 30}
_TOTALS = {
    "grandtotal": 110, "ordertotal": 104, "totalprice": 104, "totalamount": 104, "amounttotal": 102, "pricetotal": 100,
    "finaltotal": 102, "total": 100, "totalgross": 96, "grosstotal": 96, "ordervalue": 94, "orderamount": 98,
    "orderprice": 94, "finalprice": 94, "finalamount": 94, "totalvalue": 94, "totalcost": 90, "totalsum": 94,
    "totaltopay": 92, "totalpaid": 88, "amountpaid": 84, "paidamount": 84, "amountcharged": 80, "price": 86,
    "amount": 84,
    "amt": 72, "revenue": 80, "sum": 78, "paymentamount": 76, "transactionamount": 86, "grossamount": 82,
    "nettotal": 78,
    "totalnet": 74, "netamount": 72, "payment": 40, "subtotal": 64, "value": 44, "charge": 52, "cost": 52, "gross": 55,
    "net": 45,
}  # fmt: skip
_UNIT_PRICES = {
    "unitprice": 104, "priceperunit": 102, "priceeach": 100, "itemprice": 98, "productprice": 96, "price": 96,
    "unitamount": 92, "sellingprice": 92, "saleprice": 92, "grossprice": 84, "netprice": 82, "unitcost": 70,
    "amount": 70,
    "cost": 55, "listprice": 50, "value": 40, "singleprice": 98, "pricegross": 84, "pricenet": 80,
}  # fmt: skip
_LINE_TOTALS = {
    "linetotal": 104, "totalprice": 100, "total": 96, "lineamount": 98, "rowtotal": 98, "linevalue": 92, "subtotal": 84,
    "totalamount": 96, "extendedprice": 94, "amount": 75, "sum": 80, "lineprice": 90,
}  # fmt: skip
_QUANTITIES = {
    "quantity": 100, "qty": 100, "qtyordered": 96, "orderedqty": 96, "orderqty": 96, "orderquantity": 96, "count": 70,
    "units": 70, "pieces": 75, "numberofitems": 60, "itemcount": 60, "amount": 30,
}  # fmt: skip
_REGIONS = {
    "region": 104, "country": 94, "countrycode": 95, "countryiso": 92, "market": 90, "marketplace": 86,
    "saleschannel": 88,
    "channel": 84, "territory": 82, "shop": 66, "shopid": 66, "store": 72, "storeid": 72, "storecode": 72, "site": 58,
    "location": 56, "warehouse": 46, "city": 44, "state": 36, "province": 46, "zone": 44, "tenant": 40, "branch": 56,
    "locale": 34, "platform": 32, "source": 22, "continent": 60, "area": 50, "outlet": 56, "subsidiary": 50,
}  # fmt: skip
_REGION_HOLDERS = frozenset(
    "shipping shippingaddress shipto delivery deliveryaddress address billing billingaddress store shop "
    "customer".split()
)
_CURRENCIES = {
    "currency": 100,
    "currencycode": 104,
    "ccy": 90,
    "curr": 85,
    "cur": 70,
    "currencyiso": 100,
    "isocurrency": 95,
}
_EVENTS = {
    "eventtype": 110, "eventname": 104, "event": 96, "type": 92, "messagetype": 94, "op": 98, "operation": 88,
    "action": 88,
    "changetype": 92, "kind": 70, "recordtype": 70, "cetype": 108, "typeid": 70, "class": 60, "objecttype": 70,
    "@type": 90,
    "topic": 40, "ordertype": 66, "transactiontype": 66, "documenttype": 66, "entrytype": 50, "@class": 80, "name": 30,
}  # fmt: skip
_STATES = {"status": 90, "orderstatus": 100, "state": 84, "orderstate": 96, "stage": 60, "phase": 60, "statuscode": 70}
_NO_TOTALS = (
    "tax vat discount shipping fee refund tip deposit freight commission saving coupon original list old previous "
    "balance "
    "points weight rate min max limit due unit tendered change delivery handling rounding duty"
).split()
_NO_CREATION = (
    "updat modif ship deliver expire due birth delet cancel process ingest last end complet estimat paid payment "
    "confirm "
    "register signup"
).split()
_MINOR_ENDINGS = (
    "incents",
    "cents",
    "cent",
    "minorunits",
    "minorunit",
    "minor",
    "inminor",
    "pence",
    "ore",
    "rappen",
    "grosze",
)
_TIME_ENDINGS = (
    "epochmillis", "epochms", "epochseconds", "epochs", "epoch", "unixtime", "unix", "millis", "micros", "nanos",
    "seconds", "utc", "ms", "us", "ns",
)  # fmt: skip


def plain_name(text: str) -> str:
    """A name without case and separators."""
    return "".join(letter for letter in text.casefold() if letter.isalnum() or letter == "@")


def _own_and_holder(steps: Sequence[Step]) -> tuple[str, str]:
    names = [plain_name(step) for step in steps if isinstance(step, str)]
    if not names:
        return "", ""
    return names[-1], _single(names[-2]) if len(names) > 1 else ""


def _single(name: str) -> str:
    """Of a list's name the name of one item."""
    return name[:-1] if name.endswith("s") and len(name) > 3 and not name.endswith("ss") else name


def is_wrapper(name: str) -> bool:
    """Whether something of this name only holds what is told of."""
    return plain_name(name) in _WRAPPERS


def _by_name(known: Mapping[str, int], own: str, holder: str) -> int:
    # A name says less when something of another kind holds it: `customer.order`, `event.created`.
    behind = known.get(holder + own, 0)
    alone = known.get(own, 0) - (0 if not holder or holder in _WRAPPERS or holder in _ORDER else 8)
    return max(behind, alone, 0)


def _depth(steps: Sequence[Step]) -> int:
    return 2 * sum(isinstance(step, str) and not is_wrapper(step) for step in steps[:-1])


def _order_id(steps: Sequence[Step]) -> int:
    own, holder = _own_and_holder(steps)
    if EACH in steps:
        return 0
    score = _by_name(_ORDER_IDS, own, holder)
    if own in _IDS and (not holder or holder in _WRAPPERS):
        score = max(score, 54 + _IDS[own] // 3)
    return score and score - _depth(steps)


def _customer_id(steps: Sequence[Step]) -> int:
    own, holder = _own_and_holder(steps)
    score = 0 if EACH in steps else _by_name(_CUSTOMER_IDS, own, holder)
    return score and score - _depth(steps)


def _product(steps: Sequence[Step]) -> int:
    own, holder = _own_and_holder(steps)
    score = _by_name(_PRODUCTS, own, holder)
    if own in ("name", "title", "id", "code", "description") and EACH in steps:
        score = max(score, {"name": 84, "title": 84, "description": 60}.get(own, 66))
    return score and score - _depth(steps)


def without_unit(own: str) -> tuple[str, bool]:
    """A name of an amount without what it counts, and whether that is minor units."""
    for ending in _MINOR_ENDINGS:
        if own.endswith(ending) and len(own) > len(ending):
            return own.removesuffix(ending), True
    return own, False


def _amount(known: Mapping[str, int], steps: Sequence[Step]) -> int:
    own, holder = _own_and_holder(steps)
    own, _ = without_unit(own)
    score = known.get(own, 0)
    if own in ("amount", "value", "total", "gross", "price", "cent", "number", "decimal") and holder in known:
        score = max(score, known[holder] - 1)
    if not score and (own[:-3] in known and own[-3:] in ("eur", "usd", "gbp", "chf", "sek", "pln")):
        score = known[own[:-3]] - 4
    return score


def _total(steps: Sequence[Step]) -> int:
    names = [plain_name(step) for step in steps if isinstance(step, str)]
    if EACH in steps or any(each in name for name in names for each in _NO_TOTALS):
        return 0
    score = _amount(_TOTALS, steps)
    if not score and names:
        told = (("total", 76), ("amount", 62), ("price", 60), ("revenue", 60))
        score = max((worth for part, worth in told if part in names[-1]), default=0)
    return score and score - _depth(steps)


def unit_price(steps: Sequence[Step]) -> int:
    """The price of one piece."""
    own, _ = _own_and_holder(steps)
    bad = [each for each in _NO_TOTALS if each not in ("unit", "list") and each in own]
    return 0 if bad else _amount(_UNIT_PRICES, steps)


def line_total(steps: Sequence[Step]) -> int:
    """The price of a line of an order, with all its pieces."""
    own, _ = _own_and_holder(steps)
    return 0 if any(each in own for each in _NO_TOTALS) else _amount(_LINE_TOTALS, steps)


def quantity(steps: Sequence[Step]) -> int:
    """How many pieces."""
    own, holder = _own_and_holder(steps)
    return _QUANTITIES.get(own, _QUANTITIES.get(holder, 0) if own in ("value", "amount", "number") else 0)


def _created_at(steps: Sequence[Step]) -> int:
    own, holder = _own_and_holder(steps)
    if EACH in steps or any(each in own for each in _NO_CREATION) or holder in _CUSTOMERS_AND_PRODUCTS:
        return 0
    names = [own, *(own.removesuffix(each) for each in _TIME_ENDINGS if own.endswith(each) and own != each)]
    score = max(_by_name(_CREATIONS, name, holder) for name in names)
    return score and score - _depth(steps)


def _region(steps: Sequence[Step]) -> int:
    own, holder = _own_and_holder(steps)
    if EACH in steps:
        return 0
    score = _REGIONS.get(own, 0)
    if own in ("code", "name", "id", "iso") and holder in _REGIONS:
        score = _REGIONS[holder] - 2
    if holder in _PRODUCT:
        return 0
    return score and score - (_depth(steps) if holder not in _REGION_HOLDERS else 2)


def currency(steps: Sequence[Step]) -> int:
    """The code of the currency of amounts."""
    own, holder = _own_and_holder(steps)
    score = _CURRENCIES.get(own, _CURRENCIES.get(holder, 0) if own in ("code", "iso", "iso3") else 0)
    if not score and "currency" in own:
        score = 70
    return score and score - _depth(steps)


def event_type(steps: Sequence[Step]) -> int:
    """What has happened, or what kind of record it is."""
    own, holder = _own_and_holder(steps)
    if EACH in steps or holder in _CUSTOMERS_AND_PRODUCTS or holder == "payment":
        return 0
    score = max(_EVENTS.get(own, 0), _EVENTS.get(holder + own, 0))
    return score and score - _depth(steps)


def state(steps: Sequence[Step]) -> int:
    """How far an order is."""
    own, holder = _own_and_holder(steps)
    if EACH in steps or holder in _CUSTOMERS_AND_PRODUCTS or holder in ("payment", "shipping", "delivery"):
        return 0
    score = max(_STATES.get(own, 0), _STATES.get(holder + own, 0))
    return score and score - _depth(steps)


SCORES: Mapping[str, Callable[[Sequence[Step]], int]] = {
    "order_id": _order_id,
    "customer_id": _customer_id,
    "product": _product,
    "price": _total,
    "created_at": _created_at,
    "region": _region,
}
"""By the field of an order."""
