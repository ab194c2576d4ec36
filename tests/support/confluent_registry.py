"""The part of Confluent's API in which schemas are read, with GUIDs: its own registry cannot be had from Maven Central.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html#schemas
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Version:
    """A schema as it was registered, the only version of its subject; `references` are names and subjects."""

    subject: str
    schema_id: int
    guid: UUID
    schema: str
    kind: str = "AVRO"
    references: tuple[tuple[str, str], ...] = ()

    def answer(self) -> dict[str, Any]:
        """What the API says of it: the kind is left out for Avro, and the references where there are none."""
        told: dict[str, Any] = {"subject": self.subject, "version": 1, "id": self.schema_id, "guid": str(self.guid)}
        if self.kind != "AVRO":
            told["schemaType"] = self.kind
        if self.references:
            told["references"] = [{"name": name, "subject": to, "version": 1} for name, to in self.references]
        return told | {"schema": self.schema}


class ConfluentRegistry:
    """Answers on a free port while the `with` block runs. `versions` may be added to; `asked` has each path."""

    def __init__(self, versions: Iterable[Version] = ()) -> None:
        self.versions = list(versions)
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                registry.asked.append(path)
                status, answer = registry._answer_to(path)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """A test's output is not the place for it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="confluent-registry")
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer_to(self, path: str) -> tuple[int, Any]:
        match path.strip("/").split("/"):
            case ["schemas", "types"]:
                return 200, ["JSON", "PROTOBUF", "AVRO"]
            case ["schemas", "guids", guid]:
                return self._found(40403, "Schema not found", lambda each: str(each.guid) == guid)
            case ["schemas", "ids", schema_id]:
                return self._found(40403, "Schema not found", lambda each: str(each.schema_id) == schema_id)
            case ["subjects", subject, "versions", "1"]:
                return self._found(40401, f"Subject '{subject}' not found.", lambda each: each.subject == subject)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _found(self, code: int, message: str, is_it: Callable[[Version], bool]) -> tuple[int, Any]:
        found = next((each.answer() for each in self.versions if is_it(each)), None)
        return (404, {"error_code": code, "message": message}) if found is None else (200, found)
