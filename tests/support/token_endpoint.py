"""Tokens that nobody signs, and an endpoint that gives them: what an identity provider is to a client."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from scripts.local.certificates import CertificateAuthority

SECRET = "cl1ent-Secret"


def unsigned_token(subject: str, lasts_s: float = 600.0) -> str:
    """A JSON Web Token as Kafka's own validator for development takes it."""
    now = time.time()
    claims = {"sub": subject, "iat": now, "exp": now + lasts_s}
    return ".".join([token_part({"alg": "none"}), token_part(claims), ""])


def token_part(content: dict[str, Any]) -> str:
    """Header or claims as they stand in a token."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


class TokenEndpoint:
    """An HTTP or, with an authority, HTTPS server on a free port while the `with` block runs.

    `answer` gives status and body for each question; None: no answer until the block ends.
    """

    def __init__(self, authority: CertificateAuthority | None = None) -> None:
        self.answer: Callable[[], tuple[int, str] | None] = lambda: (404, "")
        self.asked = 0
        self._over = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                endpoint.asked += 1
                answer = endpoint.answer()
                if answer is None:
                    endpoint._over.wait()
                    return
                status, body = answer
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(authority.server().pem_file())
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, name="token-endpoint")
        scheme = "http" if authority is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}/token"

    def give(self, subject: str) -> None:
        """Answers with a token for this subject from now on."""
        self.answer = lambda: (200, json.dumps({"access_token": unsigned_token(subject), "token_type": "Bearer"}))

    def config(self) -> dict[str, Any]:
        """librdkafka's properties for a client that asks here."""
        return {
            "sasl.mechanisms": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": "orderpulse",
            "sasl.oauthbearer.client.secret": SECRET,
            "sasl.oauthbearer.token.endpoint.url": self.url,
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
