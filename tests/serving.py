"""A real `server.py` as a process, and a client that speaks JSON-RPC to it over a real socket.

Owns starting, talking to and ending the server in tests. Must not know what is tested.
"""

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import websockets

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0
"""Seconds after which a test that waits for something has failed."""


class Server:
    """A running server. `log` is what it has written to standard error so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.log = ""
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._arrived:
                self.log += line
                self._arrived.notify_all()
        with self._arrived:
            self._arrived.notify_all()

    @property
    def told(self) -> str:
        """The log without what asyncio's debugging adds to it on a slow machine, exceptions among it."""
        return "".join(line for line in self.log.splitlines(keepends=True) if " WARNING Executing <" not in line)

    def wait_for(self, pattern: str, *, after: int = 0, patience: float = PATIENCE) -> "re.Match[str]":
        """Wait until the log, from position `after` on, has the pattern."""
        deadline = time.monotonic() + patience
        with self._arrived:
            while True:
                match = re.compile(pattern).search(self.log, after)
                if match:
                    return match
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._reader.is_alive()):
                    raise AssertionError(f"{pattern!r} is not in the log:\n{self.log}")
                self._arrived.wait(min(left, 0.2))

    def address(self, path: str = "rpc") -> str:
        return self.url.replace("http", "ws", 1) + path

    def stop(self, number: signal.Signals = signal.SIGTERM, patience: float = 30) -> int:
        """End it by a signal; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(patience)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join(PATIENCE)
            assert self.process.stderr is not None
            self.process.stderr.close()


@contextmanager
def serving(
    folder: Path, dsn: str, rest: str = "", *, environ: dict[str, str] | None = None, ready: bool = True
) -> Iterator[Server]:
    """Serve `dsn` on a free port. rest: YAML below the `server` section, such as "functions:\\n  add:\\n".

    ready: wait until calls and events are served; otherwise only until it accepts connections.
    """
    file = folder / "config.yaml"
    server_section = "" if re.search(r"^server:", rest, re.MULTILINE) else "server: {port: 0}\n"
    database_section = "" if re.search(r"^database:", rest, re.MULTILINE) else "database: {dsn: '${TEST_DSN}'}\n"
    file.write_text(f"{database_section}{server_section}{rest}", encoding="utf-8")
    with running(["--config", str(file)], environ={"TEST_DSN": dsn, **(environ or {})}, ready=ready) as server:
        yield server


@contextmanager
def running(
    arguments: Sequence[str], *, environ: dict[str, str] | None = None, folder: Path | None = None, ready: bool = True
) -> Iterator[Server]:
    """Run server.py with these arguments, in a folder. environ, ready: as for `serving`."""
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", str(ROOT / "server.py"), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **(environ or {})},
    )
    server = Server(process)
    try:
        server.url = server.wait_for(r"serving ([^\s;]+)").group(1)
        if ready:
            server.wait_for("connected to the database")
            server.wait_for("LISTEN connection open")
        yield server
        assert "Traceback" not in server.log, server.log
        assert "a bug in pgrpc" not in server.log, server.log
    except Exception as error:
        error.add_note(f"the server's log:\n{server.log}")
        raise
    finally:
        server.stop()


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
