"""The proxy that tests put before a broker does to connections what it says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from scripts.waiting import wait_for
from tests.support.tcp_proxy import TcpProxy


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(peer: socket.socket) -> None:
            with peer, suppress(ConnectionError):
                while data := peer.recv(1000):
                    peer.sendall(data)

        def accept() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return  # closed: the test is over
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


@pytest.fixture
def proxy(echo_port: int) -> Iterator[TcpProxy]:
    with TcpProxy() as proxy:
        proxy.target_port = echo_port
        yield proxy


def connected(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def echoed(client: socket.socket, timeout_s: float = 5.0) -> bytes:
    client.settimeout(timeout_s)
    client.sendall(b"hello")
    return client.recv(100)


def refused(proxy: TcpProxy) -> bool:
    try:
        connected(proxy).close()
    except ConnectionRefusedError:
        return True
    return False


def test_it_passes_on_what_both_sides_say(proxy):
    with connected(proxy) as client:
        assert echoed(client) == b"hello"


def test_a_cut_ends_connections_and_lets_nobody_in_until_it_is_mended(proxy):
    with connected(proxy) as client:
        assert echoed(client) == b"hello"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(100)
        wait_for("no way in", lambda: refused(proxy))
    proxy.mend()
    with connected(proxy) as client:
        assert echoed(client) == b"hello"


def test_what_is_held_comes_when_it_is_mended(proxy):
    with connected(proxy) as client:
        assert echoed(client) == b"hello"
        proxy.hold()
        with pytest.raises(TimeoutError):
            echoed(client, 0.3)
        proxy.mend()
        client.settimeout(5)
        assert client.recv(100) == b"hello"


def test_a_delay_is_kept_in_both_directions(proxy):
    with connected(proxy) as client:
        assert echoed(client) == b"hello"
        proxy.delay_s = 0.1
        began_s = time.monotonic()
        assert echoed(client) == b"hello"
        assert time.monotonic() - began_s >= 0.2


def test_a_half_open_connection_is_silent_for_ever_while_new_ones_are_served(proxy):
    with connected(proxy) as half_open:
        assert echoed(half_open) == b"hello"
        proxy.half_open()
        with connected(proxy) as client:
            assert echoed(client) == b"hello"
        with pytest.raises(TimeoutError):
            echoed(half_open, 0.3)
