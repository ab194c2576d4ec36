"""Answers as a schema registry with Confluent's API does, for schemas whose ids and GUIDs recordings hold.

Confluent's own registry is not to be had as a package, and Apicurio's gives no GUIDs and no ids that one could choose.
What Apicurio's own API tells of a content id or a global id is answered too.
Only the standard library is imported here: the programs that make the recordings run it too.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

FIRST_ID = 100_001
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
APICURIO = "/apis/registry/v3"
COMPATIBLE = "/apis/ccompat/v7"
"""Where Apicurio has its own API, and Confluent's; without either, a path is Confluent's."""

Answer = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """A schema as a registry knows it. `id` is what Confluent's API finds it by, in Apicurio the content id."""

    id: int
    subject: str
    version: int
    schema_type: str
    schema: str
    guid: str | None = None
    global_id: int | None = None
    references: tuple[Mapping[str, Any], ...] = ()
    serialized: str | None = None
    """Of Protobuf: the base64 of its file's descriptor, which is the answer to `format=serialized`."""

    def answer(self, serialized: bool = False) -> dict[str, Any]:
        """What the API says of it. Avro is what has no type, as in the API."""
        said: dict[str, Any] = {"id": self.id, "subject": self.subject, "version": self.version}
        if self.guid is not None:
            said["guid"] = self.guid
        if self.schema_type != "AVRO":
            said["schemaType"] = self.schema_type
        if self.references:
            said["references"] = [dict(each) for each in self.references]
        return said | {"schema": (self.serialized or self.schema) if serialized else self.schema}


class StandInRegistry:
    """`with StandInRegistry(schemas) as registry` answers at `registry.url` until the end; it takes new schemas too."""

    def __init__(self, schemas: Iterable[RegisteredSchema] = ()) -> None:
        self.schemas = list(schemas)
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where a client of Confluent's API finds it while it answers."""
        assert self._server
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="stand-in", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        assert self._server
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """Status and JSON, or text, for one request."""
        url = urlsplit(target)
        path = [unquote(part) for part in url.path.removeprefix(COMPATIBLE).removeprefix(APICURIO).split("/") if part]
        serialized = parse_qs(url.query).get("format") == ["serialized"]
        with self._lock:
            match (method, *path):
                case "POST", "subjects", subject, "versions":
                    return 200, self._register(subject, json.loads(body)).answer()
                case "POST", "subjects", subject:
                    return self._found(self._same(json.loads(body), subject), serialized)
                case "GET", "subjects", subject, "versions", version:
                    return self._found(self._version(subject, version), serialized)
                case "GET", "schemas", "ids", schema_id:
                    return self._found(self._first(id=schema_id), serialized)
                case "GET", "schemas", "guids", guid:
                    return self._found(self._first(guid=guid), serialized)
                case "GET", "ids", "contentIds", content_id, *rest:
                    return self._of_apicurio(self._first(id=content_id), rest)
                case "GET", "ids", "globalIds", global_id, *rest:
                    return self._of_apicurio(self._first(global_id=global_id), rest)
                case "GET", "search", "versions":
                    return 200, {"versions": self._searched(parse_qs(url.query))}
                case "GET", "groups", _, "artifacts", artifact, "versions", version, *rest:
                    return self._of_apicurio(self._version(artifact, version), rest)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    @staticmethod
    def _found(schema: RegisteredSchema | None, serialized: bool) -> Answer:
        if schema is None:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        return 200, schema.answer(serialized)

    @staticmethod
    def _of_apicurio(schema: RegisteredSchema | None, rest: list[str]) -> Answer:
        if schema is None:
            return 404, {"status": 404, "title": "No version was found.", "name": "VersionNotFoundException"}
        if rest == ["references"]:
            return 200, [
                {"artifactId": each["subject"], "version": str(each["version"]), "name": each["name"]}
                for each in schema.references
            ]
        return 200, schema.schema

    def _searched(self, query: Mapping[str, list[str]]) -> list[dict[str, str]]:
        by_id = {"id": query.get("contentId"), "global_id": query.get("globalId")}
        wanted = {name: values[0] for name, values in by_id.items() if values}
        found = self._first(**wanted)
        return [] if found is None else [{"artifactType": found.schema_type}]

    def _first(self, **wanted: str) -> RegisteredSchema | None:
        [(name, value)] = wanted.items()
        return next((each for each in self.schemas if str(getattr(each, name)) == value), None)

    def _version(self, subject: str, version: str) -> RegisteredSchema | None:
        versions = [each for each in self.schemas if each.subject == subject]
        if version in ("latest", "-1"):
            return max(versions, key=lambda each: each.version, default=None)
        return next((each for each in versions if str(each.version) == version), None)

    def _same(self, asked: Mapping[str, Any], subject: str | None = None) -> RegisteredSchema | None:
        content = _content(asked)
        return next(
            (
                each
                for each in self.schemas
                if subject in (None, each.subject) and _content(each.answer(serialized=True)) == content
            ),
            None,
        )

    def _register(self, subject: str, asked: Mapping[str, Any]) -> RegisteredSchema:
        known = self._same(asked, subject)
        if known is not None:
            return known
        elsewhere = self._same(asked)
        taken = max((each.id for each in self.schemas), default=FIRST_ID - 1)
        new = RegisteredSchema(
            elsewhere.id if elsewhere else taken + 1,
            subject,
            1 + sum(each.subject == subject for each in self.schemas),
            asked.get("schemaType") or "AVRO",
            asked["schema"],
            # Confluent's is made of the schema's MD5 too, though not of the same text.
            str(uuid.UUID(bytes=hashlib.md5(_content(asked).encode(), usedforsecurity=False).digest())),
            references=tuple(asked.get("references") or ()),
        )
        self.schemas.append(new)
        return new

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, said = registry.answer(self.command, self.path, asked)
                body = (said if isinstance(said, str) else json.dumps(said)).encode()
                self.send_response(status)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """A test's output is not the place for it."""

        return Handler


def _content(schema: Mapping[str, Any]) -> str:
    """Type, text and references: what makes two schemas one."""
    references = [[each["name"], each["subject"], each["version"]] for each in schema.get("references") or ()]
    return json.dumps([schema.get("schemaType") or "AVRO", schema["schema"], references])
