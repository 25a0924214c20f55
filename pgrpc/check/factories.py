"""What the server and `check` both build from a configuration: connectors and an authenticator.

Owns reporting what is wrong with these by its place in the file. Must not know what they are used for.
"""

from typing import TYPE_CHECKING

import pgrpc.config as configuration
from pgrpc import observe
from pgrpc.check import findings, resolve
from pgrpc.postgres import connect
from pgrpc.web import http_client

if TYPE_CHECKING:
    from pgrpc.auth import authenticator as authenticating


def connectors(config: configuration.Config) -> tuple[connect.Connector, connect.Connector]:
    """For calls, and for the listener. Raises config.Invalid."""
    made = []
    faults: list[findings.Finding] = []
    for key, dsn in (("dsn", config.database.dsn), ("listen_dsn", config.database.listen_dsn or config.database.dsn)):
        try:
            made.append(connect.Connector(dsn, config.database.connect_timeout))
        except connect.BadDsn as error:
            if key == "dsn" or config.database.listen_dsn:
                faults.append((("database", key), str(error)))
    if faults:
        raise resolve.invalid(config, faults)
    return made[0], made[1]


async def authenticator(
    config: configuration.Config, observer: observe.Observer
) -> "authenticating.Authenticator | None":
    """None where there is no auth. Raises config.Invalid where the file's keys cannot be used."""
    if config.auth is None:
        return None
    # Here, because PyJWT and cryptography take long to import.
    from pgrpc.auth import authenticator as authenticating

    if faults := await authenticating.faults(config.auth):
        raise resolve.invalid(config, faults)
    made = authenticating.Authenticator(config.auth, http_client.fetch, observer)
    if config.auth.roles is not None:  # known without the database
        made.permit(config.auth.roles)
    return made
