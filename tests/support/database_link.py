"""The link between pgrpc and PostgreSQL, and what can happen to it.

Owns delay, silence and refusal on the way. Must not know what travels.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support import tcp_proxy


@contextmanager
def linked(port: int) -> "Iterator[Link]":
    """A link in a thread of its own: what goes through it does not wait for the test."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin() -> Link:
        return await Link(port).__aenter__()

    link = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield link
    finally:
        link.thaw()
        asyncio.run_coroutine_threadsafe(link.__aexit__(), loop).result(10)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Link(tcp_proxy.Proxy):
    """latency: seconds that each piece takes, each way. refusing: whether new connections are reset at once."""

    latency = 0.0
    refusing = False

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._loop = asyncio.get_running_loop()

    def _there(self, work: Callable[[], object]) -> None:
        """Do it in the link's thread."""
        self._loop.call_soon_threadsafe(work)

    def freeze(self) -> None:
        """From now on nothing arrives, either way, and nobody is told: as if a cable had been pulled."""
        self._there(self._flowing.clear)

    def thaw(self) -> None:
        self._there(self._flowing.set)

    def drop(self) -> None:
        """End all connections, and take no new ones."""
        self.refusing = True
        self.end_all()

    def end_all(self, *, reset: bool = True) -> None:
        self._there(lambda: self.cut(reset=reset))

    def mend(self) -> None:
        self.refusing = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        await super()._serve(reader, writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if self.latency:
                await asyncio.sleep(self.latency)
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionAbortedError  # one side's end is the other's

    async def _forward(self, link: tcp_proxy._Link, reader: asyncio.StreamReader) -> None:
        assert link.server is not None
        await self._pass(reader, link.server)

    async def _back(self, link: tcp_proxy._Link, reader: asyncio.StreamReader) -> None:
        await self._pass(reader, link.client)
