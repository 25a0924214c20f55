"""Runs everything and prints one table: `python -m bench [--quick]`.

Owns the order of the measurements and their ratios. A figure means something only beside another of the same run:
each line has what it is set beside, measured a moment before or after it. Medians of five (of one with --quick).
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2

from bench import peers
from pgrpc.demo import embedded

_ROOT = Path(__file__).resolve().parent.parent
_ADD = '{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}'
_ON = '{"jsonrpc":"2.0","method":"rpc.on","params":["%s"],"id":1}'
_PAD = 100
_PARTS = ("burst", "steady", "spread", "quiet", "calls", "workers", "stalls", "memory", "clients", "listed")
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
_FUNCTIONS = """
create function add(a int, b int) returns int language sql immutable as 'select a + b';
create function large() returns text language sql immutable as $$ select repeat('x', 5000000) $$;
create function many(a int[]) returns int language sql immutable as 'select cardinality(a)';
create function judged(a text) returns int language sql immutable as 'select length(a)';
"""
_JUDGED = '{"properties": {"a": {"pattern": "^([ab]+[bc]+)+[cd]*$"}}}'


def _request(method: str, *params: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}, separators=(",", ":"))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Process:
    """A child that prints lines."""

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
        """The rest of the next line that begins with the word."""
        assert self.child.stdout is not None
        for line in self.child.stdout:
            if line.startswith(word):
                return line.removeprefix(word).strip()
        raise SystemExit(f"{self.child.args!r} ended without {word}")

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
        """Bytes resident."""
        return int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> None:
        self.child.terminate()
        self.child.communicate()


@contextlib.contextmanager
def _process(*arguments: str, **options: Any) -> Iterator[Process]:
    process = Process(*arguments, **options)
    try:
        yield process
    finally:
        process.end()


@contextlib.contextmanager
def _pgrpc(folder: Path, dsn: str, fast: bool, functions: int = 0, workers: int = 1) -> Iterator[tuple[Process, int]]:
    file = folder / "config.yaml"
    more = "".join(f"  add{number}: {{function: add}}\n" for number in range(functions))
    file.write_text(_CONFIG % (dsn, workers, more))
    (folder / "judged.json").write_text(_JUDGED)
    with _process("server.py", "--config", str(file), fast=fast, errors=subprocess.PIPE) as server:
        assert server.child.stderr is not None
        port = 0
        for line in server.child.stderr:
            if found := re.search(r"serving http://[^:]+:(\d+)", line):
                port = int(found[1])
                break
        _until_ready(port)
        yield server, port


def _until_ready(port: int) -> None:
    """All of the workers, the listeners too."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).close()
            return
        time.sleep(0.05)
    raise SystemExit("pgrpc is not ready")


@contextlib.contextmanager
def _floor(clients: int, messages: int, gap: float) -> Iterator[tuple[Process, int]]:
    with _process("-m", "bench.peers", "floor", str(clients), str(messages), str(_PAD), str(gap)) as process:
        yield process, int(process.line("PORT"))


def _load(*arguments: Any) -> Process:
    return Process("-m", "bench.load", *map(str, arguments))


