"""A query as a tree. `str` of any part of it is its text, and reading that gives an equal part."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeGuard

from pipeline.orders.mapping.paths import Each, Path, Step

Operator = Literal[":", "<", "<=", ">", ">="]

_PLAIN = re.compile(r'[^\s"()]+')
_PLAIN_TEXT = re.compile(r'[^\s"():<>=-][^\s"():<>=]*')
_PLAIN_STEP = re.compile(r"[\w@-]+")
CONNECTIVES = ("AND", "OR", "NOT")


@dataclass(frozen=True, slots=True)
class Text:
    """Letters that hold this text in any case, in reason, class, ids, key, short header values or stack trace."""

    text: str

    def __str__(self) -> str:
        plain = _PLAIN_TEXT.fullmatch(self.text) and self.text not in CONNECTIVES
        return self.text if plain else quoted(self.text)


@dataclass(frozen=True, slots=True)
class Named:
    """Letters whose field is that, or holds it: see `Kind`."""

    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}:{written(self.text)}"


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number as it was written; with `minor_units` an amount."""

    text: str
    value: int = field(compare=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Period:
    """A time as exact as it was written: from its first millisecond up to the one after its last."""

    text: str
    from_ms: int = field(compare=False)
    to_ms: int = field(compare=False)

    def __str__(self) -> str:
        return written(self.text)


@dataclass(frozen=True, slots=True)
class Age:
    """How long ago, and which time that was when the query was read."""

    text: str
    at_ms: int = field(compare=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Compared:
    """Letters whose number, amount or time stands so to another. Less than an age is younger."""

    field: str
    operator: Operator
    value: Number | Period | Age

    def __str__(self) -> str:
        colon = ":" if isinstance(self.value, Age) else ""
        return f"{self.field}{colon}{self.operator}{self.value}"


@dataclass(frozen=True, slots=True)
class InHeader:
    """Letters with a header of exactly this name whose value is that text in any case."""

    name: str
    text: str

    def __str__(self) -> str:
        name = self.name if re.fullmatch(r'[^\s"():<>=]+', self.name) else quoted(self.name)
        return f"header.{name}:{written(self.text)}"


@dataclass(frozen=True, slots=True)
class InValue:
    """Letters whose value, read, has at a path what stands so to a text; both as numbers where both are."""

    path: Path
    operator: Operator
    text: str

    def __str__(self) -> str:
        return f"value{''.join(map(_step, self.path.steps))}{self.operator}{written(self.text)}"


@dataclass(frozen=True, slots=True)
class Not:
    """Letters that a part does not mean."""

    part: Part

    def __str__(self) -> str:
        return f"-{_in_parentheses(self.part)}"


@dataclass(frozen=True, slots=True)
class All:
    """Letters that all parts mean; of no parts every letter."""

    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        if len(self.parts) == 1:
            return str(self.parts[0])
        return " ".join(_in_parentheses(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Either:
    """Letters that one of the parts means."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return " OR ".join(str(part) for part in self.parts)


Leaf = Text | Named | Compared | InHeader | InValue
Part = Leaf | Not | All | Either


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: everything that all of its parts mean."""

    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return str(self.tree)

    @property
    def tree(self) -> All:
        """The parts as one."""
        return All(self.parts)

    def narrowed(self, *parts: Part) -> Query:
        """What this means, of it only what these parts mean too."""
        return Query((*self.parts, *(part for part in parts if part not in self.parts)))

    def names(self, field: str) -> bool:
        """Whether it says anything about a field."""
        return any(isinstance(leaf, (Named, Compared)) and leaf.field == field for leaf in self.leaves())

    def leaves(self) -> Iterator[Leaf]:
        """What the parts are made of, from left to right."""
        return _leaves(self.tree)

    def apart(self) -> tuple[Query, Query]:
        """The parts that ask for nothing inside of values, and those that do."""

        def looks_inside(part: Part) -> bool:
            return any(isinstance(leaf, InValue) for leaf in _leaves(part))

        return self.without(looks_inside), self.without(lambda part: not looks_inside(part))

    @property
    def moves(self) -> bool:
        """Whether it means other letters as time passes, for it asks for their age."""
        return any(isinstance(leaf, Compared) and isinstance(leaf.value, Age) for leaf in self.leaves())

    def chosen(self, field: str) -> tuple[str, ...]:
        """The values of a field of which a letter must have one, as far as one part says so and nothing else."""
        for part in self.parts:
            if _chooses(part, field):
                return tuple(_value_of(leaf) for leaf in _leaves(part))
        return ()

    def choosing(self, field: str, parts: tuple[Part, ...]) -> Query:
        """The same, with one of these parts in place of what `chosen` tells of the field; of no parts with none."""
        kept = self.without(lambda part: _chooses(part, field))
        return kept.narrowed(either(parts)) if parts else kept

    def without(self, goes: Callable[[Part], bool]) -> Query:
        """The parts that stay."""
        return Query(tuple(part for part in self.parts if not goes(part)))


EVERYTHING = Query()


def one_of(field: str, values: tuple[str, ...]) -> Part:
    """Letters whose field has one of these values, of which there is at least one."""
    return either(tuple(Named(field, value) for value in values))


def either(parts: tuple[Part, ...]) -> Part:
    """Letters that one of these parts means, of which there is at least one."""
    return parts[0] if len(parts) == 1 else Either(parts)


def quoted(text: str) -> str:
    """A text in the quotes of the language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(text: str) -> str:
    """A text after an operator."""
    return text if _PLAIN.fullmatch(text) and text[0] not in "<>=" else quoted(text)


def _step(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if isinstance(step, Each):
        return str(step)
    return f".{step if _PLAIN_STEP.fullmatch(step) else quoted(step)}"


def _in_parentheses(part: Part) -> str:
    return f"({part})" if isinstance(part, (All, Either)) else str(part)


def _leaves(part: Part) -> Iterator[Leaf]:
    if isinstance(part, Not):
        yield from _leaves(part.part)
    elif isinstance(part, (All, Either)):
        for each in part.parts:
            yield from _leaves(each)
    else:
        yield part


def _chooses(part: Part, field: str) -> bool:
    parts = part.parts if isinstance(part, Either) else (part,)
    return all(_is_value(each) and each.field == field for each in parts)


def _is_value(part: Part) -> TypeGuard[Named | Compared]:
    """Whether it asks for one value of a field."""
    return isinstance(part, Named) or (isinstance(part, Compared) and part.operator == ":")


def _value_of(leaf: Leaf) -> str:
    return leaf.value.text if isinstance(leaf, Compared) else leaf.text
