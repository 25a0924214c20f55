"""The composition root: builds the parts, wires them with plain callables, supervises, stops.

Owns the order in which things begin and end. Must not know how any of them works.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import pgrpc.config as configuration
from pgrpc import observe, tls
from pgrpc.check import factories, resolve
from pgrpc.compat import registry
from pgrpc.core.channels import hub, rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.limits import counts, ratelimit
from pgrpc.postgres import backoff, connect, database, listener
from pgrpc.server import admin, admin_channel, event_loop, malloc
from pgrpc.web import context, ports, server

CRASHED = 70  # EX_SOFTWARE
CANNOT_BIND = 71  # EX_OSERR

_PATIENCE = 10.0
"""Seconds that calls in flight, and then sockets, have to end when stopping."""


_TELL = 0.25
"""Seconds between two times that one of several workers tells the others what is not ready in it."""


class CannotServe(Exception):
    """The address cannot be served; str() says why and what to do."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several workers has in common with the others."""

    sockets: ports.Sockets
    """On which it listens."""
    counts: counts.Counts
    rates: ratelimit.Buckets
    tell: Callable[[Mapping[str, str]], None]
    """What is not ready here: {"database": "..."}."""
    unready: Callable[[], Mapping[str, Any]]
    """What is not ready in any of them."""


