"""Whose request it is, where proxies stand in between: X-Forwarded-For and -Proto, and Forwarded (RFC 7239).

Owns what is believed of these headers: what a trusted proxy adds at the right end, and nothing to the left of the
first address that is not one; and what an address counts as. Must not know HTTP messages, nor what is counted.
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
    """scheme: how it speaks to the outermost trusted proxy; None where no trusted proxy says so."""

    address: str
    scheme: Scheme | None = None


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy says of whom it got the request from."""

    address: str
    scheme: Scheme | None


class Proxies:
    """trusted: the proxies that are believed. None: nobody is."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def client(self, peer: str, headers: Mapping[str, str]) -> Client:
        """peer: who the connection comes from. headers: a value of several lines is joined by ",".

        A proxy writes one kind of header and hands on the other as it came, from anybody. So where there are both they
        must lead to the same client; otherwise neither is believed.
        """
        if not self._is_trusted(_address(peer)):
            return Client(peer)
        found = [self._follow(peer, hops) for hops in _told(headers)]
        if not found or any(client.address != found[0].address for client in found):
            return Client(peer)
        return found[0]

    def _follow(self, peer: str, hops: Sequence[_Hop]) -> Client:
        """From the right, as long as those who speak are trusted."""
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
    """What an address counts as where clients are counted: one of IPv6 as its network of 64 bits.

    Nobody gets less than that (https://www.rfc-editor.org/rfc/rfc6177), so each has 2^64 addresses to come from.
    """
    found = _address(address.partition("%")[0]) if ":" in address else None
    if found is None or found.version == 4:
        return address if found is None else str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))


def _told(headers: Mapping[str, str]) -> list[list[_Hop]]:
    told = []
    if "Forwarded" in headers:
        told.append(_forwarded(headers["Forwarded"]))
    if "X-Forwarded-For" in headers or ("X-Forwarded-Proto" in headers and not told):
        told.append(_x_forwarded(headers.get("X-Forwarded-For", ""), headers.get("X-Forwarded-Proto", "")))
    return told


def _x_forwarded(addresses: str, schemes: str) -> list[_Hop]:
    """One scheme is everybody's; several belong to one address each, or to nobody."""
    parts = addresses.split(",")
    said = [_SCHEMES.get(scheme.strip().lower()) for scheme in schemes.split(",")]
    if len(said) != len(parts):
        said = said * len(parts) if len(said) == 1 else [None] * len(parts)
    return [_Hop(part.strip(), scheme) for part, scheme in zip(parts, said, strict=True)]


def _forwarded(text: str) -> list[_Hop]:
    """Nothing where any of it is malformed: a quote that somebody left open takes in what the next proxy adds."""
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
    """192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80; None where it is none, as `unknown`."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::\d+)?", text)
    with_port = re.fullmatch(r"([\d.]+):\d+", text)
    match = bracketed or with_port
    try:
        address = ipaddress.ip_address(match[1] if match else text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if address.version == 6 else address
