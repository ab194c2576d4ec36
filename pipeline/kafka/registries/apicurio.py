"""Schemas by Apicurio's own API, which knows ids that its Confluent-compatible one does not.

https://www.apicur.io/registry/docs/apicurio-registry/3.0.x/assets-attachments/registry-rest-api.htm
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.common.schema_registry_client import is_retriable

from pipeline.errors import SchemaUnusableError
from pipeline.kafka.registries.answers import SCHEMA_UNKNOWN, Answer, Reference, kind_of, whole
from pipeline.schema_source import ApicurioContentId, ApicurioGlobalId, RegisteredSchema, SchemaKind
from pipeline.settings import variable_of

ApicurioRef = ApicurioContentId | ApicurioGlobalId

_COMPATIBLE_API = "/apis/ccompat/"
_DEFAULT_GROUP = "default"


@dataclass(frozen=True, slots=True)
class _Version:
    """Where a version of the API has what is asked for."""

    path: str
    content: str
    searched: str
    kind: str


# Servers before 3.0 have only the older one.
_V3 = _Version("/apis/registry/v3", content="/content", searched="versions", kind="artifactType")
_V2 = _Version("/apis/registry/v2", content="", searched="artifacts", kind="type")


def by_apicurio_id(client: SchemaRegistryClient, ref: ApicurioRef) -> RegisteredSchema:
    """The schema with this id of Apicurio's.

    Raises what the client raises, and SchemaUnusableError, also where the settings name no registry of Apicurio's.
    """
    try:
        return _Lookup(client, ref, _V3).registered()
    except SchemaRegistryError as error:
        if error.http_status_code != 404 or error.error_code == SCHEMA_UNKNOWN:
            raise
    return _Lookup(client, ref, _V2).registered()


class _Lookup:
    """Asks for one schema, with the certificates, proxy and credentials of the client."""

    def __init__(self, client: SchemaRegistryClient, ref: ApicurioRef, version: _Version) -> None:
        # Its public calls read JSON only, below the path of the Confluent-compatible API.
        self._rest = client._rest_client
        self._bases = _bases(self._rest.base_urls, ref)
        self._ref = ref
        self._version = version

    def registered(self) -> RegisteredSchema:
        """The schema with all that it needs."""
        name = "contentId" if isinstance(self._ref, ApicurioContentId) else "globalId"
        place = f"/ids/{name}s/{self._ref.value}"
        answer = self._answer(place, place)
        return whole(self._ref, self._kind({name: self._ref.value, "limit": 1}), answer)

    def _kind(self, query: dict[str, Any]) -> SchemaKind:
        # Not every version of the API tells it with the content.
        searched = self._version.searched
        found = self._get(f"/search/{searched}", query).json()[searched]
        if not found:
            raise SchemaRegistryError(404, SCHEMA_UNKNOWN, "a text whose schema was deleted")
        return kind_of(self._ref, found[0][self._version.kind])

    def _answer(self, place: str, content: str) -> Answer:
        text = self._text(self._get(content))
        return Answer(text, tuple(self._reference(each) for each in self._get(f"{place}/references").json()))

    def _text(self, response: httpx2.Response) -> str:
        try:
            return response.content.decode()
        except UnicodeDecodeError as error:
            raise SchemaUnusableError(f"{self._ref} is no text in UTF-8") from error

    def _reference(self, told: dict[str, Any]) -> Reference:
        group, artifact, version = (
            quote(name, safe="")
            for name in (told.get("groupId") or _DEFAULT_GROUP, told["artifactId"], told["version"])
        )
        place = f"/groups/{group}/artifacts/{artifact}/versions/{version}"
        return Reference(told["name"], lambda: self._answer(place, place + self._version.content))

    def _get(self, place: str, query: dict[str, Any] | None = None) -> httpx2.Response:
        response = self._response(self._version.path + place, query)
        if response.is_success:
            return response
        code = SCHEMA_UNKNOWN if _says_unknown(response) else SchemaRegistryError.UNKNOWN
        raise SchemaRegistryError(response.status_code, code, "an answer of Apicurio's")

    def _response(self, path: str, query: dict[str, Any] | None) -> httpx2.Response:
        headers: dict[str, str] = {}
        if self._rest.bearer_auth_credentials_source:
            self._rest.handle_bearer_auth(headers)
        *others, last = self._bases
        for base in others:
            with suppress(httpx2.TransportError):
                response = self._rest.send_http_request(base, path, "GET", headers, query=query)
                if not is_retriable(response.status_code):
                    return response
        return self._rest.send_http_request(last, path, "GET", headers, query=query)


def _bases(urls: Sequence[str], ref: ApicurioRef) -> list[str]:
    """The servers without the path of their Confluent-compatible API. Raises SchemaUnusableError."""
    bases = [url.partition(_COMPATIBLE_API)[0] for url in urls if _COMPATIBLE_API in url]
    if not bases:
        raise SchemaUnusableError(
            f"{ref} needs Apicurio's registry: {variable_of('schema_registry_url')} has no {_COMPATIBLE_API}"
        )
    return bases


def _says_unknown(response: httpx2.Response) -> bool:
    """Whether a 404 is about what was asked for. `NotFoundException` is about the path, and others may be no answer."""
    if response.status_code != 404:
        return False
    try:
        name = str(response.json()["name"])
    except (ValueError, TypeError, KeyError):
        return False
    return name.endswith("NotFoundException") and name != "NotFoundException"
