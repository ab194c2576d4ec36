"""An HTTPS reverse proxy with basic auth in front of a real registry: it can be down, slow, broken, or refuse us."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from scripts.local.certificates import KeyPair
from scripts.local.process import free_ports

FORWARDED = ("Accept", "Content-Type")
TARGET_ANSWERS_S = 10.0


class RegistryProxy:
    """Forwards to `target_url`; `with RegistryProxy(…)` starts and stops it. Its port stays the same.

    `user_info` is `user:password`, empty for everybody. Without `certificate` it speaks plain HTTP; with `client_ca`
    it demands a certificate of whoever asks.
    """

    def __init__(
        self, target_url: str, certificate: KeyPair | None = None, user_info: str = "", client_ca: Path | None = None
    ) -> None:
        self.target = urlsplit(target_url)
        self.certificate = certificate
        self.user_info = user_info
        self.answer_with: int | None = None
        """A status that it answers to everything, instead of asking the registry."""
        self.lagging_behind: set[int] = set()
        """Schema ids that it says it does not know, as a replica that has not got them yet."""
        self.without = ""
        """The beginning of the paths that it does not have, as Apicurio says that of a path that is none."""
        self.asked: list[str] = []
        """Method and path of each request that came, answered or not."""
        self.may_answer = threading.Event()
        """Cleared, it keeps everybody waiting."""
        self.may_answer.set()
        self._client_ca = client_ca
        [self._port] = free_ports(1)
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where a client finds the registry through it."""
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self._port}{self.target.path}"

    def start(self) -> None:
        """Answers from now on."""
        server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler(), bind_and_activate=True)
        if self.certificate:
            # The handshake is for the thread of that connection, or one silent client would hold up all.
            server.socket = self._context().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.05,), name="registry-proxy", daemon=True).start()
        self._server = server

    def stop(self) -> None:
        """Nobody listens on its port afterwards."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.may_answer.set()
        self.stop()

    def _context(self) -> ssl.SSLContext:
        assert self.certificate
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.certificate_file, self.certificate.key_file)
        if self._client_ca is not None:
            context.load_verify_locations(self._client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                proxy.handle(self)

            do_POST = do_PUT = do_DELETE = do_GET

            def handle(self) -> None:
                try:
                    super().handle()
                except (ssl.SSLError, ConnectionError) as error:
                    self.log_error("%s", error)  # a client that does not trust us, or is gone

            def log_message(self, format: str, *args: Any) -> None:
                """A test's output is not the place for it."""

        return Handler

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        self.asked.append(f"{request.command} {request.path}")
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.may_answer.wait()
        if self.answer_with is not None:
            self._answer(request, self.answer_with, b"<html>not today</html>", "text/html")
        elif self.user_info and request.headers.get("Authorization") != f"Basic {_base64(self.user_info)}":
            self._answer(request, 401, b'{"error_code": 40101, "message": "wrong user"}', "application/json")
        elif any(urlsplit(request.path).path.endswith(f"/schemas/ids/{each}") for each in self.lagging_behind):
            self._answer(request, 404, b'{"error_code": 40403, "message": "Schema not found"}', "application/json")
        elif self.without and request.path.startswith(self.without):
            no_path = b'{"message": "Could not find resource", "error_code": 404, "name": "NotFoundException"}'
            self._answer(request, 404, no_path, "application/json")
        else:
            self._answer(request, *self._forwarded(request, body))

    def _forwarded(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, str]:
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
        connection = http.client.HTTPConnection(self.target.netloc, timeout=TARGET_ANSWERS_S)
        try:
            connection.request(request.command, request.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Content-Type", "")
        except OSError as error:
            return 502, str(error).encode(), "text/plain"
        finally:
            connection.close()

    @staticmethod
    def _answer(request: BaseHTTPRequestHandler, status: int, body: bytes, content_type: str) -> None:
        request.send_response(status)
        request.send_header("Content-Type", content_type)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
