"""The keys of `server` that say how clients reach it: TLS, proxies, origins, hosts.

Owns how these are spelled, and that the certificate can be used. Must not know what is done with them.
"""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pgrpc import tls
from pgrpc.config import faults, model
from pgrpc.core.network import forwarding

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Edge:
    """Relative files start at `folder`. Items of lists that were faulty are None, and left out."""

    def __init__(self, folder: Path, found: faults.Faults) -> None:
        self._folder = Path(os.path.abspath(folder))
        self._faults = found

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """given: the section, as far as it fits the schema."""
        origins = enumerate(given.get("allowed_origins", ()))
        proxies = enumerate(given.get("trusted_proxies", ()))
        return {
            "tls": self._tls(given.get("tls") or {}),
            "trusted_proxies": tuple(found for at, text in proxies if text and (found := self._network(text, at))),
            "allowed_origins": tuple(self._origin(text, at) for at, text in origins if text),
            "allowed_hosts": tuple(text.lower().removesuffix(".") for text in given.get("allowed_hosts", ()) if text),
        }

    def _tls(self, given: Mapping[str, Any]) -> model.Tls | None:
        if "certificate" not in given or "key" not in given:  # told already, where there is anything
            return None
        for file in ("certificate", "key"):
            if "-----BEGIN" in given[file]:
                self._faults.add(("server", "tls", file), "must be a file's name, not what is in it")
                return None
        port = given.get("port")
        files = self._folder / given["certificate"], self._folder / given["key"]
        found = model.Tls(*files, None if port is None else int(port))
        try:
            tls.context(found.certificate, found.key)
        except tls.Unusable as error:
            place = ("server", "tls", error.file)
            shown = "" if place in self._faults.substituted else f"{given[error.file]}: "
            self._faults.add(place, f"{shown}{error}")
        return found

    def _network(self, text: str, index: int) -> forwarding.Network | None:
        try:
            return ipaddress.ip_network(text)
        except ValueError:
            words = "must be an address or a network, such as 10.1.2.3, 10.0.0.0/8 or fd00::/8"
            if "/" in text and _is_network(text):
                words = "has an address that is not the first of its network: write for example 10.0.0.0/8"
            self._faults.add(("server", "trusted_proxies", index), words)
            return None

    def _origin(self, text: str, index: int) -> str:
        """Spelled as browsers do (https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin)."""
        if text == "*":
            return text
        try:
            parts = urlsplit(text.lower())
            port = parts.port
            host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
            if host.startswith("["):
                host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
        except ValueError:
            words = "must have a valid host, and a port of at most 65535"
            self._faults.add(("server", "allowed_origins", index), words)
            return text
        usual = port is None or port == _DEFAULT_PORTS.get(parts.scheme)
        return f"{parts.scheme}://{host}" + ("" if usual else f":{port}")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
