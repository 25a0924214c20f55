"""Runs the parts of a server until a signal arrives or a part fails, then stops them in order.

Owns that order, and the exit status. Must not know how the parts are built, nor how they work.
"""

import asyncio
import gc
import signal
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from pgrpc import observe
from pgrpc.postgres import database
from pgrpc.server import admin
from pgrpc.web import server

CRASHED = 70  # EX_SOFTWARE

_TIMEOUT = 10.0
"""Seconds for calls in flight to end when stopping, and then for sockets to close."""


@dataclass(frozen=True, slots=True)
class Parts:
    """background: what runs beside the web server, by name; if one of these fails, the server stops."""

    web: server.Server
    calls: database.Database
    operator: admin.Admin
    background: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]


async def supervise(
    parts: Parts,
    observer: observe.Observer,
    stop_on: Collection[signal.Signals],
    on_serving: Callable[[str], None],
) -> int:
    """Serve until a signal of `stop_on` or the failure of a part, then stop in order. Returns the exit status."""
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in stop_on:
        loop.add_signal_handler(number, signals.put_nowait, number)
    if signal.SIGHUP not in stop_on:
        loop.add_signal_handler(signal.SIGHUP, parts.operator.reload)
    tasks = [_task(name, start()) for name, start in parts.background.items()]
    stop = _task("signals", signals.get())
    gc.collect()
    gc.freeze()  # these objects stay: later collections need not traverse them
    parts.web.start()
    for url in parts.web.urls:
        observer(observe.Serving(url, parts.web.front_page(url)))
    on_serving(parts.web.urls[0])
    try:
        status = await _until_stopped(stop, tasks, observer)
        parts.web.stop_accepting()
        if status == 0:
            parts.calls.refuse()  # before it is reported
            observer(observe.Stopping(f"{stop.result().name} received; waiting for calls in flight"))
            await _stop_in_order(parts, signals)
        return status
    finally:
        for task in (*tasks, stop):
            task.cancel()
        await asyncio.gather(*tasks, stop, return_exceptions=True)
        await parts.calls.close()
        for number in {*stop_on, signal.SIGHUP}:
            loop.remove_signal_handler(number)


async def _until_stopped(
    stop: "asyncio.Task[Any]", tasks: list["asyncio.Task[Any]"], observer: observe.Observer
) -> int:
    """Wait for a signal or the failure of a part. Returns the exit status."""
    waiting = {stop, *tasks}
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if stop in done:
            return 0
        for task in done:
            error = task.exception()
            if error is not None:
                observer(observe.Bug(f"the part {task.get_name()!r}", error))
                return CRASHED


async def _stop_in_order(parts: Parts, signals: "asyncio.Queue[signal.Signals]") -> None:
    """Wait for calls, then for sockets; a second signal ends the wait."""
    second_signal = _task("second signal", signals.get())
    stopping = _task("stopping", _stop(parts))
    await asyncio.wait((second_signal, stopping), return_when=asyncio.FIRST_COMPLETED)
    for task in (second_signal, stopping):
        task.cancel()


async def _stop(parts: Parts) -> None:
    await parts.calls.drain(_TIMEOUT)
    await parts.web.close(_TIMEOUT)


def _task(name: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    return asyncio.create_task(work, name=name)