def run(
    config: configuration.Config,
    *,
    stop_on: Collection[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
    on_serving: Callable[[str], None] = lambda url: None,
    observer: observe.Observer = observe.log,
    share: Share | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Serve until a signal of `stop_on`; the exit status. A second signal ends at once. SIGHUP, where it is not one of
    them, has keys and certificate read again, by the file that `config` is of, with `environ`.

    on_serving: called with the URL once connections are accepted. share: where this is one of several workers.
    Raises config.Invalid where file and database do not fit, CannotServe where the address cannot be had.
    """
    _raise_limit_of_descriptors()
    malloc.keep_freed()
    with asyncio.Runner(loop_factory=event_loop.factory()) as runner:
        return runner.run(_serve(config, stop_on, on_serving, observer, share, environ))


def bind(config: configuration.Server, workers: int = 1) -> list[ports.Sockets]:
    """The listening sockets of each worker. Raises CannotServe."""
    port = config.port
    try:
        sockets = ports.bind(config.host, port, workers)
        if config.tls is None or config.tls.port is None:
            return sockets
        port = config.tls.port
        secure = ports.bind(config.host, port, workers)
    except OSError as error:
        raise CannotServe(
            f"cannot listen on {config.host} port {port}: {error.strerror or error}; "
            "stop what uses it, or choose another port"
        ) from error
    return [[*one, *other] for one, other in zip(sockets, secure, strict=True)]


def _raise_limit_of_descriptors() -> None:
    """To the most that we may have. The usual 1,024 are for programs that use select(), which nothing here does."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS says "unlimited", and then takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(
    config: configuration.Config,
    stop_on: Collection[signal.Signals],
    on_serving: Callable[[str], None],
    observer: observe.Observer,
    share: Share | None,
    environ: Mapping[str, str],
) -> int:
    connector, listen_connector = factories.connectors(config)
    functions = catalog.Catalog(
        (entry.method for entry in config.functions),
        access={entry.method: catalog.Access(entry.roles, entry.rate) for entry in config.functions},
    )
    try:
        fit = await resolve.inspect(config, connector)
    except resolve.ConfigMismatch as error:
        raise resolve.invalid(config, error.faults) from error
    except connect.CannotConnect:
        fit = None  # serve all the same: clients are told, and the database may come back
    heard: Any = hub.Hub(lambda name: events.listen(name), lambda name: events.unlisten(name))
    sink: Any = heard
    reserved: list[str] = []
    if config.auth is not None and config.auth.control_channel is not None:
        reserved = [config.auth.control_channel]
        sink = admin_channel.Control(config.auth.control_channel, heard, lambda order: operator.order(order))
    events = listener.Listener(
        listen_connector, observer, sink, probe_interval=config.database.listen_probe, always=reserved
    )
    calls = database.Database(
        connector,
        observer,
        pool_size=config.database.pool_size,
        queue_size=config.limits.queue,
        result_size=config.limits.result_size,
        statement_timeout=config.database.statement_timeout,
    )

    authenticator = await factories.authenticator(config, observer)

    def learn(fit: resolve.Resolved) -> None:
        calls.learn(fit.roles, fit.hook)
        functions.functions, functions.predicates = fit.functions, fit.predicates
        if authenticator is not None:
            authenticator.permit(fit.nameable)
        if fit.warnings:
            observer(observe.Doubtful(resolve.lines(config, (), fit.warnings)))

    if fit is not None:
        learn(fit)

    def unready() -> dict[str, str]:
        states = {"server": "stopping" if shared.stopping else None, "database": calls.down, "listener": events.down}
        if not functions.functions and functions.methods and not calls.down:
            states["database"] = "the functions are not known yet"
        return {part: reason for part, reason in states.items() if reason}

    def unready_anywhere() -> Mapping[str, Any]:
        if share is None:
            return unready()
        share.tell(unready())
        return share.unready()

    shared = context.Context(
        config.server,
        config.limits,
        functions,
        rules.Channels(config.channels, reserved),
        heard,
        calls.submit,
        calls.cancel,
        observer,
        unready_anywhere,
        share.counts if share else counts.Local(),
        rates=share.rates if share else ratelimit.Rates(),
    )
    if authenticator is not None and config.auth is not None:
        shared.auth, shared.authenticate = config.auth, authenticator.authenticate
        shared.terms = identity.Terms(config.auth.expiring, config.limits.handshake_timeout)
    routes = registry.routes(shared, config.dialects)
    try:
        web = server.Server(
            shared, share.sockets if share else bind(config.server)[0], [*routes.before], [*routes.after]
        )
    except tls.Unusable as error:  # it has changed since the file was read
        raise CannotServe(f"the {error.file} of server.tls {error}") from error

    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in stop_on:
        loop.add_signal_handler(number, signals.put_nowait, number)

    def load() -> configuration.Config:
        return configuration.load(config.path, environ, registry.dialects())

    operator = admin.Administration(web, authenticator, load, observer)
    if signal.SIGHUP not in stop_on:
        loop.add_signal_handler(signal.SIGHUP, operator.order, admin_channel.Reload())
    tasks = [
        _task("database", calls.run()),
        _task("listener", events.run()),
        _task("heartbeat", web.heartbeat()),
        _task("administration", operator.run()),
    ]
    if authenticator is not None:
        tasks.append(_task("keys", authenticator.run()))
    if fit is None:
        tasks.append(_task("catalog", _learn(config, connector, learn, observer)))
    if share is not None:
        tasks.append(_task("state", _tell(share, unready)))
    stop = _task("signals", signals.get())
    gc.collect()
    gc.freeze()  # what is here now stays: later collections need not look at it
    web.start()
    for url in web.urls:
        observer(observe.Serving(url))
    on_serving(web.urls[0])
    try:
        status = await _supervise(stop, tasks, observer)
        web.stop_accepting()
        if status == 0:
            calls.refuse()  # before it is said
            observer(observe.Stopping(f"{stop.result().name} received; calls in flight may end"))
            impatient = _task("second signal", signals.get())
            orderly = _task("stopping", _stop(calls, web))
            await asyncio.wait((impatient, orderly), return_when=asyncio.FIRST_COMPLETED)
            for task in (impatient, orderly):
                task.cancel()
        return status
    finally:
        for task in (*tasks, stop):
            task.cancel()
        await asyncio.gather(*tasks, stop, return_exceptions=True)
        await calls.close()
        for number in {*stop_on, signal.SIGHUP}:
            loop.remove_signal_handler(number)


async def _stop(calls: database.Database, web: server.Server) -> None:
    await calls.drain(_PATIENCE)
    await web.close(_PATIENCE)


async def _tell(share: Share, unready: Callable[[], Mapping[str, str]]) -> None:
    while True:
        share.tell(unready())
        await asyncio.sleep(_TELL)


async def _learn(
    config: configuration.Config,
    connector: connect.Connector,
    learn: Callable[[resolve.Resolved], None],
    observer: observe.Observer,
) -> None:
    """Read the catalog as soon as the database is there, and fits the file: it may still be being set up."""
    wait = backoff.Backoff()
    told: tuple[str, ...] = ()
    while True:
        try:
            learn(await resolve.inspect(config, connector))
            return
        except resolve.ConfigMismatch as error:
            faults = resolve.invalid(config, error.faults).faults
            if faults != told:
                told = faults
                observer(observe.Unfit(faults))
        except connect.CannotConnect:
            pass  # the pool's supervision says so
        await asyncio.sleep(wait.next())


async def _supervise(stop: "asyncio.Task[Any]", tasks: list["asyncio.Task[Any]"], observer: observe.Observer) -> int:
    """Until a signal, or until a part dies, which none may: the exit status."""
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


def _task(name: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    return asyncio.create_task(work, name=name)
