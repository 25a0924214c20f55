"""A WebSocket client that speaks JSON-RPC: what a page does, `await client.call("add", 1, 2)`.

Owns requests and their replies, and the order of notifications. Must not know what is tested. The bytes themselves are
in ws_raw.
"""

import asyncio
import itertools
import json
from typing import Any, Self

import websockets

PATIENCE = 30.0
"""Seconds after which a test that waits for something has failed."""


class RpcError(Exception):
    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']} {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class Client:
    """A JSON-RPC client: `async with Client(server.address()) as client: await client.call("add", 1, 2)`."""

    def __init__(self, address: str, **options: Any) -> None:
        self._address = address
        self._options = {"max_size": None, "open_timeout": PATIENCE, "compression": None} | options
        self._ids = itertools.count(1)
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        """Every notification of the server, in order."""
        self.raw: asyncio.Queue[str] = asyncio.Queue()
        """Every frame whose id nobody waits for (batches, answers with id null, ids of one's own), as text."""

    async def __aenter__(self) -> Self:
        self.socket = await websockets.connect(self._address, **self._options)
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._task

    async def _read(self) -> None:
        try:
            async for frame in self.socket:
                assert isinstance(frame, str)
                message = json.loads(frame)
                if isinstance(message, dict) and "method" in message:
                    self.events.put_nowait(message)
                elif isinstance(message, dict) and str(message.get("id")) in self._replies:
                    self._replies.pop(str(message["id"])).set_result(message)
                else:
                    self.raw.put_nowait(frame)
        except websockets.ConnectionClosed:
            pass
        for waiting in self._replies.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError(f"closed: {self.socket.close_code}"))

    async def request(self, method: str, params: Any = None) -> dict[str, Any]:
        """The whole reply to a request; params: a list or a dict."""
        identifier = next(self._ids)
        waiting = self._replies[str(identifier)] = asyncio.get_running_loop().create_future()
        message = {"jsonrpc": "2.0", "method": method, "id": identifier}
        await self.socket.send(json.dumps(message if params is None else {**message, "params": params}))
        return await asyncio.wait_for(waiting, PATIENCE)

    async def call(self, method: str, *positional: Any, **named: Any) -> Any:
        """The result; raises RpcError."""
        reply = await self.request(method, list(positional) if positional or not named else named)
        if "error" in reply:
            raise RpcError(reply["error"])
        return reply["result"]

    async def send(self, text: str | bytes) -> None:
        await self.socket.send(text)

    async def frame(self) -> str:
        """The next frame that answers nothing `request` waits for, as text."""
        return await asyncio.wait_for(self.raw.get(), PATIENCE)

    async def event(self) -> dict[str, Any]:
        """The next notification."""
        return await asyncio.wait_for(self.events.get(), PATIENCE)

    async def closed(self) -> int:
        """Wait for the connection's end; the close code."""
        await asyncio.wait_for(asyncio.shield(self._task), PATIENCE)
        assert self.socket.close_code is not None
        return self.socket.close_code
