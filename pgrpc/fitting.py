"""Whether the file and what it leads to fit each other: everything that is wrong between them, at once.

Owns what is asked of whom: the database, the listener's connection, the keys. Must not know how anything is served.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pgrpc.config as configuration
from pgrpc import inspection, observe
from pgrpc.core import hub
from pgrpc.postgres import connecting, listener
from pgrpc.web import fetching

if TYPE_CHECKING:
    from pgrpc.auth import authenticator as authenticating


@dataclass(frozen=True, slots=True)
class Report:
    """lines: faults and warnings, in the order of the file."""

    lines: Sequence[str]
    is_faulty: bool


def connectors(config: configuration.Config) -> tuple[connecting.Connector, connecting.Connector]:
    """For calls, and for the listener."""
    made = []
    faults: list[inspection.Finding] = []
    for key, dsn in (("dsn", config.database.dsn), ("listen_dsn", config.database.listen_dsn or config.database.dsn)):
        try:
            made.append(connecting.Connector(dsn, config.database.connect_timeout))
        except connecting.BadDsn as error:
            if key == "dsn" or config.database.listen_dsn:
                faults.append((("database", key), str(error)))
    if faults:
        raise inspection.invalid(config, faults)
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
        raise inspection.invalid(config, faults)
    made = authenticating.Authenticator(config.auth, fetching.fetch, observer)
    if config.auth.roles is not None:  # what the database says of them does not matter before there can be calls
        made.permit(config.auth.roles)
    return made


async def _key_faults(auth: configuration.Auth) -> Sequence[inspection.Finding]:
    from pgrpc.auth import authenticator as authenticating

    return await authenticating.faults(auth, fetching.fetch)


def check(config: configuration.Config) -> Report:
    """Everything wrong between the file and the database, and what is hardly meant."""
    faults: list[inspection.Finding] = []
    warnings: list[inspection.Finding] = []

    async def look() -> None:
        if config.auth is not None:
            faults.extend(await _key_faults(config.auth))
        try:
            warnings.extend((await inspection.inspect(config, for_calls)).warnings)
        except connecting.CannotConnect as error:
            faults.append((("database", "dsn"), f"cannot connect: {error}"))
        except inspection.Unfit as error:
            faults.extend(error.faults)
            warnings.extend(error.warnings)
        heard: Any = hub.Hub(lambda name: None, lambda name: None)
        key = "listen_dsn" if config.database.listen_dsn else "dsn"
        try:
            await listener.Listener(for_events, lambda observation: None, heard).check()
        except listener.Unusable as error:
            faults.append((("database", key), f"no events would be heard: {error}"))
        except connecting.CannotConnect as error:
            if key == "listen_dsn":
                faults.append((("database", key), f"cannot connect: {error}"))

    try:
        for_calls, for_events = connectors(config)
    except configuration.Invalid as error:
        return Report(error.faults, True)
    asyncio.run(look())
    return Report(inspection.lines(config, faults, warnings), bool(faults))
