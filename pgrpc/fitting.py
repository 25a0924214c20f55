"""Whether the file and its database fit each other: everything that is wrong between them, at once.

Owns the way from a fault in the core's words to a line of the file. Must not know how anything is served.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import pgrpc.config as configuration
from pgrpc import observe
from pgrpc.core import catalog, hub, whitelist
from pgrpc.postgres import connecting, introspect, listener
from pgrpc.web import fetching

if TYPE_CHECKING:
    from pgrpc.auth import authenticator as authenticating

Fault = tuple[tuple[str, ...], str]
"""The keys that lead to a value of the file, and what is wrong with it."""


class Unfit(Exception):
    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(str(faults))
        self.faults = faults


def invalid(config: configuration.Config, faults: list[Fault]) -> configuration.Invalid:
    """In the order of the file."""
    faults = sorted(faults, key=lambda fault: config.marks.position(fault[0]))
    return configuration.Invalid([f"{config.where(place)}: {words}" for place, words in faults])


async def inspect(config: configuration.Config, connector: connecting.Connector) -> catalog.Catalog:
    """What the file's functions are in the database. Raises Unfit, CannotConnect."""
    found = await introspect.read(connector, {entry.method: entry.function for entry in config.functions})
    faults: list[Fault] = []
    if found.encoding == "SQL_ASCII":
        words = "the database's encoding is SQL_ASCII, so its text may be of any encoding and cannot be sent as JSON"
        faults.append((("database", "dsn"), f"{words}; use a database with the encoding UTF8"))
    faults += [(("functions", method, "function"), words) for method, words in found.faults.items()]
    readable = [entry for entry in config.functions if entry.method not in found.faults]
    built, problems = whitelist.build(readable, found.routines, config.schemas, config.database.statement_timeout)
    faults += [(("functions", p.method, *((p.key,) if p.key else ())), p.message) for p in problems]
    if faults:
        raise Unfit(faults)
    return built


def connectors(config: configuration.Config) -> tuple[connecting.Connector, connecting.Connector]:
    """For calls, and for the listener."""
    made = []
    faults: list[Fault] = []
    for key, dsn in (("dsn", config.database.dsn), ("listen_dsn", config.database.listen_dsn or config.database.dsn)):
        try:
            made.append(connecting.Connector(dsn, config.database.connect_timeout))
        except connecting.BadDsn as error:
            if key == "dsn" or config.database.listen_dsn:
                faults.append((("database", key), str(error)))
    if faults:
        raise invalid(config, faults)
    return made[0], made[1]


async def authenticator(
    config: configuration.Config, observer: observe.Observer
) -> "authenticating.Authenticator | None":
    """None where nobody is asked who he is. Raises config.Invalid where the file's keys are none."""
    if config.auth is None:
        return None
    # Here, because PyJWT and cryptography take long to import.
    from pgrpc.auth import authenticator as authenticating

    if faults := await authenticating.faults(config.auth):
        raise invalid(config, faults)
    made = authenticating.Authenticator(config.auth, fetching.fetch, observer)
    made.permit(config.auth.roles or ())
    return made


async def _key_faults(auth: configuration.Auth) -> list[Fault]:
    from pgrpc.auth import authenticator as authenticating

    return await authenticating.faults(auth, fetching.fetch)


def check(config: configuration.Config) -> None:
    """Raises config.Invalid with everything wrong between the file and the database."""

    faults: list[Fault] = []

    async def look() -> None:
        for_calls, for_events = connectors(config)
        if config.auth is not None:
            faults.extend(await _key_faults(config.auth))
        try:
            await inspect(config, for_calls)
        except connecting.CannotConnect as error:
            faults.append((("database", "dsn"), f"cannot connect: {error}"))
        except Unfit as error:
            faults.extend(error.faults)
        heard: Any = hub.Hub(lambda name: None, lambda name: None)
        key = "listen_dsn" if config.database.listen_dsn else "dsn"
        try:
            await listener.Listener(for_events, lambda observation: None, heard).check()
        except listener.Unusable as error:
            faults.append((("database", key), f"no events would be heard: {error}"))
        except connecting.CannotConnect as error:
            if key == "listen_dsn":
                faults.append((("database", key), f"cannot connect: {error}"))

    asyncio.run(look())
    if faults:
        raise invalid(config, faults)
