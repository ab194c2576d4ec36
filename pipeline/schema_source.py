"""Where the schemas of records come from, and what a record says of its schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

SchemaKind = Literal["AVRO", "JSON", "PROTOBUF"]


@dataclass(frozen=True, slots=True)
class SchemaId:
    """The number that Confluent's framing carries."""

    value: int

    def __str__(self) -> str:
        return f"schema id {self.value}"


@dataclass(frozen=True, slots=True)
class SchemaGuid:
    """The 16 bytes that Confluent's headers carry: the same in every registry."""

    value: bytes

    @property
    def uuid(self) -> UUID:
        """The GUID as registries write it."""
        return UUID(bytes=self.value)

    def __str__(self) -> str:
        return f"schema GUID {self.uuid}"


@dataclass(frozen=True, slots=True)
class ApicurioContentId:
    """Apicurio's number of a text: the same wherever that text is registered."""

    value: int

    def __str__(self) -> str:
        return f"Apicurio content id {self.value}"


@dataclass(frozen=True, slots=True)
class ApicurioGlobalId:
    """Apicurio's number of one version of one artifact."""

    value: int

    def __str__(self) -> str:
        return f"Apicurio global id {self.value}"


SchemaRef = SchemaId | SchemaGuid | ApicurioContentId | ApicurioGlobalId
"""How a record names its schema; as text it reads in messages."""


@dataclass(frozen=True, slots=True)
class ReferencedSchema:
    """A schema that another one refers to, by the name that stands there: for Protobuf the path of the import."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """A schema as a registry has it, with those that it needs: each once, in the order in which they must be parsed."""

    kind: SchemaKind
    text: str
    referenced: tuple[ReferencedSchema, ...] = ()


class SchemaSource(Protocol):
    """Where schemas are found by what records say of them.

    Every call raises RegistryUnavailableError when there is no answer.
    """

    def get(self, ref: SchemaRef) -> RegisteredSchema | None:
        """The schema; None when there is none.

        Raises SchemaPendingError while there is none so far, and SchemaUnusableError when this registry can never
        give it.
        """


class SchemaRegistry(SchemaSource, Protocol):
    """One that takes schemas of ours too."""

    def register(self, subject: str, text: str) -> int:
        """The id of a schema of ours under this subject. Raises SchemaRefusedError when it does not fit in there."""

    def recheck(self) -> None:
        """Asks again for what was not answered last, if anything."""
