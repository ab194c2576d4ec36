"""What the records around a dead letter's original tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.buffer import Reader
from pipeline.buffer.views import DeadLetterDetail
from pipeline.dead_letters.decoded_columns import format_in_words
from pipeline.dead_letters.decoding import Decoded, Decoder
from pipeline.dead_letters.letter.comparing import Comparison, compare
from pipeline.dead_letters.letter.examined import Around, Good, KeyRecord, PlaceLook
from pipeline.dead_letters.letter.neighbours import MOST_BYTES, Neighbours
from pipeline.headers import last_text
from pipeline.headers.own import REPLAY_OF
from pipeline.kafka import LookedAt
from pipeline.orders.formats.plain_values import json_text, plain_text
from pipeline.records import Headers, Position, Record, TopicIdentity

GOOD_LETTERS = 20_000
VALUE_LETTERS = 300
COMPARED_WITH = 50
DECODED_AT_MOST = 200


class Fates:
    """What became of the records around, as far as the buffer knows."""

    def __init__(
        self,
        buffer: Reader,
        detail: DeadLetterDetail,
        identity: TopicIdentity | None,
        place: Position | None,
        neighbours: Neighbours,
    ) -> None:
        self._dead_letter_id = detail.dead_letter_id
        self._place = place
        self._accepted: set[int] = set()
        self._failed: set[int] = set()
        if place is not None and identity is not None:
            offsets = [each.position.offset for each in (*neighbours.candidates, *neighbours.of_key)]
            self._accepted = buffer.accepted(identity, place.partition, offsets)
            self._failed = buffer.failed_near(detail.row.id, place.topic, place.partition, offsets)

    def of(self, record: Record) -> str:
        """In a word or two, as KeyRecord has it."""
        offset = record.position.offset
        if record.position == self._place:
            return "the original"
        if self.is_replay(record):
            return "its replay"
        return "a dead letter" if offset in self._failed else "an order" if offset in self._accepted else ""

    def is_replay(self, record: Record) -> bool:
        """Whether it is a replay of this dead letter."""
        return last_text(record.headers, REPLAY_OF) == self._dead_letter_id

    def has_failed(self, record: Record) -> bool:
        """Whether it is known to have failed too, or to be the same record again."""
        return record.position.offset in self._failed or self.is_replay(record)

    def is_accepted(self, record: Record) -> bool:
        """Whether it is an accepted order."""
        return record.position.offset in self._accepted


class Findings:
    """What is told of the original and its neighbours. `why_not` says why none were looked at."""

    def __init__(
        self,
        place: Position | None,
        why_not: str,
        looked: LookedAt,
        neighbours: Neighbours,
        fates: Fates,
        decoder: Decoder,
    ) -> None:
        self._place = place
        self._why_not = why_not
        self._looked = looked
        self._neighbours = neighbours
        self._fates = fates
        self._decoder = decoder

    def with_note(self, look: PlaceLook, value: bytes | None) -> PlaceLook:
        """The look at the original, with what is to be said where another value stands there than the dead letter's."""
        original = self._neighbours.original
        if original is None or original.value == value:
            return look
        return replace(look, note="the value there is another one than that of the dead letter")

    def around(self, key: bytes | None) -> Around:
        """The records of the same key."""
        if self._why_not:
            return Around(why_not=self._why_not)
        looked = _in_words(self._looked)
        if key is None:
            return Around(looked=looked, why_not="it has no key, so no other record has the same")
        found = self._neighbours
        replays = sum(map(self._fates.is_replay, found.newer))
        records = tuple(map(self._key_record, found.of_key))
        return Around(records, found.older_count, found.newer_count - replays, looked, _what_is_left(self._looked))

    def _key_record(self, record: Record) -> KeyRecord:
        offset, at_ms, what = record.position.offset, record.timestamp_ms, self._fates.of(record)
        size = len(record.value or b"")
        if size > MOST_BYTES:
            return KeyRecord(offset, at_ms, what, "not read", f"{size:,} bytes")
        decoded = self._decode(record)
        text = "" if decoded.value is None else plain_text(decoded.value, VALUE_LETTERS)
        return KeyRecord(offset, at_ms, what, decoded.format, _beginning(text, VALUE_LETTERS))

    def good(self, value: bytes | None, headers: Headers) -> Good:
        """A good record, with what is odd about the dead letter beside it and others."""
        if self._place is None or self._why_not:
            return Good(why_not=self._why_not)
        own = self._decoder.value(value, headers, self._place.topic)
        read = self._read_good()
        alike = _alike(own, read) if own.is_data else read
        if not alike:
            wanted = f"reads as {format_in_words(own)}" if own.is_data and read else "can be read"
            return Good(why_not=f"no record was found near it that {wanted} and is not known to have failed")
        (shown, decoded), others = alike[0], [each.value for _, each in alike[:COMPARED_WITH]]
        return Good(
            str(shown.position),
            self._whose(shown),
            format_in_words(decoded),
            _beginning(json_text(decoded.value, indent=2, maximum_letters=GOOD_LETTERS), GOOD_LETTERS),
            len(others),
            compare(own.value, others) if own.is_data else Comparison(()),
            "" if own.is_data else "no schema reads its own value, and it is no JSON: there are no fields to compare",
        )

    def _read_good(self) -> list[tuple[Record, Decoded]]:
        """Records that can be read and are not known to have failed: accepted ones first, of the same key, near."""
        candidates = [each for each in self._neighbours.candidates if not self._fates.has_failed(each)]
        candidates.sort(key=lambda each: not self._fates.is_accepted(each))
        read = [(each, self._decode(each)) for each in candidates[:DECODED_AT_MOST]]
        return [(record, decoded) for record, decoded in read if decoded.is_data]

    def _decode(self, record: Record) -> Decoded:
        return self._decoder.value(record.value, record.headers, record.position.topic)

    def _whose(self, record: Record) -> str:
        what = "an accepted order" if self._fates.is_accepted(record) else "a record that is not known to have failed"
        return f"{what}, of the same key" if self._neighbours.is_of_key(record) else what


def _alike(own: Decoded, read: Sequence[tuple[Record, Decoded]]) -> list[tuple[Record, Decoded]]:
    """Those of the same schema; where there are none, those of another version of it."""
    same = [each for each in read if (each[1].format, each[1].schema) == (own.format, own.schema)]
    return same or [each for each in read if (each[1].format, _name(each[1])) == (own.format, _name(own))]


def _name(decoded: Decoded) -> str:
    """What its schema is called, without how it was found."""
    name, comma, _ = decoded.schema.partition(", ")
    return name if comma else decoded.schema


def _in_words(looked: LookedAt) -> str:
    """How much was looked at."""
    if not looked.spans:
        return "no record was looked at"
    spans = " and ".join(f"{first:,} to {end - 1:,}" for first, end in looked.spans)
    return f"{looked.records:,} record{'' if looked.records == 1 else 's'} at offsets {spans}"


def _what_is_left(looked: LookedAt) -> str:
    """What the partition holds besides, and why it was not looked at; empty when all of it was."""
    if looked.cut:
        return looked.cut
    first, end = (looked.spans[0][0], looked.spans[-1][1]) if looked.spans else (looked.low, looked.high)
    parts = [
        f"{count:,} {where}"
        for count, where in ((first - looked.low, "older"), (looked.high - end, "newer"))
        if count > 0
    ]
    return f"the partition holds {' and '.join(parts)} offsets besides" if parts else ""


def _beginning(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[:letters]}…"
