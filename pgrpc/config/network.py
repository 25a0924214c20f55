"""Origins, hosts, networks and URL paths, as the file spells them -> as the rest of pgrpc compares them.

Owns these spellings. Must not know which key a value belongs to, nor what is done with it. Each raises ValueError with
what is wrong.
"""

import ipaddress
from urllib.parse import urlsplit

from pgrpc.core.network import forwarding

PORT_FAULT = "must have a valid host, and a port of at most 65535"

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(text: str) -> str:
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
        raise ValueError(PORT_FAULT) from None
    usual = port is None or port == _DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if usual else f":{port}")


def host_name(text: str) -> str:
    return text.lower().removesuffix(".")


def network(text: str) -> forwarding.Network:
    """An address is the network of itself alone."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(_network_fault(text)) from None


def _network_fault(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "must be an address or a network, such as 10.1.2.3, 10.0.0.0/8 or fd00::/8"
    return "must begin with the first address of its network, such as 10.0.0.0/8"


def base_path(text: str) -> str:
    """Begins and ends with a slash."""
    middle = text.strip("/")
    return f"/{middle}/" if middle else "/"
