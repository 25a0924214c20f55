"""Whether the file and what it leads to fit each other: everything that is wrong between them, at once.

Owns what is asked of whom: the database, the listener's connection, the keys. Must not know how anything is served.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pgrpc.config as configuration
from pgrpc.check import factories, resolve
from pgrpc.postgres import connect, notify_probe
from pgrpc.web import http_client

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Report:
    """lines: faults and warnings, in the order of the file."""

    lines: Sequence[str]
    is_faulty: bool


async def _key_faults(auth: configuration.Auth) -> Sequence[resolve.Finding]:
    from pgrpc.auth import authenticator as authenticating

    return await authenticating.faults(auth, http_client.fetch)


def check(config: configuration.Config) -> Report:
    """Everything wrong between the file and the database, and what is hardly meant."""
    faults: list[resolve.Finding] = []
    warnings: list[resolve.Finding] = []

    async def look() -> None:
        if config.auth is not None:
            faults.extend(await _key_faults(config.auth))
        try:
            warnings.extend((await resolve.inspect(config, for_calls)).warnings)
        except connect.CannotConnect as error:
            faults.append((("database", "dsn"), f"cannot connect: {error}"))
        except resolve.ConfigMismatch as error:
            faults.extend(error.faults)
            warnings.extend(error.warnings)
        key = "listen_dsn" if config.database.listen_dsn else "dsn"
        try:
            await notify_probe.check(for_events)
        except notify_probe.Unusable as error:
            faults.append((("database", key), f"no events would be heard: {error}"))
        except connect.CannotConnect as error:
            if key == "listen_dsn":
                faults.append((("database", key), f"cannot connect: {error}"))

    try:
        for_calls, for_events = factories.connectors(config)
    except configuration.Invalid as error:
        return Report(error.faults, True)
    asyncio.run(look())
    return Report(resolve.lines(config, faults, warnings), bool(faults))
