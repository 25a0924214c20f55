"""The real `server.py` as a process.

Owns starting, watching and ending it in tests. Must not know what is tested.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.ws_client import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


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

    @property
    def problems(self) -> list[str]:
        """The lines above INFO, without their time."""
        return [
            line.split(" ", 2)[2] for line in self.told.splitlines() if re.search(r" (WARNING|ERROR|CRITICAL) ", line)
        ]

    def count(self, words: str) -> int:
        return sum(words in line for line in self.told.splitlines())

    async def ready(self) -> tuple[int, dict[str, Any]]:
        return await asyncio.to_thread(self._ready)

    def _ready(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"{self.url}health/ready", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    async def until_ready(self, status: int = 200, patience: float = 20) -> dict[str, Any]:
        async with asyncio.timeout(patience):
            while True:
                found, answer = await self.ready()
                if found == status:
                    return answer
                await asyncio.sleep(0.05)

    async def until_few_descriptors(self, count: int, patience: float = 10) -> None:
        deadline = asyncio.get_running_loop().time() + patience
        while self.descriptors > count:
            assert asyncio.get_running_loop().time() < deadline, self.descriptors
            await asyncio.sleep(0.1)

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextmanager
def serving(
    folder: Path, dsn: str, rest: str = "", *, environ: dict[str, str] | None = None, **options: Any
) -> Iterator[Server]:
    """Serve `dsn` on a free port. rest: YAML such as "functions:\\n  add:\\n"; it may have `database` and `server` too.

    environ, options: as for `running`.
    """
    file = folder / "config.yaml"
    server_section = "" if re.search(r"^server:", rest, re.MULTILINE) else "server: {port: 0}\n"
    database_section = "" if re.search(r"^database:", rest, re.MULTILINE) else "database: {dsn: '${TEST_DSN}'}\n"
    file.write_text(f"{database_section}{server_section}{rest}", encoding="utf-8")
    with running(["--config", str(file)], environ={"TEST_DSN": dsn, **(environ or {})}, **options) as server:
        yield server


@contextmanager
def running(
    arguments: Sequence[str],
    *,
    environ: dict[str, str] | None = None,
    folder: Path | None = None,
    ready: bool = True,
    debug: bool = True,
    descriptors: tuple[int, int] | None = None,
) -> Iterator[Server]:
    """Run server.py with these arguments, in a folder.

    ready: wait until calls and events are served; otherwise only until it accepts connections.
    debug: with asyncio's debugging, which also makes it a slow one.
    descriptors: how many it may open (soft, hard limit).
    """
    options = ["-X", "dev", "-W", "error"] if debug else []
    limited = ["prlimit", f"--nofile={descriptors[0]}:{descriptors[1]}"] if descriptors else []
    process = subprocess.Popen(
        [*limited, sys.executable, *options, str(ROOT / "server.py"), *arguments],
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
