"""What varies from one record to the next: ids of every shape, names, times, amounts, places. Nobody in it is real."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from random import Random

_PART = re.compile(r"\{\{>([a-z_-]+)\}\}")
_PLACEHOLDER = re.compile(r"\{\{([a-z_0-9]+)(?:#\w+)?\}\}")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NANO = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"
_FIRST = "Ada Bram Chidi Daria Émile Farah Goran Hana Ivo Jun Kaveh Lotte Mbali Nils Oyá Petra Rosa Søren Tane".split()
_LAST = "Abelung Brookfern O'Dunnagh Carrowby Dvorakis Eskelund Fernhollow Grünwaldt Haverstock Kwabeni".split()
_CITIES = "Lisbon Oulu Graz Cork Málaga Gdynia Turku Aarhus Split Leuven".split()
_ADJECTIVES = "green black smoked roasted wild sweet old mild rough plain".split()
_GOODS = "tea coffee pepper honey lamp kettle bowl towel basket candle".split()
_NOTES = (
    "leave at the door",
    "ring twice",
    "gift, please wrap",
    "call before delivery: the gate is locked",
    "no plastic (allergies!)",
    "deliver on a Saturday; otherwise keep it",
)


class Inputs:
    """The values of one record: a name stands for the same value wherever it is used in it."""

    def __init__(self, seed: str, parts: Mapping[str, str]) -> None:
        self._random = Random(seed)
        self._parts = parts
        self._values: dict[str, str] = {}

    def fill(self, template: str) -> str:
        """The template with `{{name}}` replaced; `{{name#2}}` is another value of the same kind, `{{>name}}` a part."""
        return _PLACEHOLDER.sub(self._value, _PART.sub(lambda match: self._parts[match[1]], template))

    def _value(self, match: re.Match[str]) -> str:
        whole, name = match[0], match[1]
        if whole not in self._values:
            self._values[whole] = KINDS[name](self._random)
        return self._values[whole]


def _letters(random: Random, alphabet: str, count: int) -> str:
    return "".join(random.choice(alphabet) for _ in range(count))


def _uuid(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _ulid(random: Random) -> str:
    return "01" + _letters(random, _CROCKFORD, 24)


def _hex(random: Random) -> str:
    return _letters(random, "0123456789abcdef", random.choice((8, 12, 24, 32)))


def _number(random: Random) -> str:
    return str(random.randrange(10 ** random.choice((2, 4, 6, 9)), 10**10))


def _base58(random: Random) -> str:
    return _letters(random, _BASE58, random.choice((11, 22)))


def _nano(random: Random) -> str:
    return _letters(random, _NANO, 21)


def _numbered(random: Random) -> str:
    prefix, year = random.choice(("ORD", "PO", "RMA", "SO")), random.randrange(2019, 2027)
    return f"{prefix}-{year}-{random.randrange(10_000):04}"


def _lettered(random: Random) -> str:
    return f"{random.choice('CKPX')}{random.randrange(100_000):05}"


def _scoped(random: Random) -> str:
    return random.choice(("shop.{}", "de:{}", "eu_{}", "tenant~{}", "order@{}")).format(random.randrange(100, 99_999))


_ID_SHAPES = (_uuid, _ulid, _hex, _number, _base58, _nano, _numbered, _lettered, _scoped)


def _id(random: Random) -> str:
    return random.choice(_ID_SHAPES)(random)


def _customer(random: Random) -> str:
    return f"{random.choice(_FIRST)} {random.choice(_LAST)}"


def _email(random: Random) -> str:
    name = random.choice(_FIRST).lower().encode("ascii", "ignore").decode()
    return f"{name}{random.choice(('.', '_', '+'))}{random.choice(_GOODS)}@{random.choice(('mail', 'post'))}.example"


def _sku(random: Random) -> str:
    words = f"{random.choice(_GOODS)}-{random.choice(_ADJECTIVES)}".upper()
    return words if random.random() < 0.3 else f"{words}-{random.randrange(10, 2000)}"


def _product(random: Random) -> str:
    return f"{random.choice(_ADJECTIVES).title()} {random.choice(_GOODS).title()}"


def _amount(random: Random) -> str:
    return f"{random.randrange(1, 10 ** random.randrange(2, 6))}.{random.randrange(100):02}"


def _moment(random: Random) -> datetime:
    zone = random.choice((UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-5))))
    return datetime(2026, 1, 1, tzinfo=zone) + timedelta(seconds=random.randrange(25_000_000))


def _at(random: Random) -> str:
    moment = _moment(random)
    formats = (
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S,%f",
        "%d/%b/%Y:%H:%M:%S %z",
        "%a, %d %b %Y %H:%M:%S GMT",
        "%d.%m.%Y %H:%M",
    )
    chosen = random.choice((*formats, "iso", "seconds", "millis"))
    if chosen == "iso":
        return moment.isoformat()
    if chosen in ("seconds", "millis"):
        return str(int(moment.timestamp()) * (1000 if chosen == "millis" else 1))
    return moment.strftime(chosen)


def _date(random: Random) -> str:
    return _moment(random).date().isoformat()


def _day(random: Random) -> str:
    return _moment(random).strftime(random.choice(("%d.%m.%Y", "%m/%d/%Y", "%d %B %Y", "%Y%m%d")))


def _pod(random: Random) -> str:
    tail = _letters(random, "bcdfghjklmnpqrstvwxz2456789", 5)
    return f"{random.choice(('billing', 'picker', 'carrier-sync'))}-{_letters(random, '0123456789abcdef', 9)}-{tail}"


def _host(random: Random) -> str:
    names = ("db-{}.shop.internal", "cache{}.eu-west-1.shop.internal", "10.2.{}.17", "node-{}")
    return random.choice(names).format(random.randrange(1, 250))


def _path(random: Random) -> str:
    day = f"{random.randrange(2020, 2027)}/{random.randrange(1, 13):02}"
    return f"/var/spool/{random.choice(_GOODS)}/{day}/{_hex(random)}.json"


def _url(random: Random) -> str:
    root = f"https://{random.choice(_GOODS)}.shop.example/{random.choice(('v1', 'api/v2'))}"
    return f"{root}/orders/{_id(random)}?page={random.randrange(9)}"


def _token(random: Random) -> str:
    def part(data: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    signature = base64.urlsafe_b64encode(random.randbytes(32)).decode().rstrip("=")
    claims = {"sub": _id(random), "exp": random.randrange(10**9)}
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.{signature}"


def _skus(random: Random) -> str:
    return json.dumps([_sku(random) for _ in range(random.randrange(1, 6))])


def _good_lines(random: Random) -> str:
    """Some lines of an order, each with a comma after it: what comes next is at another position every time."""
    lines = [
        {"sku": _sku(random), "quantity": random.randrange(1, 9), "price": _amount(random)}
        for _ in range(random.randrange(4))
    ]
    return "".join(json.dumps(line) + ", " for line in lines)


def _amounts(random: Random) -> str:
    return json.dumps([_amount(random) for _ in range(random.randrange(1, 6))])[1:-1]


def _refund_chain(random: Random) -> str:
    refund: dict[str, object] = {"refund_id": _id(random), "state": "void"}
    for _ in range(random.randrange(1, 8)):
        refund = {"refund_id": _id(random), "replaces": refund}
    return json.dumps(refund)


def _list(random: Random, made: Callable[[Random], object]) -> str:
    """Up to four of them as JSON, each with a comma after it."""
    return "".join(json.dumps(made(random)) + ", " for _ in range(random.randrange(5)))


def _short_items(random: Random) -> str:
    items = [{"sku": _sku(random), "have": 2, "wanted": random.randrange(3, 90)} for _ in range(random.randrange(1, 5))]
    return json.dumps(items)[1:-1]


def _parents(random: Random) -> str:
    parent: dict[str, object] = {"reservation": _id(random), "closed": _at(random)}
    for _ in range(random.randrange(5)):
        parent = {"reservation": _id(random), "parent": parent}
    return json.dumps(parent)


def _categories(random: Random) -> str:
    category: dict[str, object] = {"name": random.choice(_GOODS)}
    for _ in range(random.randrange(6)):
        category = {"name": random.choice(_ADJECTIVES), "parent": category}
    return json.dumps(category)


def _nested_leg(random: Random) -> str:
    leg: dict[str, object] = {"by": "speed", "speed": 0}
    for _ in range(random.randrange(5)):
        leg = {"by": "nested", "leg": leg}
    return json.dumps(leg)


def _entry_parents(random: Random) -> str:
    entry: dict[str, object] = {"id": _id(random), "account": "a"}
    for _ in range(random.randrange(1, 5)):
        entry = {"id": _id(random), "account": "a", "parent": entry}
    return json.dumps(entry)


def _tree(random: Random) -> str:
    node: dict[str, object] = {"name": random.choice(_GOODS)}
    for _ in range(random.randrange(5)):
        node = {"name": random.choice(_ADJECTIVES), "next": node}
    return json.dumps(node)


def _ownerless(random: Random) -> str:
    items = [{"offer": _id(random), "rules": "owner"} for _ in range(random.randrange(1, 6))]
    return json.dumps(items)[1:-1]


def _threads(random: Random) -> str:
    thread: dict[str, object] = {"id": _id(random), "owner": _customer(random)}
    for _ in range(random.randrange(5)):
        thread = {"id": _id(random), "parent": thread}
    return json.dumps(thread)


def _closed_ports(random: Random) -> str:
    return json.dumps([f"http://127.0.0.1:{random.randrange(1, 9)}" for _ in range(random.randrange(1, 6))])[1:-1]


def _levels(random: Random) -> str:
    level: dict[str, object] = {"of": _id(random)}
    for _ in range(random.randrange(6)):
        level = {"inner": level}
    return json.dumps(level)


def _meta(random: Random) -> str:
    names = random.sample(_ADJECTIVES, random.randrange(1, 4))
    return json.dumps({name: _id(random) for name in names})


def _nested(random: Random) -> str:
    """JSON in a JSON string, as where a record carries another one."""
    inner = {
        "ref": _id(random),
        "buyer": _customer(random),
        "skus": [_sku(random) for _ in range(random.randrange(1, 4))],
    }
    return json.dumps(json.dumps(inner, ensure_ascii=False), ensure_ascii=False)[1:-1]


KINDS: dict[str, Callable[[Random], str]] = {
    "id": _id,
    "uuid": _uuid,
    "hex": _hex,
    "number": _number,
    "lettered": _lettered,
    "customer": _customer,
    "email": _email,
    "sku": _sku,
    "product": _product,
    "amount": _amount,
    "at": _at,
    "date": _date,
    "day": _day,
    "city": lambda random: random.choice(_CITIES),
    "word": lambda random: random.choice(_ADJECTIVES),
    "note": lambda random: random.choice(_NOTES),
    "pod": _pod,
    "host": _host,
    "path": _path,
    "url": _url,
    "token": _token,
    "skus": _skus,
    "nested": _nested,
    "good_lines": _good_lines,
    "amounts": _amounts,
    "parts": lambda random: _list(random, lambda random: {"bin": random.randrange(99)}),
    "lots": lambda random: _list(random, lambda random: {"number": _id(random), "best_before": _date(random)}),
    "short_items": _short_items,
    "parents": _parents,
    "categories": _categories,
    "flat_items": lambda random: _list(
        random, lambda random: {"sku": _sku(random), "count": 1, "sizes": {"height": 1}}
    ),
    "more_crew": lambda random: json.dumps([_customer(random) for _ in range(random.randrange(1, 5))])[1:-1],
    "nested_leg": _nested_leg,
    "entry_parents": _entry_parents,
    "counted_lines": lambda random: _list(random, lambda random: {"sku": _sku(random), "count": 1}),
    "meta": _meta,
    "levels": _levels,
    "image_list": lambda random: _list(random, lambda random: {"path": _path(random), "width": 4}),
    "threads": _threads,
    "closed_ports": _closed_ports,
    "tree": _tree,
    "ownerless": _ownerless,
    "yaml_lines": lambda random: "".join(f"x{number}: 1\n" for number in range(random.randrange(5))),
    "hosts": lambda random: json.dumps([_host(random) for _ in range(random.randrange(1, 6))])[1:-1],
    "semicolons": lambda random: ";".join(_sku(random) for _ in range(random.randrange(1, 6))),
    "hexdigit": lambda random: random.choice("1234567"),
    "base64": lambda random: base64.b64encode(random.randbytes(random.randrange(6, 30))).decode(),
    "refund_chain": _refund_chain,
    "bytes": lambda random: random.randbytes(random.randrange(6, 30)).hex(),
    "few": lambda random: str(random.randrange(1, 8)),
    "port": lambda random: str(random.randrange(40_000, 60_000)),
}
