"""Which origins' pages may connect, and which host names the server accepts.

Owns the comparison of origins (RFC 6454) and of hosts. Must not know HTTP messages, nor how a request is refused.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping

_DEFAULT_PORTS: Mapping[str, str] = {"http": "80", "https": "443"}


class Origins:
    """listed: as browsers spell them, `*` in a host for any characters but a dot; or "*" alone, for every origin."""

    def __init__(self, listed: Iterable[str]) -> None:
        self._listed = _Names(listed)

    def lists(self, origin: str) -> bool:
        """Whether the origin is listed, other than by "*": only such pages may use a visitor's cookie."""
        return self._listed.names(origin.lower())

    def allows(self, origin: str, *, host: str, scheme: str, fetch_site: str | None = None) -> bool:
        """Whether pages of `origin` may connect.

        host, scheme: of the request. A proxy may add TLS in front of "http", but none removes it from "https".
        fetch_site: the browser's Sec-Fetch-Site, which a page cannot set
        (https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header).
        """
        origin = origin.lower()
        if self._listed.all or self._listed.names(origin):
            return True
        if fetch_site is not None:
            return fetch_site == "same-origin"
        its_scheme, _, its_host = origin.partition("://")
        ours = _without_port(host.lower(), _DEFAULT_PORTS.get(its_scheme))
        return bool(its_host) and its_host == ours and (scheme != "https" or its_scheme == "https")


class Hosts:
    """listed: the accepted host names, `*` for any characters but a dot; empty: any, but see loopback_ports.

    IP addresses are always accepted, because DNS rebinding cannot make a page's origin of them.

    loopback_ports: the ports of a server that is bound to loopback addresses only. A request for one of them came
    through no proxy, so its host name must be one of this machine.
    """

    def __init__(self, listed: Iterable[str], loopback_ports: Iterable[int] = ()) -> None:
        self._names = _Names(listed)
        self._loopback_ports = frozenset(map(str, loopback_ports))

    def allows(self, host: str) -> bool:
        """Whether a request for this host is accepted. host: with its port, if it has one."""
        match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d*))?", host.lower())
        if match is None:
            return False
        name = match[1].removesuffix(".")
        if _is_address(name):
            return True
        if self._names:
            return self._names.all or self._names.names(name)
        return match[2] not in self._loopback_ports or name.rpartition(".")[2] == "localhost"


class _Names:
    def __init__(self, listed: Iterable[str]) -> None:
        names = tuple(listed)
        self.all = "*" in names
        self._exact = frozenset(name for name in names if "*" not in name)
        self._globs = [
            re.compile(re.escape(name).replace(r"\*", "[a-z0-9_-]+")) for name in names if "*" in name and name != "*"
        ]

    def __bool__(self) -> bool:
        return self.all or bool(self._exact or self._globs)

    def names(self, name: str) -> bool:
        return name in self._exact or any(glob.fullmatch(name) for glob in self._globs)


def _without_port(host: str, port: str | None) -> str:
    return host if port is None else host.removesuffix(f":{port}")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
