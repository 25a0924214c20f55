"""The parts of the benchmark: what is measured, and what it is compared with.

Owns the order of the measurements and their ratios. Must not know how processes are started.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import processes

NAMES = ("burst", "steady", "spread", "quiet", "calls", "workers", "stalls", "memory", "clients", "listed")
_ADD = '{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}'


def _request(method: str, *params: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}, separators=(",", ":"))


def _report(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Bench:
    """One method for each part; each adds rows to the table."""

    def __init__(self, folder: Path, dsn: str, runs: int, seconds: float, fast: bool) -> None:
        self.folder, self.dsn, self.runs, self.seconds, self.fast = folder, dsn, runs, seconds, fast
        self.notifier = processes.Notifier(dsn)
        self.rows: list[tuple[str, str, str, str]] = []

    def row(self, what: str, ours: str, baseline: str, ratio: str) -> None:
        self.rows.append((what, ours, baseline, ratio))
        _report(f"  {what}: {ours} | {baseline} | {ratio}")

    def medians(self, measure: Callable[[], tuple[float, ...]]) -> tuple[float, ...]:
        return tuple(statistics.median(column) for column in zip(*(measure() for _ in range(self.runs)), strict=True))

    def everything(self) -> None:
        for name in NAMES:
            part = getattr(self, name)
            _report(f"{name} ...")
            part()

    def burst(self) -> None:
        for rpc, name in ((False, "/listen"), (True, "rpc.on")):

            def measure(rpc: bool = rpc) -> tuple[float, ...]:
                floor = processes.bare(1000, 100, 0)["rate"]
                with processes.pgrpc(self.folder, self.dsn, self.fast) as (_, port):
                    ours = processes.fanout(port, self.notifier, 1000, 500, 0, rpc)["rate"]
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
                floor = processes.bare(1000, count, 1 / rate)
                with processes.pgrpc(self.folder, self.dsn, self.fast) as (_, port):
                    ours = processes.fanout(port, self.notifier, 1000, count, 1 / rate, False)
                return ours["p50"], ours["p99"], floor["p50"], floor["p99"]

            p50, p99, floor50, floor99 = self.medians(measure)
            self.row(
                f"steady: 1,000 clients, {rate} events/s",
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
                f"bare sends: {floor50:.1f}, {floor99:.1f}",
                f"{p50 / floor50:.1f}x, {p99 / floor99:.1f}x",
            )

    def spread(self) -> None:
        """CPU time of the server per frame, paced so that no frames are sent together."""

        def measure() -> tuple[float, ...]:
            costs = []
            for path in ("/listen/hot", "/listen/spread.%d"):
                with processes.pgrpc(self.folder, self.dsn, self.fast) as (server, port):
                    load = processes.load("fanout", port, path, 1000, 30)
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
        """10,000 quiet channels: CPU time of the server, and the latency of another channel's events."""

        def measure() -> tuple[float, ...]:
            figures = []
            on = _request("rpc.on", *(f"spread.%d.{number}" for number in range(100)))
            for sockets in (0, 100):
                with processes.pgrpc(self.folder, self.dsn, self.fast) as (server, port):
                    quiet = processes.load("idle", port, "/rpc", sockets, on)
                    ready = float(json.loads(quiet.line("READY"))["connecting"])
                    load = processes.load("fanout", port, "/listen/hot", 1, 200)
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
                figures += [ready, idle * 100, p50 * 1e3, busy]
            return tuple(figures)

        _, idle, p50, busy, ready, idle_many, p50_many, busy_many = self.medians(measure)
        name = "10,000 quiet channels"
        self.row(f"{name}: CPU", f"{idle_many:.1f} %", f"none: {idle:.1f} %", "")
        self.row("  an event on another channel", f"{busy_many:.0f} us", f"none: {busy:.0f} us", "")
        self.row("  from NOTIFY to the client", f"{p50_many:.0f} us", f"none: {p50:.0f} us", "")
        self.row("  to subscribe to them", f"{ready:.2f} s", "", "")

    def stalls(self) -> None:
        """The latency of a small call while another socket makes large ones."""
        heavy = {
            "nothing": None,
            "results of 5 MB": _request("large"),
            "60 kB of integers": _request("many", [1] * 30_000),
            "60 kB against a pattern": _request("judged", "ab" * 30_000),
            "60 kB of invalid values": _request("many", ["x"] * 15_000),
        }
        for name, message in heavy.items():

            def measure(message: str | None = message) -> tuple[float, ...]:
                with processes.pgrpc(self.folder, self.dsn, self.fast) as (_, port):
                    other = processes.load("rpc", port, "/rpc", 1, 1, self.seconds + 1, message) if message else None
                    if other is not None:
                        other.line("READY")
                    load = processes.load("rpc", port, "/rpc", 1, 1, self.seconds, _ADD)
                    result = load.result()
                    load.end()
                    if other is not None:
                        other.end()
                return result["longest"] / 1e3, result["p99"] / 1e3

            longest, p99 = self.medians(measure)
            self.row(f"a small call beside {name}", f"p99 {p99:.1f} ms", f"longest {longest:.1f} ms", "")

    def calls(self) -> None:
        for clients, depth in ((8, 1), (8, 8), (1, 1)):

            def measure(clients: int = clients, depth: int = depth) -> tuple[float, ...]:
                rate, latency = processes.pgbench(self.dsn, self.folder, clients, self.seconds / 2)
                with processes.process("-m", "bench.peers", "echo", "fast" if self.fast else "plain") as echo:
                    load = processes.load("rpc", int(echo.line("PORT")), "/", clients, depth, self.seconds / 2, _ADD)
                    bare = load.result()
                    load.end()
                with processes.pgrpc(self.folder, self.dsn, self.fast) as (_, port):
                    load = processes.load("rpc", port, "/rpc", clients, depth, self.seconds, _ADD)
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
                with processes.pgrpc(self.folder, self.dsn, self.fast, workers=workers) as (_, port):
                    load = processes.load("rpc", port, "/rpc", 16, 4, self.seconds, _ADD)
                    rates.append(load.result()["rate"])
                    load.end()
            return rates[1], rates[0], rates[1] / rates[0]

        two, one, ratio = self.medians(measure)
        self.row(
            "calls with two workers: 16 sockets, 4 in flight", f"{two:,.0f}/s", f"one: {one:,.0f}", f"{ratio:.2f}x"
        )

    def memory(self) -> None:
        def measure() -> tuple[float, ...]:
            seconds = []
            with processes.process("-m", "bench.peers", "echo", "fast" if self.fast else "plain") as echo:
                load = processes.load("idle", int(echo.line("PORT")), "/", 5000)
                seconds.append(json.loads(load.line("READY"))["connecting"])
                load.end()
            with processes.pgrpc(self.folder, self.dsn, self.fast) as (server, port):
                warm = processes.load("idle", port, "/rpc", 100)
                warm.line("READY")
                before = server.memory()
                load = processes.load("idle", port, "/rpc", 5000)
                seconds.append(json.loads(load.line("READY"))["connecting"])
                each = (server.memory() - before) / 5000
                load.end()
                warm.end()
            return each / 1e3, seconds[1], seconds[0]

        each, ours, echo = self.medians(measure)
        self.row("memory of an idle connection, at 5,000", f"{each:.1f} kB", "", "")
        self.row("connecting 5,000", f"{ours:.2f} s", f"bare Tornado echo: {echo:.2f} s", f"{ours / echo:.2f}x")

    def clients(self) -> None:
        for clients in (10, 100, 1000, 10000):

            def measure(clients: int = clients) -> tuple[float, ...]:
                with processes.pgrpc(self.folder, self.dsn, self.fast) as (server, port):
                    load = processes.load("fanout", port, "/listen/hot", clients, 20)
                    load.line("READY")
                    before = server.cpu()
                    self.notifier.send(20, max(0.02, clients * 5e-5))
                    frames = load.result()["frames"]
                    cost = (server.cpu() - before) / frames * 1e6
                    load.end()
                return (cost,)

            (cost,) = self.medians(measure)
            self.row(f"one event to {clients:,} clients", f"{cost:.1f} us per client", "", "")

    def listed(self) -> None:
        def measure() -> tuple[float, ...]:
            rates = []
            for functions in (0, 2000):
                with processes.pgrpc(self.folder, self.dsn, self.fast, functions) as (_, port):
                    load = processes.load("rpc", port, "/rpc", 8, 8, self.seconds, _ADD)
                    rates.append(load.result()["rate"])
                    load.end()
            return rates[1], rates[0]

        many, one = self.medians(measure)
        self.row("calls with 2,001 functions listed", f"{many:,.0f}/s", f"with one: {one:,.0f}", f"{many / one:.2f}")
