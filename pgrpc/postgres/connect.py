"""A DSN -> an open connection: each host and each of its addresses in turn, names looked up off the loop.

Owns what a connection is opened with, and the words for why it could not be. Must not know what it is for.

libpq would do this by itself, but blocks on name lookup, and, driven asynchronously, waits for ever on a host that
does not answer (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS).
"""

import asyncio
import socket
from collections.abc import AsyncIterator

import psycopg2
import psycopg2.extensions

from pgrpc.postgres import dsn, prepared

_ALWAYS = {
    "client_encoding": "UTF8",
    "fallback_application_name": "pgrpc",
    # A peer that is gone without a word is noticed within about a minute, not within two hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_ORPHANS = "-c client_connection_check_interval=2s"
"""From PostgreSQL 14: a query whose client has gone ends, instead of running on for nobody."""


class CannotConnect(Exception):
    """No host of the DSN gave a connection. str() says why for each, without any secret."""


BadDsn = dsn.BadDsn


class Connector:
    """Opens connections to one DSN. timeout: seconds for each address."""

    def __init__(self, text: str, timeout: float) -> None:
        """text: the DSN. Raises BadDsn."""
        self._parameters = dsn.parse(text)
        self._timeout = timeout
        self._options = _ORPHANS

    async def connect(self) -> prepared.Connection:
        """A new connection. Raises CannotConnect."""
        faults: list[str] = []
        for wanted in self._sessions():
            async for where, target in self._targets(faults):
                try:
                    return await self._open({**target, **wanted})
                except TimeoutError:
                    faults.append(f"{where}: no answer within {self._timeout:g} s")
                except psycopg2.Error as error:
                    reason = ". ".join(line.strip() for line in str(error).splitlines() if line.strip())
                    faults.append(f"{where}: {reason or 'the connection failed without a reason'}")
        raise CannotConnect("; ".join(dict.fromkeys(faults)) or "the DSN names no host")

    def _sessions(self) -> list[dict[str, str]]:
        """prefer-standby is a choice among hosts, which libpq cannot make where it is given one."""
        if self._parameters.get("target_session_attrs") == "prefer-standby":
            return [{"target_session_attrs": "standby"}, {"target_session_attrs": "any"}]
        return [{}]

    async def _targets(self, faults: list[str]) -> AsyncIterator[tuple[str, dict[str, str]]]:
        """(name for people, parameters) of each address; a name that cannot be looked up goes to `faults`."""
        hosts = self._parameters.get("host", "").split(",")
        addresses = self._parameters.get("hostaddr", "").split(",")
        ports = self._parameters.get("port", "").split(",")
        for index in range(max(len(hosts), len(addresses))):
            host = hosts[index] if index < len(hosts) else ""
            address = addresses[index] if index < len(addresses) else ""
            port = ports[index] if 0 < index < len(ports) else ports[0]
            target = {key: value for key, value in (("host", host), ("hostaddr", address), ("port", port)) if value}
            where = f"{host or address or 'the default host'}{':' + port if port else ''}"
            if address or not host or host.startswith(("/", "@")) or dsn.is_address(host):
                yield where, target
                continue
            try:
                async with asyncio.timeout(self._timeout):
                    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except TimeoutError:
                faults.append(f"{where}: the name lookup got no answer within {self._timeout:g} s")
                continue
            except OSError as error:
                faults.append(f"{where}: {error.strerror or error}")
                continue
            except UnicodeError:  # a label of the name is empty, or longer than 63 characters
                faults.append(f"{where}: not a host name")
                continue
            for resolved in dict.fromkeys(str(entry[4][0]) for entry in found):
                yield f"{where} ({resolved})", {**target, "hostaddr": resolved}

    async def _open(self, target: dict[str, str]) -> prepared.Connection:
        parameters = {**_ALWAYS, **self._parameters, **target}
        for key in ("host", "hostaddr", "port"):
            if key in self._parameters and key not in target:
                del parameters[key]
        given = self._parameters.get("options")
        parameters["options"] = " ".join(filter(None, (self._options, given)))
        if not parameters["options"]:
            del parameters["options"]
        opening = prepared.Connection(psycopg2.extensions.make_dsn(**parameters))
        try:
            async with asyncio.timeout(self._timeout):
                await opening.opened
        except BaseException as error:
            opening.close()
            if isinstance(error, psycopg2.Error) and self._options and _ORPHANS.split("=")[0][3:] in str(error):
                self._options = ""  # an older PostgreSQL
                return await self._open(target)
            if isinstance(error, psycopg2.Error) and self._options and "options" in str(error):
                self._options = ""  # a pooler, which takes no options
                return await self._open(target)
            raise
        return opening
