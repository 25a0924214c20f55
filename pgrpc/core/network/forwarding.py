"""The client's address and scheme behind proxies: X-Forwarded-For, X-Forwarded-Proto and Forwarded (RFC 7239).

Owns which part of these headers is trusted: what trusted proxies add at the right end, up to the first address that is
not a trusted proxy; and the rate limit key of an address. Must not know HTTP messages, nor what is limited.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Scheme = Literal["http", "https"]

_SCHEMES: Mapping[str, Scheme] = {"http": "http", "ws": "http", "https": "https", "wss": "https"}

# RFC 7239 section 4: pairs separated by ";" make an element, elements are separated by ",".
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'[ \t]*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")[ \t]*(;|,|\Z)')


@dataclass(frozen=True, slots=True)
class Client:
    """scheme: of its request to the outermost trusted proxy; None if no trusted proxy reports it."""

    address: str
    scheme: Scheme | None = None


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy reports about the sender of the request."""

    address: str
    scheme: Scheme | None


class Proxies:
    """trusted: the networks of the trusted proxies; empty: the headers are ignored."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def client(self, peer: str, headers: Mapping[str, str]) -> Client:
        """The client of a request. peer: the address of the connection. headers: repeated ones joined by ",".

        A proxy adds to one kind of header and passes the other on unchanged, whoever sent it. So if both are present
        they must lead to the same client; otherwise both are ignored.
        """
        if not self._is_trusted(_address(peer)):
            return Client(peer)
        clients = [self._follow(peer, hops) for hops in _hops(headers)]
        if not clients or any(client.address != clients[0].address for client in clients):
            return Client(peer)
        return clients[0]

    def _follow(self, peer: str, hops: Sequence[_Hop]) -> Client:
        """From the right, as long as the senders are trusted proxies."""
        client = Client(peer)
        for hop in reversed(hops):
            address = _address(hop.address)
            client = Client(client.address if address is None else str(address), hop.scheme)
            if address is None or not self._is_trusted(address):
                break
        return client

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(
            address.version == network.version and address in network for network in self._trusted
        )


def rate_limit_key(address: str) -> str:
    """The key for limits per address: an IPv4 address itself, an IPv6 address's /64 network.

    A site has at least a /64 (https://www.rfc-editor.org/rfc/rfc6177), so one client can use 2^64 addresses.
    """
    parsed = _address(address.partition("%")[0]) if ":" in address else None
    if parsed is None or parsed.version == 4:
        return address if parsed is None else str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _hops(headers: Mapping[str, str]) -> list[list[_Hop]]:
    """The hops by each kind of header that is present."""
    by_header = []
    if "Forwarded" in headers:
        by_header.append(_forwarded(headers["Forwarded"]))
    if "X-Forwarded-For" in headers or ("X-Forwarded-Proto" in headers and not by_header):
        by_header.append(_x_forwarded(headers.get("X-Forwarded-For", ""), headers.get("X-Forwarded-Proto", "")))
    return by_header


def _x_forwarded(addresses: str, schemes: str) -> list[_Hop]:
    """One scheme applies to all addresses; several apply to one address each, if their number is the same."""
    parts = addresses.split(",")
    listed = [_SCHEMES.get(scheme.strip().lower()) for scheme in schemes.split(",")]
    if len(listed) != len(parts):
        listed = listed * len(parts) if len(listed) == 1 else [None] * len(parts)
    return [_Hop(part.strip(), scheme) for part, scheme in zip(parts, listed, strict=True)]


def _forwarded(text: str) -> list[_Hop]:
    """[] if any part is malformed: an unclosed quote would swallow what the next proxy adds."""
    hops = []
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None or pair[1].lower() in pairs or (pair[4] and pair.end() == len(text)):
            return []
        pairs[pair[1].lower()] = pair[2] or re.sub(r"\\(.)", r"\1", pair[3] or "")
        at = pair.end()
        if pair[4] != ";":
            hops.append(_Hop(pairs.get("for", ""), _SCHEMES.get(pairs.get("proto", "").lower())))
            pairs = {}
    return hops


def _address(text: str) -> Address | None:
    """192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80; None for anything else (`unknown`)."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::\d+)?", text)
    with_port = re.fullmatch(r"([\d.]+):\d+", text)
    match = bracketed or with_port
    try:
        address = ipaddress.ip_address(match[1] if match else text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if address.version == 6 else address