class Notifier:
    """Sends NOTIFYs, each its own transaction."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()

    def send(self, messages: int, gap: float) -> None:
        for number in peers.paced(messages, gap):
            self._cursor.execute("select pg_notify('hot', %s)", (peers.payload(number, _PAD),))

    def spread(self, messages: int, gap: float, channels: int) -> None:
        """Each message to so many channels, in one transaction."""
        many = "select pg_notify('spread.' || i, %s) from generate_series(0, %s) i"
        for number in peers.paced(messages, gap):
            self._cursor.execute(many, (peers.payload(number, _PAD), channels - 1))


def _fanout(port: int, notifier: Notifier, clients: int, messages: int, gap: float, rpc: bool) -> dict[str, Any]:
    extra = (_ON % "hot",) if rpc else ()
    load = _load("fanout", port, "/rpc" if rpc else "/listen/hot", clients, messages, *extra)
    load.line("READY")
    notifier.send(messages, gap)
    result = load.result()
    load.end()
    return result


def _bare(clients: int, messages: int, gap: float) -> dict[str, Any]:
    with _floor(clients, messages, gap) as (process, port):
        load = _load("fanout", port, "/", clients, messages)
        load.line("READY")
        process.go()
        result = load.result()
        load.end()
        return result


def _pgbench(dsn: str, folder: Path, clients: int, seconds: float) -> tuple[float, float]:
    """(transactions/s, average latency in us) of `select add(1, 2)`, simple protocol, no preparing."""
    script = folder / "add.sql"
    script.write_text("select add(1, 2);\n")
    command = [embedded.binaries() / "pgbench", "-n", "-M", "simple", "-c", str(clients), "-j", str(min(clients, 2))]
    done = subprocess.run(
        [*map(str, command), "-T", str(max(1, round(seconds))), "-f", str(script), dsn],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rate = float(re.findall(r"tps = ([\d.]+)", done.stdout)[0])
    return rate, float(re.findall(r"latency average = ([\d.]+)", done.stdout)[0]) * 1e3


class Bench:
    def __init__(self, folder: Path, dsn: str, runs: int, seconds: float, fast: bool) -> None:
        self.folder, self.dsn, self.runs, self.seconds, self.fast = folder, dsn, runs, seconds, fast
        self.notifier = Notifier(dsn)
        self.rows: list[tuple[str, str, str, str]] = []

    def row(self, what: str, ours: str, beside: str, ratio: str) -> None:
        self.rows.append((what, ours, beside, ratio))
        _say(f"  {what}: {ours} | {beside} | {ratio}")

    def medians(self, measure: Callable[[], tuple[float, ...]]) -> tuple[float, ...]:
        return tuple(statistics.median(column) for column in zip(*(measure() for _ in range(self.runs)), strict=True))

    def everything(self) -> None:
        for name in _PARTS:
            part = getattr(self, name)
            _say(f"{name} ...")
            part()

    def burst(self) -> None:
        for rpc, name in ((False, "/listen"), (True, "rpc.on")):

            def measure(rpc: bool = rpc) -> tuple[float, ...]:
                floor = _bare(1000, 100, 0)["rate"]
                with _pgrpc(self.folder, self.dsn, self.fast) as (_, port):
                    ours = _fanout(port, self.notifier, 1000, 500, 0, rpc)["rate"]
                return ours, floor, ours / floor

            ours, floor, ratio = self.medians(measure)
            self.row(
                f"burst: 1,000 clients x 500 events by {name}",
                f"{ours:,.0f} frames/s",
                f"one send a frame: {floor:,.0f}",
                f"{ratio:.1f}x",
            )

    def steady(self) -> None:
        for rate in (100, 250):

            def measure(rate: int = rate) -> tuple[float, ...]:
                count = round(rate * self.seconds)
                floor = _bare(1000, count, 1 / rate)
                with _pgrpc(self.folder, self.dsn, self.fast) as (_, port):
                    ours = _fanout(port, self.notifier, 1000, count, 1 / rate, False)
                return ours["p50"], ours["p99"], floor["p50"], floor["p99"]

            p50, p99, floor50, floor99 = self.medians(measure)
            self.row(
                f"steady: 1,000 clients, {rate} events/s",
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
                f"bare sends: {floor50:.1f}, {floor99:.1f}",
                f"{p50 / floor50:.1f}x, {p99 / floor99:.1f}x",
            )

    def spread(self) -> None:
        """Processor time of the server for each frame, paced so that nothing is joined."""

        def measure() -> tuple[float, ...]:
            costs = []
            for path in ("/listen/hot", "/listen/spread.%d"):
                with _pgrpc(self.folder, self.dsn, self.fast) as (server, port):
                    load = _load("fanout", port, path, 1000, 30)
                    load.line("READY")
                    before = server.cpu()
                    if path == "/listen/hot":
                        self.notifier.send(30, 0.1)
                    else:
                        self.notifier.spread(30, 0.1, 1000)
                    frames = load.result()["frames"]
                    costs.append((server.cpu() - before) / frames * 1e6)
                    load.end()
            return costs[1], costs[0], costs[1] / costs[0]

        many, one, ratio = self.medians(measure)
        self.row(
            "spread: a frame on 1,000 channels", f"{many:.1f} us", f"on one channel: {one:.1f} us", f"{ratio:.1f}x"
        )

    def quiet(self) -> None:
        """10,000 channels on which nothing happens: our processor time, and what they cost PostgreSQL."""

        def measure() -> tuple[float, ...]:
            found = []
            on = _request("rpc.on", *(f"spread.%d.{number}" for number in range(100)))
            for sockets in (0, 100):
                with _pgrpc(self.folder, self.dsn, self.fast) as (server, port):
                    quiet = _load("idle", port, "/rpc", sockets, on)
                    ready = float(json.loads(quiet.line("READY"))["connecting"])
                    load = _load("fanout", port, "/listen/hot", 1, 200)
                    load.line("READY")
                    before = server.cpu()
                    time.sleep(self.seconds)
                    idle = (server.cpu() - before) / self.seconds
                    before = server.cpu()
                    self.notifier.send(200, 0.01)
                    p50 = load.result()["p50"]
                    busy = (server.cpu() - before) / 200 * 1e6
                    load.end()
                    quiet.end()
                found += [ready, idle * 100, p50 * 1e3, busy]
            return tuple(found)

        _, idle, p50, busy, ready, idle_many, p50_many, busy_many = self.medians(measure)
        name = "10,000 channels on which nothing happens"
        self.row(f"{name}: processor", f"{idle_many:.1f} %", f"none: {idle:.1f} %", "")
        self.row("  an event on another channel", f"{busy_many:.0f} us", f"none: {busy:.0f} us", "")
        self.row("  from NOTIFY to the client", f"{p50_many:.0f} us", f"none: {p50:.0f} us", "")
        self.row("  to subscribe to them", f"{ready:.2f} s", "", "")

    def stalls(self) -> None:
        """How long another socket's small call waits at most, beside one that makes large ones."""
        heavy = {
            "nothing": None,
            "results of 5 MB": _request("large"),
            "60 kB of integers": _request("many", [1] * 30_000),
            "60 kB against a pattern": _request("judged", "ab" * 30_000),
            "60 kB that fit nothing": _request("many", ["x"] * 15_000),
        }
        for name, message in heavy.items():

            def measure(message: str | None = message) -> tuple[float, ...]:
                with _pgrpc(self.folder, self.dsn, self.fast) as (_, port):
                    other = _load("rpc", port, "/rpc", 1, 1, self.seconds + 1, message) if message else None
                    if other is not None:
                        other.line("READY")
                    load = _load("rpc", port, "/rpc", 1, 1, self.seconds, _ADD)
                    found = load.result()
                    load.end()
                    if other is not None:
                        other.end()
                return found["longest"] / 1e3, found["p99"] / 1e3

            longest, p99 = self.medians(measure)
            self.row(f"a small call beside {name}", f"p99 {p99:.1f} ms", f"longest {longest:.1f} ms", "")

    def calls(self) -> None:
        for clients, depth in ((8, 1), (8, 8), (1, 1)):

            def measure(clients: int = clients, depth: int = depth) -> tuple[float, ...]:
                rate, latency = _pgbench(self.dsn, self.folder, clients, self.seconds / 2)
                with _process("-m", "bench.peers", "echo", "fast" if self.fast else "plain") as echo:
                    load = _load("rpc", int(echo.line("PORT")), "/", clients, depth, self.seconds / 2, _ADD)
                    bare = load.result()
                    load.end()
                with _pgrpc(self.folder, self.dsn, self.fast) as (_, port):
                    load = _load("rpc", port, "/rpc", clients, depth, self.seconds, _ADD)
                    ours = load.result()
                    load.end()
                mine, p50 = ours["rate"], ours["p50"]
                ratios = mine / rate, mine / bare["rate"], p50 / latency, ours["unfairness"]
                return mine, rate, bare["rate"], p50, latency, *ratios

            ours, pgbench, echo, p50, latency, of_pgbench, of_echo, slower, unfair = self.medians(measure)
            name = f"calls: {clients} socket{'s' if clients > 1 else ''}, {depth} in flight"
            self.row(name, f"{ours:,.0f}/s", f"pgbench: {pgbench:,.0f}", f"{of_pgbench:.1%}")
            self.row(name, f"{ours:,.0f}/s", f"bare Tornado echo: {echo:,.0f}", f"{of_echo:.2f}")
            if clients == 1:
                self.row(name, f"median {p50:.0f} us", f"pgbench: {latency:.0f} us", f"{slower:.1f}x")
            else:
                self.row(name, "slowest socket's p99", "fastest socket's", f"{unfair:.1f}x")

    def workers(self) -> None:
        def measure() -> tuple[float, ...]:
            rates = []
            for workers in (1, 2):
                with _pgrpc(self.folder, self.dsn, self.fast, workers=workers) as (_, port):
                    load = _load("rpc", port, "/rpc", 16, 4, self.seconds, _ADD)
                    rates.append(load.result()["rate"])
                    load.end()
            return rates[1], rates[0], rates[1] / rates[0]

        two, one, ratio = self.medians(measure)
        self.row(
            "calls with two workers: 16 sockets, 4 in flight", f"{two:,.0f}/s", f"one: {one:,.0f}", f"{ratio:.2f}x"
        )

    def memory(self) -> None:
        def measure() -> tuple[float, ...]:
            took = []
            with _process("-m", "bench.peers", "echo", "fast" if self.fast else "plain") as echo:
                load = _load("idle", int(echo.line("PORT")), "/", 5000)
                took.append(json.loads(load.line("READY"))["connecting"])
                load.end()
            with _pgrpc(self.folder, self.dsn, self.fast) as (server, port):
                warm = _load("idle", port, "/rpc", 100)
                warm.line("READY")
                before = server.memory()
                load = _load("idle", port, "/rpc", 5000)
                took.append(json.loads(load.line("READY"))["connecting"])
                each = (server.memory() - before) / 5000
                load.end()
                warm.end()
            return each / 1e3, took[1], took[0]

        each, ours, echo = self.medians(measure)
        self.row("memory of an idle connection, at 5,000", f"{each:.1f} kB", "", "")
        self.row("connecting 5,000", f"{ours:.2f} s", f"bare Tornado echo: {echo:.2f} s", f"{ours / echo:.2f}x")

    def clients(self) -> None:
        for clients in (10, 100, 1000, 10000):

            def measure(clients: int = clients) -> tuple[float, ...]:
                with _pgrpc(self.folder, self.dsn, self.fast) as (server, port):
                    load = _load("fanout", port, "/listen/hot", clients, 20)
                    load.line("READY")
                    before = server.cpu()
                    self.notifier.send(20, max(0.02, clients * 5e-5))
                    frames = load.result()["frames"]
                    cost = (server.cpu() - before) / frames * 1e6
                    load.end()
                return (cost,)

            (cost,) = self.medians(measure)
            self.row(f"one event to {clients:,} clients", f"{cost:.1f} us a client", "", "")

    def listed(self) -> None:
        def measure() -> tuple[float, ...]:
            rates = []
            for functions in (0, 2000):
                with _pgrpc(self.folder, self.dsn, self.fast, functions) as (_, port):
                    load = _load("rpc", port, "/rpc", 8, 8, self.seconds, _ADD)
                    rates.append(load.result()["rate"])
                    load.end()
            return rates[1], rates[0]

        many, one = self.medians(measure)
        self.row("calls with 2,001 functions listed", f"{many:,.0f}/s", f"with one: {one:,.0f}", f"{many / one:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="one short run of each, instead of the median of five")
    parser.add_argument("--plain", action="store_true", help="without the accelerators of pgrpc[fast]")
    parser.add_argument("--only", default="everything", choices=_PARTS, help="one part")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pgrpc-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, PostgreSQL may have to run as somebody else
        with embedded.Server(folder / "postgresql", settings={"max_connections": "100"}) as postgresql:
            dsn = postgresql.dsn()
            notifier = psycopg2.connect(dsn)
            notifier.autocommit = True
            with notifier.cursor() as cursor:
                cursor.execute(_FUNCTIONS)
            notifier.close()
            runs, seconds = (1, 2.0) if options.quick else (5, 2.5)
            bench = Bench(folder, dsn, runs, seconds, not options.plain)
            getattr(bench, options.only)()
    widths = [max(len(row[i]) for row in bench.rows) for i in range(4)]
    sys.stdout.write(f"{'with' if not options.plain else 'without'} pgrpc[fast], {os.cpu_count()} processors\n\n")
    heads = ("what", "pgrpc", "beside it", "ratio")
    for cells in (heads, tuple("-" * 3 for _ in heads), *bench.rows):
        sys.stdout.write("| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + " |\n")


if __name__ == "__main__":
    main()
