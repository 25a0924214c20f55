"""`check`: everything that is wrong between the file, its keys, its database and its LISTEN connection, at once.

Owns which of these is asked, and the report. Must not know how anything is served.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pgrpc.config as configuration
from pgrpc.check import factories, findings, resolve
from pgrpc.postgres import connect, notify_probe
from pgrpc.web import http_client


@dataclass(frozen=True, slots=True)
class Report:
    """lines: faults and warnings, in the order of the file. summary: one line where there is no fault, else empty."""

    lines: Sequence[str]
    is_faulty: bool
    summary: str = ""


def check(config: configuration.Config) -> Report:
    try:
        for_calls, for_events = factories.connectors(config)
    except configuration.Invalid as error:
        return Report(error.faults, True)
    faults, warnings = asyncio.run(_look(config, for_calls, for_events))
    lines = resolve.lines(config, faults, warnings)
    return Report(lines, bool(faults), "" if faults else _summary(config, len(lines)))


async def _look(
    config: configuration.Config, for_calls: connect.Connector, for_events: connect.Connector
) -> tuple[list[findings.Finding], Sequence[findings.Finding]]:
    """The faults and the warnings."""
    faults: list[findings.Finding] = []
    warnings: Sequence[findings.Finding] = ()
    if config.auth is not None:
        faults.extend(await _key_faults(config.auth))
    try:
        warnings = (await resolve.inspect(config, for_calls)).warnings
    except connect.CannotConnect as error:
        faults.append((("database", "dsn"), f"cannot connect: {error}"))
    except resolve.ConfigMismatch as error:
        faults.extend(error.faults)
        warnings = error.warnings
    faults.extend(await _listen_faults(config, for_events))
    return faults, warnings


async def _key_faults(auth: configuration.Auth) -> Sequence[findings.Finding]:
    from pgrpc.auth import authenticator as authenticating  # it takes long to import

    return await authenticating.faults(auth, http_client.fetch)


async def _listen_faults(config: configuration.Config, connector: connect.Connector) -> list[findings.Finding]:
    key = "listen_dsn" if config.database.listen_dsn else "dsn"
    try:
        await notify_probe.check(connector)
    except notify_probe.Unusable as error:
        return [(("database", key), f"cannot receive notifications: {error}")]
    except connect.CannotConnect as error:
        # Where both use one DSN, this is reported already.
        return [(("database", key), f"cannot connect: {error}")] if key == "listen_dsn" else []
    return []


def _summary(config: configuration.Config, warnings: int) -> str:
    counted = f"{_count(len(config.functions), 'function')}, {_count(len(config.channels), 'channel')}"
    beside = f", {_count(warnings, 'warning')}" if warnings else ""
    return f"{config.marks.file}: {counted}: no faults{beside}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
