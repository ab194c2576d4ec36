"""Finds out which records of a topic are orders: by an event's type, a change's operation, a record's type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.orders.mapping.paths import TYPE, Path
from pipeline.orders.mapping.sources import RecordSource
from pipeline.orders.mapping.values import JsonNumber
from pipeline.orders.proposing import names
from pipeline.orders.proposing.guess import Guess, has_each, share_words
from pipeline.orders.proposing.sample import Sample, Seen, is_beside_the_record
from pipeline.orders.proposing.section_text import condition_text, presence_text, source_text

MAXIMUM_KINDS = 40
"""What has more different values says of a record more than its kind."""
_SHOWN_KINDS = 6
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_FIRST = frozenset(
    "create created creation place placed new insert inserted submit submitted c r i read snapshot add added".split()
)
_SECOND = frozenset(
    "checkout purchase purchased ordered confirm confirmed complete completed receive received open opened accepted "
    "paid "
    "finalized closed sold".split()
)
_NOUNS = frozenset("order orders sale sales purchase purchases checkout booking transaction invoice".split())
_OTHERS = frozenset(
    "return returned returns refund refunded refunds cancel canceled cancelled cancellation delete deleted d u update "
    "updated "
    "void voided chargeback ship shipped shipment shipping delivered delivery failed rejected expired removed archive "
    "archived test heartbeat truncate t payment customer user product inventory stock view viewed page click cart "
    "basket wishlist begin start started initiated abandoned draft".split()
)
_OPERATIONS = frozenset({"c", "r", "u", "d", "t", "i"})


@dataclass(frozen=True, slots=True)
class Orders:
    """Which records of the sample are orders, and how the mapping tells them."""

    numbers: list[int]
    guess: Guess | None = None


def find_orders(sample: Sample) -> Orders:
    """The records that are orders by what they say of their kind; all that could be read where nothing says it."""
    read = sample.read
    best: tuple[float, Orders] | None = None
    others: list[str] = []
    for seen in sample.seen:
        score = _score(seen)
        found = _orders_by(seen, read, score) if score > 0 else None
        if found is None or found.guess is None:
            continue
        if best is None or score > best[0]:
            others = [str(best[1].guess.value), *others] if best and best[1].guess else others
            best = (score, found)
        else:
            others.append(str(found.guess.value))
    if best is None or best[1].guess is None:
        return Orders(read)
    guess = best[1].guess
    return Orders(best[1].numbers, Guess(guess.key, guess.value, guess.why, tuple(others)))


def _score(seen: Seen) -> float:
    if isinstance(seen.source, RecordSource) or has_each(seen):
        return 0
    return 0 if is_beside_the_record(seen) else names.event_type(seen.steps)


def _kinds(seen: Seen, among: Sequence[int]) -> Counter[str] | None:
    """How often each kind is there; None where it is no kind."""
    found = seen.all(among)
    texts = [each for each in found if isinstance(each, str) and not isinstance(each, JsonNumber)]
    kinds = Counter(texts)
    if not among or len(texts) < 0.9 * len(among) or len(texts) != len(found) or len(kinds) > MAXIMUM_KINDS:
        return None
    return kinds if all(len(each) <= 200 for each in kinds) else None


def _orders_by(seen: Seen, among: list[int], score: float) -> Orders | None:
    kinds = _kinds(seen, among)
    if kinds is None:
        return None
    chosen = chosen_kinds(list(kinds), is_type=seen.steps == (TYPE,))
    # What all records have alike tells nothing apart, unless its name leaves no doubt what it is.
    if not chosen or (len(kinds) == 1 and score < 85):
        return None
    return _told(seen, among, kinds, chosen)


def chosen_kinds(kinds: list[str], is_type: bool = False) -> list[str]:
    """Those that are the creation of an order; none where that cannot be told."""
    words = {each: [word.casefold() for word in _WORD.findall(each)] for each in kinds}
    if set(kinds) <= _OPERATIONS:
        return [each for each in ("c", "r") if each in kinds] and ["c", "r"]
    fit = {each: found for each, found in words.items() if not _OTHERS.intersection(found)}
    for tier in (_FIRST, _SECOND):
        acting = [each for each, found in fit.items() if tier.intersection(found) and not _NOUNS.issuperset(found)]
        about_orders = [each for each in acting if _NOUNS.intersection(words[each])]
        if acting:
            return about_orders or acting
    # `Order` beside `Refund`, or beside `OrderShipped`.
    if len(kinds) > 1 or is_type:
        named = [each for each, found in fit.items() if found and found[-1] in _NOUNS]
        if named and len(kinds) > len(named):
            return named
    return []


def _told(seen: Seen, among: list[int], kinds: Counter[str], chosen: list[str]) -> Orders | None:
    text = condition_text(seen.source, chosen)
    if text is None:
        return None
    numbers = [number for number in among if seen.values.get(number, [""])[-1] in chosen]
    counted = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(_SHOWN_KINDS))
    more = f" and {len(kinds) - _SHOWN_KINDS} more" if len(kinds) > _SHOWN_KINDS else ""
    why = f"by name and values, {counted}{more}: {share_words(len(numbers), len(among))} are orders"
    return Orders(numbers, Guess("where", text, f"{why}, records of any other kind are passed over"))


def orders_by_state(sample: Sample, among: list[int]) -> Orders | None:
    """Where an order is there several times: those records of it that say that it is new. None: no state tells."""
    scored = [(names.state(each.steps), each) for each in sample.seen if isinstance(each.source, Path)]
    for score, seen in sorted(scored, key=lambda each: -each[0]):
        if score <= 0:
            return None
        kinds = _kinds(seen, among)
        chosen = chosen_kinds(list(kinds)) if kinds and len(kinds) > 1 else []
        if kinds and chosen and (found := _told(seen, among, kinds, chosen)):
            return found
    return None


def without_deletions(sample: Sample, order_id: Seen | None) -> Guess | None:
    """Deletions are no orders: they are told by what they do not have."""
    if not sample.tombstones or order_id is None or not isinstance(order_id.source, Path):
        return None
    text = presence_text(order_id.source)
    if text is None or source_text(order_id.source) is None:
        return None
    return Guess("where", text, f"{sample.tombstones} records are deletions (null), which are passed over")
