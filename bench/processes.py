"""The processes of a measurement: pgrpc, the baselines, the load generator, pgbench.

Owns how each is started and ended, and the configuration of pgrpc. Must not know what is compared.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

from bench import peers
from pgrpc.demo import embedded

_ROOT = Path(__file__).resolve().parent.parent
_ON = '{"jsonrpc":"2.0","method":"rpc.on","params":["%s"],"id":1}'
_PAD = 100
_CONFIG = """
database: {dsn: "%s"}
server: {port: 0, workers: %d}
limits: {subscriptions: 10000}
functions:
  add:
  large:
  many:
  judged: {params: judged.json}
%schannels:
  hot:
  "spread.**":
"""
_JUDGED = '{"properties": {"a": {"pattern": "^([ab]+[bc]+)+[cd]*$"}}}'


class Process:
    """A child process that prints lines."""

    def __init__(self, *arguments: str, fast: bool = True, errors: Any = None) -> None:
        self.child = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "PGRPC_FAST": "1" if fast else "0"},
        )

    def line(self, word: str) -> str:
        """Wait for a line that begins with the word, and return its rest."""
        assert self.child.stdout is not None
        for line in self.child.stdout:
            if line.startswith(word):
                return line.removeprefix(word).strip()
        raise SystemExit(f"{self.child.args!r} ended without printing {word}")

    def result(self) -> dict[str, Any]:
        return dict(json.loads("{" + self.line("{")))

    def go(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> None:
        self.child.terminate()
        self.child.communicate()


@contextlib.contextmanager
def process(*arguments: str, **options: Any) -> Iterator[Process]:
    """A child process, ended afterwards."""
    child = Process(*arguments, **options)
    try:
        yield child
    finally:
        child.end()


@contextlib.contextmanager
def pgrpc(folder: Path, dsn: str, fast: bool, functions: int = 0, workers: int = 1) -> Iterator[tuple[Process, int]]:
    """A running pgrpc and its port. functions: how many more to list."""
    file = folder / "config.yaml"
    extra = "".join(f"  add{number}: {{function: add}}\n" for number in range(functions))
    file.write_text(_CONFIG % (dsn, workers, extra))
    (folder / "judged.json").write_text(_JUDGED)
    with process("server.py", "--config", str(file), fast=fast, errors=subprocess.PIPE) as server:
        assert server.child.stderr is not None
        port = 0
        for line in server.child.stderr:
            if found := re.search(r"serving http://[^:]+:(\d+)", line):
                port = int(found[1])
                break
        _until_ready(port)
        yield server, port


def _until_ready(port: int) -> None:
    """Wait until all workers are ready, with their LISTEN connections."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).close()
            return
        time.sleep(0.05)
    raise SystemExit("pgrpc is not ready")


@contextlib.contextmanager
def floor(clients: int, messages: int, gap: float) -> Iterator[tuple[Process, int]]:
    """The baseline that only sends, and its port."""
    with process("-m", "bench.peers", "floor", str(clients), str(messages), str(_PAD), str(gap)) as child:
        yield child, int(child.line("PORT"))


def load(*arguments: Any) -> Process:
    """The load generator; arguments: as in bench/load.py."""
    return Process("-m", "bench.load", *map(str, arguments))


class Notifier:
    """Sends NOTIFY, each in its own transaction."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()

    def send(self, messages: int, gap: float) -> None:
        for number in peers.paced(messages, gap):
            self._cursor.execute("select pg_notify('hot', %s)", (peers.payload(number, _PAD),))

    def spread(self, messages: int, gap: float, channels: int) -> None:
        """Send each message to this many channels, in one transaction."""
        sql = "select pg_notify('spread.' || i, %s) from generate_series(0, %s) i"
        for number in peers.paced(messages, gap):
            self._cursor.execute(sql, (peers.payload(number, _PAD), channels - 1))


def fanout(port: int, notifier: Notifier, clients: int, messages: int, gap: float, rpc: bool) -> dict[str, Any]:
    """Send events to clients of pgrpc. gap: seconds between two. rpc: by rpc.on, otherwise by /listen."""
    extra = (_ON % "hot",) if rpc else ()
    client = load("fanout", port, "/rpc" if rpc else "/listen/hot", clients, messages, *extra)
    client.line("READY")
    notifier.send(messages, gap)
    result = client.result()
    client.end()
    return result


def bare(clients: int, messages: int, gap: float) -> dict[str, Any]:
    """The same with the baseline that only sends."""
    with floor(clients, messages, gap) as (sender, port):
        client = load("fanout", port, "/", clients, messages)
        client.line("READY")
        sender.go()
        result = client.result()
        client.end()
        return result


def pgbench(dsn: str, folder: Path, clients: int, seconds: float) -> tuple[float, float]:
    """(transactions/s, average latency in us) of `select add(1, 2)`: simple protocol, not prepared."""
    script = folder / "add.sql"
    script.write_text("select add(1, 2);\n")
    command = [embedded.binaries() / "pgbench", "-n", "-M", "simple", "-c", str(clients), "-j", str(min(clients, 2))]
    done = subprocess.run(
        [*map(str, command), "-T", str(max(1, round(seconds))), "-f", str(script), dsn],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rate = float(re.findall(r"tps = ([\d.]+)", done.stdout)[0])
    return rate, float(re.findall(r"latency average = ([\d.]+)", done.stdout)[0]) * 1e3
