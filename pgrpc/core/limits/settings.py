"""The section `limits`: its values and defaults, for one connection and for the server.

Owns these values. Must not know who enforces them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pgrpc.core.limits import ratelimit


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds; None: no limit."""

    message_size: int = 64 * 1024
    calls_in_flight: int = 32
    batch: int = 100
    subscriptions: int = 128
    send_buffer: int = 1024 * 1024
    result_size: int = 32 * 1024 * 1024
    calls_per_second: int | None = None
    queue: int = 1000
    connections: int | None = None
    connections_per_address: int | None = None
    handshake_timeout: float = 10.0
    rates: Mapping[tuple[str, str], ratelimit.Rate] = field(default_factory=_nothing)
    """("address" or "identity", "calls", "subscriptions" or "logins") -> the rate of each address or identity."""
