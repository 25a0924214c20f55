"""The life of a server: its parts run until a signal comes or one of them fails, then they stop in order.

Owns that order, and the exit status. Must not know how the parts are made, nor how any of them works.
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
"""Seconds that calls in flight, and then sockets, have to end when stopping."""


@dataclass(frozen=True, slots=True)
class Parts:
    """background: what runs beside the web server, by name; none of it may fail."""

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
    """Serve until a signal of `stop_on`, or until a part fails, which none may; then stop in order. The exit status."""
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in stop_on:
        loop.add_signal_handler(number, signals.put_nowait, number)
    if signal.SIGHUP not in stop_on:
        loop.add_signal_handler(signal.SIGHUP, parts.operator.reload)
    tasks = [_task(name, start()) for name, start in parts.background.items()]
    stop = _task("signals", signals.get())
    gc.collect()
    gc.freeze()  # what is here now stays: later collections need not look at it
    parts.web.start()
    for url in parts.web.urls:
        observer(observe.Serving(url, parts.web.front_page(url)))
    on_serving(parts.web.urls[0])
    try:
        status = await _until_stopped(stop, tasks, observer)
        parts.web.stop_accepting()
        if status == 0:
            parts.calls.refuse()  # before it is reported
            observer(observe.Stopping(f"{stop.result().name} received; calls in flight may end"))
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
    """Until a signal, or until a part fails: the exit status."""
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
    """Calls first, then sockets; a second signal ends the waiting."""
    impatient = _task("second signal", signals.get())
    orderly = _task("stopping", _stop(parts))
    await asyncio.wait((impatient, orderly), return_when=asyncio.FIRST_COMPLETED)
    for task in (impatient, orderly):
        task.cancel()


async def _stop(parts: Parts) -> None:
    await parts.calls.drain(_TIMEOUT)
    await parts.web.close(_TIMEOUT)


def _task(name: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    return asyncio.create_task(work, name=name)
