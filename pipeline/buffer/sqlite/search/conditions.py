"""A query of dead letters as an SQL condition over the view `dead_letters`, with its named arguments."""

from __future__ import annotations

from json.encoder import encode_basestring

from pipeline.buffer.sqlite.groups.merges import groups_named
from pipeline.buffer.sqlite.search.letter_texts import match_of
from pipeline.buffer.sqlite.search.text_candidates import HOLDING_STACKS
from pipeline.buffer.sqlite.stored_once.together import HEADERS
from pipeline.errors import UsageError
from pipeline.orders.fields import DEAD_LETTER_FIELDS
from pipeline.search.fields import FIELDS_BY_NAME, Field
from pipeline.search.folding import FOLDING, folded
from pipeline.search.query import All, Compared, Either, InHeader, Leaf, Named, Not, Part, Query, Text
from pipeline.search.spans import span_of

Arguments = dict[str, object]

_TEXTS = ", ".join(
    (
        *(f"dead_letters.{column}" for column in ("reason", "error_class", "key")),
        *(f"raw.{field.name}" for field in DEAD_LETTER_FIELDS if field.kind == "text"),
        "iif(raw.stack_ref IS NULL, raw.stacktrace, NULL)",
    )
)


def query_condition(query: Query, inside: bool = False) -> tuple[str, Arguments]:
    """The condition that a query is.

    `inside` allows it to read values, which takes long. UsageError where a query asks for that and may not.
    """
    written = _Condition(inside)
    return written.of(query.tree), written.arguments


class _Condition:
    def __init__(self, inside: bool) -> None:
        self.arguments = Arguments()
        self._inside = inside

    def of(self, part: Part) -> str:
        if isinstance(part, Not):
            # What is not known is not so: NULL would be neither.
            return f"NOT coalesce({self.of(part.part)}, 0)"
        if isinstance(part, All):
            return "(" + " AND ".join(self.of(each) for each in part.parts) + ")" if part.parts else "TRUE"
        if isinstance(part, Either):
            return "(" + " OR ".join(self.of(each) for each in part.parts) + ")"
        return f"({self._leaf(part)})"

    def _leaf(self, leaf: Leaf) -> str:
        if isinstance(leaf, Text):
            return self._text(leaf.text)
        if isinstance(leaf, Named):
            return self._named(FIELDS_BY_NAME[leaf.field], leaf.text)
        if isinstance(leaf, Compared):
            return self._compared(FIELDS_BY_NAME[leaf.field].column, leaf)
        if isinstance(leaf, InHeader):
            return self._header(leaf)
        if not self._inside:
            raise UsageError(
                f"{leaf} is looked for inside of values, in the newest only: not here, where all are meant"
            )
        asked = (self._argument(each) for each in (str(leaf.path), leaf.operator, leaf.text))
        return f"stands_inside({', '.join(asked)}, id, key, value, headers, topic, source_topic)"

    def _argument(self, value: object) -> str:
        """The name under which a statement is given a value."""
        name = f"query_{len(self.arguments)}"
        self.arguments[name] = value
        return f":{name}"

    def _text(self, text: str) -> str:
        wanted = self._argument(folded(text))
        # What is to be put together for each comes last: where all letters hold the text otherwise, nothing is.
        return _of_row(
            f"{self._stack(wanted, text)} OR letter_holds({wanted}, dead_letters.dead_letter_id, {_TEXTS}) "
            f"OR {self._own_lines(wanted)} OR short_header_holds({wanted}, {HEADERS}, dead_letters.dead_letter_id)"
        )

    def _stack(self, wanted: str, text: str) -> str:
        # What is the same in many once, however many letters have it.
        once = f"SELECT stack_ref FROM stacktraces WHERE stack_holds({wanted}, stacktrace, in_pieces)"
        if match := match_of(folded(text)):
            once = HOLDING_STACKS.format(wanted=wanted, match=self._argument(match), folding=self._argument(FOLDING))
        return f"raw.stack_ref IN ({once})"

    @staticmethod
    def _own_lines(wanted: str) -> str:
        pieces = "SELECT stacktrace FROM stacktraces AS own WHERE own.stack_ref = raw.stack_ref AND in_pieces"
        return f"own_lines_hold({wanted}, ({pieces}), raw.stacktrace, dead_letters.reason)"

    def _named(self, field: Field, text: str) -> str:
        if field.kind == "status":
            return f"status = {self._argument(text)}"
        wanted = self._argument(folded(text))
        if field.kind == "group":
            return f"fingerprint IN ({groups_named(self._argument(text), wanted)})"
        if field.kind == "class":
            return f"is_class({wanted}, error_class)"
        if field.name == "stack":
            whole = f"raw.stack_ref IS NULL AND holds({wanted}, raw.stacktrace)"
            return _of_row(f"({whole}) OR {self._stack(wanted, text)} OR {self._own_lines(wanted)}")
        if field.kind == "text":
            return f"holds({wanted}, {field.column})"
        return f"folded({field.column}) = {wanted}"

    def _compared(self, column: str, leaf: Compared) -> str:
        least, greatest = span_of(leaf)
        if least == greatest:
            return f"{column} = {self._argument(least)}"
        ends = ((">=", least), ("<=", greatest))
        return " AND ".join(f"{column} {sign} {self._argument(end)}" for sign, end in ends if end is not None)

    def _header(self, leaf: InHeader) -> str:
        name, wanted = self._argument(leaf.name), self._argument(folded(leaf.text))
        stored = f"[{encode_basestring(leaf.name)}, "
        in_row, in_set = self._argument(stored), self._argument(encode_basestring(stored)[1:-1])
        named = (
            f"iif(raw.set_ref IS NULL, instr(raw.headers, {in_row}) > 0, "
            f"raw.set_ref IN (SELECT set_ref FROM header_sets WHERE instr(pieces, {in_set}) > 0))"
        )
        return _of_row(
            f"{named} AND (has_header({name}, {wanted}, {HEADERS}) OR (raw.stack_ref IS NOT NULL "
            f"AND has_stack({name}, {HEADERS}) AND folded(dead_letters.stacktrace) = {wanted}))"
        )


def _of_row(condition: str) -> str:
    """A condition over a letter's row as it is stored, called `raw`."""
    return f"EXISTS (SELECT 1 FROM dead_letter_rows AS raw WHERE raw.id = dead_letters.id AND ({condition}))"
