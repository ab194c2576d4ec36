"""Schemas of the registry on their way to the app, which does not talk to the registry itself: question and answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import RegistryUnavailableError, SchemaPendingError, UndecodableError
from pipeline.schema_source import (
    ApicurioContentId,
    ApicurioGlobalId,
    ReferencedSchema,
    RegisteredSchema,
    SchemaGuid,
    SchemaId,
    SchemaRef,
)

if TYPE_CHECKING:
    from pipeline.orders.formats.schemas import Schemas

ASKED_AT_ONCE = 50
"""So many schemas one question may be about; a page of dead letters names a handful."""
AGAIN_AFTER_MS = 10_000
"""So long after the registry gave no answer it is asked again."""


@dataclass(frozen=True, slots=True)
class NoSchema:
    """Why there is no schema. `again_after_ms`: when to ask again, as it may come; None where it will not."""

    reason: str
    again_after_ms: int | None = None


def params_of(refs: Sequence[SchemaRef]) -> str:
    """The question, as JSON."""
    return json.dumps({"refs": [_written(each) for each in refs[:ASKED_AT_ONCE]]})


def look_up_schemas(schemas: Schemas, refs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The answer: each schema, or why there is none, by how the question writes its reference."""
    found: dict[str, dict[str, Any]] = {}
    trouble = ""
    for text in refs:
        try:
            # Without an answer to one nobody waits for each of the others too.
            found[text] = _unanswered(trouble) if trouble else _told(schemas.registered(_read(text)))
        except SchemaPendingError as error:
            found[text] = {"reason": error.reason, "again_after_ms": error.wait_ms}
        except UndecodableError as error:
            found[text] = {"reason": error.reason, "again_after_ms": None}
        except RegistryUnavailableError as error:
            trouble = str(error)
            found[text] = _unanswered(trouble)
    return found


def read_answer(answer: str) -> Iterator[tuple[SchemaRef, RegisteredSchema | NoSchema]]:
    """What the worker has answered."""
    for text, told in json.loads(answer).items():
        yield _read(text), _schema(told) if "kind" in told else NoSchema(told["reason"], told["again_after_ms"])


def _unanswered(trouble: str) -> dict[str, Any]:
    return {"reason": trouble, "again_after_ms": AGAIN_AFTER_MS}


def _told(schema: RegisteredSchema) -> dict[str, Any]:
    referenced = [[each.name, each.text] for each in schema.referenced]
    return {"kind": schema.kind, "text": schema.text, "referenced": referenced}


def _schema(told: Mapping[str, Any]) -> RegisteredSchema:
    referenced = tuple(ReferencedSchema(name, text) for name, text in told["referenced"])
    return RegisteredSchema(told["kind"], told["text"], referenced)


# ---- how a reference is written


_KINDS: dict[str, Callable[[str], SchemaRef]] = {
    "id": lambda text: SchemaId(int(text)),
    "guid": lambda text: SchemaGuid(bytes.fromhex(text)),
    "content": lambda text: ApicurioContentId(int(text)),
    "global": lambda text: ApicurioGlobalId(int(text)),
}
_NAMES: dict[type, str] = {SchemaId: "id", SchemaGuid: "guid", ApicurioContentId: "content", ApicurioGlobalId: "global"}


def _written(ref: SchemaRef) -> str:
    return f"{_NAMES[type(ref)]}:{ref.value.hex() if isinstance(ref, SchemaGuid) else ref.value}"


def _read(text: str) -> SchemaRef:
    kind, _, value = text.partition(":")
    return _KINDS[kind](value)
