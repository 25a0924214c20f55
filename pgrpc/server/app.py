"""Builds and runs a server: `build` creates its parts from the configuration, and the supervisor runs them.

Owns how the parts are connected, by plain callables. Must not know how any of them works.
"""

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pgrpc.config as configuration
from pgrpc import logs, observe, tls
from pgrpc.check import factories, resolve
from pgrpc.compat import dialect, registry
from pgrpc.core.channels import hub, rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.limits import counts, ratelimit
from pgrpc.postgres import connect, database, listener
from pgrpc.server import admin, admin_channel, catalog_reader, event_loop, lifecycle, malloc, readiness
from pgrpc.web import admission, context, heartbeat, ports, server

if TYPE_CHECKING:
    from pgrpc.auth import authenticator as authenticating

CANNOT_BIND = 71  # EX_OSERR

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class CannotServe(Exception):
    """The server cannot start; str() says why and what to do."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several workers shares with the others."""

    sockets: ports.Sockets
    """Its listening sockets."""
    counts: counts.Counts
    rates: ratelimit.Buckets
    report: Callable[[Mapping[str, str]], None]
    """Called with what is not ready in this worker: {"database": "..."}."""
    unready: Callable[[], Mapping[str, Any]]
    """What is not ready in any worker."""


def run(
    config: configuration.Config,
    *,
    stop_on: Collection[signal.Signals] = _STOP_SIGNALS,
    on_serving: Callable[[str], None] = lambda url: None,
    observer: observe.Observer = logs.log,
    share: Share | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Serve until a signal of `stop_on`, and return the exit status. A second signal ends the server at once. SIGHUP,
    unless it is in `stop_on`, reads keys and certificate again, from the file of `config`, with `environ`.

    on_serving: called with the URL once connections are accepted. share: set in each of several workers.
    Raises config.Invalid if file and database do not match, CannotServe if the address cannot be bound.
    """
    _raise_descriptor_limit()
    malloc.keep_freed()
    with asyncio.Runner(loop_factory=event_loop.factory()) as runner:
        return runner.run(_serve(config, stop_on, on_serving, observer, share, environ))


async def _serve(
    config: configuration.Config,
    stop_on: Collection[signal.Signals],
    on_serving: Callable[[str], None],
    observer: observe.Observer,
    share: Share | None,
    environ: Mapping[str, str],
) -> int:
    parts = await build(config, observer, share, environ)
    return await lifecycle.supervise(parts, observer, stop_on, on_serving)


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
            "stop the program that uses it, or choose another port"
        ) from error
    return [[*one, *other] for one, other in zip(sockets, secure, strict=True)]


def _raise_descriptor_limit() -> None:
    """Raise the soft limit to the hard limit. The usual 1,024 is for programs that use select(), unlike this one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS reports "unlimited", but accepts only less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# The parts


async def build(
    config: configuration.Config, observer: observe.Observer, share: Share | None, environ: Mapping[str, str]
) -> lifecycle.Parts:
    """The parts of the server, connected. Raises config.Invalid, CannotServe."""
    connector, listen_connector = factories.connectors(config)
    authenticator = await factories.authenticator(config, observer)
    functions = _catalog(config)
    calls = _database(config, connector, observer)
    reader = catalog_reader.CatalogReader(config, connector, partial(_use, calls, functions, authenticator), observer)
    await reader.start()
    control = config.auth.control_channel if config.auth is not None else None
    reserved = [] if control is None else [control]
    events = listener.Listener(listen_connector, observer, probe_interval=config.database.listen_probe, always=reserved)
    subscribers = hub.Hub(events.listen, events.unlisten)
    events.sink = subscribers  # before the dialects, one of which subscribes at once
    sockets = share.sockets if share else bind(config.server)[0]
    admitting = _admission(config, sockets, share, authenticator, observer)
    ready = readiness.Readiness(calls, events, functions, admitting, share)
    channels = rules.Channels(config.channels, reserved)
    shared = context.Context(
        config.server, config.limits, admitting, functions, channels, subscribers, calls.submit, calls.cancel, observer,
        ready.anywhere, share.counts if share else counts.Local(), _login_policy(config),
    )  # fmt: skip
    web = _web(shared, sockets, registry.routes(shared, config.dialects))
    operator = admin.Admin(web, authenticator, partial(_load, config.path, environ), observer)
    if control is not None:
        events.sink = admin_channel.AdminChannel(control, subscribers, operator.execute)
    background: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "heartbeat": partial(heartbeat.run, shared),
        "database": calls.run,
        "listener": events.run,
        "admin": operator.run,
        "catalog": reader.run,
        "readiness": ready.run,
    }
    if authenticator is not None:
        background["keys"] = authenticator.run
    return lifecycle.Parts(web, calls, operator, background)


def _catalog(config: configuration.Config) -> catalog.Catalog:
    access = {entry.method: catalog.Access(entry.roles, entry.rate) for entry in config.functions}
    return catalog.Catalog((entry.method for entry in config.functions), access=access)


def _database(
    config: configuration.Config, connector: connect.Connector, observer: observe.Observer
) -> database.Database:
    return database.Database(
        connector,
        observer,
        pool_size=config.database.pool_size,
        queue_size=config.limits.queue,
        result_size=config.limits.result_size,
        statement_timeout=config.database.statement_timeout,
    )


def _use(
    calls: database.Database,
    functions: catalog.Catalog,
    authenticator: "authenticating.Authenticator | None",
    resolved: resolve.Resolved,
) -> None:
    """Use a catalog that was read from the database."""
    calls.learn(resolved.roles, resolved.hook)
    functions.functions, functions.predicates = resolved.functions, resolved.predicates
    if authenticator is not None:
        authenticator.permit(resolved.token_roles)


def _admission(
    config: configuration.Config,
    sockets: ports.Sockets,
    share: Share | None,
    authenticator: "authenticating.Authenticator | None",
    observer: observe.Observer,
) -> admission.Admission:
    return admission.Admission(
        config.server,
        config.limits,
        sockets,
        observer,
        rates=share.rates if share else ratelimit.Rates(),
        auth=config.auth,
        authenticate=authenticator.authenticate if authenticator is not None else None,
    )


def _login_policy(config: configuration.Config) -> identity.LoginPolicy | None:
    if config.auth is None:
        return None
    return identity.LoginPolicy(config.auth.expiring, config.limits.handshake_timeout)


def _load(path: Path, environ: Mapping[str, str]) -> configuration.Config:
    return configuration.load(path, environ, registry.dialects())


def _web(shared: context.Context, sockets: ports.Sockets, others: dialect.Routes) -> server.Server:
    try:
        return server.Server(shared, sockets, others.before, others.after)
    except tls.Unusable as error:  # the files have changed since the configuration was read
        raise CannotServe(f"the {error.file} of server.tls {error}") from error
