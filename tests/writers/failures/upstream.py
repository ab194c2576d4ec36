"""The service that the failing programs ask: it answers as a cause says, and echoes the path as real ones do."""

from __future__ import annotations

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from types import TracebackType
from typing import Self


class Upstream:
    """`answer` is `<status>`, `<status> <text of the body>`, or how it breaks: `silence`, `hang-up`, `half-a-body`."""

    def __init__(self, seed: str) -> None:
        self.answer = "200"
        self.random = Random(seed)
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, self._closing))
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(upstream: Upstream, closing: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind, _, text = upstream.answer.partition(" ")
            if kind == "silence":
                closing.wait(10)
                self.close_connection = True
            elif kind == "hang-up":
                self.close_connection = True
            elif kind == "half-a-body":
                self._answer(200, b'{"status": "acc', 4096)
                self.close_connection = True
            else:
                body = text.encode() if text else self._error_of(int(kind))
                self._answer(int(kind), body, len(body))

        do_POST = do_PUT = do_GET

        def _error_of(self, status: int) -> bytes:
            request_id = uuid.UUID(int=upstream.random.getrandbits(128), version=4)
            return json.dumps({"status": status, "path": self.path, "requestId": str(request_id)}).encode()

        def _answer(self, status: int, body: bytes, length: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """It is quiet."""

    return Handler
