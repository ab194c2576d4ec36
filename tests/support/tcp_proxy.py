"""A TCP proxy that can cut connections, delay or hold what they carry, and leave them half-open."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from scripts.local.process import free_ports

CHUNK_BYTES = 65_536
RESET_AT_ONCE = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards 127.0.0.1:`port` to another port of this machine; `with TcpProxy() as proxy` runs it."""

    def __init__(self) -> None:
        [self.port] = free_ports(1)
        self.target_port = 0
        """Where it forwards to; to be set before anybody connects."""
        self.delay_s = 0.0
        """How long it keeps whatever comes, in both directions."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy")
        self._passing = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._targets: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Resets all connections and takes no new ones until `mend`."""
        self._do(self._cut())

    def hold(self) -> None:
        """Keeps all connections, and whatever is sent on them, until `mend`."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def half_open(self) -> None:
        """Closes the side of the target: whoever connected hears nothing of that, and never hears anything again.

        New connections are served.
        """
        self._do(self._half_open())

    def mend(self) -> None:
        """Everything passes again."""
        self.delay_s = 0.0
        self._loop.call_soon_threadsafe(self._passing.set)
        self._do(self._listen())

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._cut())
        self._do(self._end_pumps())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._clients | self._targets:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
            writer.transport.abort()

    async def _half_open(self) -> None:
        targets = set(self._targets)
        self._targets.clear()
        for target in targets:
            target.transport.abort()

    async def _end_pumps(self) -> None:
        pumps = list(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            target_reader, target = await asyncio.open_connection("127.0.0.1", self.target_port)
        except ConnectionError:
            client.transport.abort()  # the target is down
            return
        self._clients.add(client)
        self._targets.add(target)
        self._start(self._forward(client_reader, target, client))
        self._start(self._answer(target_reader, client, target))

    def _start(self, pump: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(pump)
        self._pumps.add(task)
        task.add_done_callback(self._pumps.discard)

    async def _forward(
        self, reader: asyncio.StreamReader, target: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        """From who connected to the target, until the former goes; then both go."""
        with suppress(ConnectionError):  # as good as an end
            while data := await reader.read(CHUNK_BYTES):
                await self._pass_on(data, target)
        self._clients.discard(client)
        self._targets.discard(target)
        client.transport.abort()
        target.transport.abort()

    async def _answer(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, target: asyncio.StreamWriter
    ) -> None:
        """From the target back, until it goes: by itself, as a broker that stops, or unheard."""
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK_BYTES):
                await self._pass_on(data, client)
        if target in self._targets:
            client.close()

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._passing.wait()
        # What nobody takes any more is lost, as on a line that is dead.
        if not writer.is_closing():
            writer.write(data)
            await writer.drain()
