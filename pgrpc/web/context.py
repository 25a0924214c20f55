"""What every socket and page needs of the rest of the server, as plain values and callables.

Owns the seam: web knows the database only through `submit` and `cancel`.
"""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pgrpc import config, observe
from pgrpc.core.channels import hub, rules
from pgrpc.core.functions import catalog
from pgrpc.core.identity import identity
from pgrpc.core.limits import counts
from pgrpc.core.wire import errors
from pgrpc.web import admission

Submit = Callable[[catalog.Call, identity.Identity, Hashable, Callable[[str | errors.RpcError], None]], Any]
"""Make a call as somebody: JSON text or an error comes to the callback, once. Returns a handle for `Cancel`."""

Cancel = Callable[[Any], None]


class Socket(Protocol):
    """An open socket, as far as those are concerned who look after all of them."""

    @property
    def subject(self) -> str | None:
        """Of its identity."""

    def end(self, code: errors.CloseCode, reason: str) -> None: ...
    def check_alive(self) -> bool:
        """Ping it. False, and the connection is dropped, where it has given no sign of life for too long."""


@dataclass(slots=True)
class Context:
    server: config.Server
    limits: config.Limits
    admission: admission.Admission
    catalog: catalog.Catalog
    channels: rules.Channels
    hub: hub.Hub
    submit: Submit
    cancel: Cancel
    observe: observe.Observer
    unready: Callable[[], Mapping[str, Any]]
    """What is not ready, and why: {"database": "..."}, of several workers {"worker 1": {...}}; {} when all is."""
    counts: counts.Counts
    """Of open sockets: in all, and of each client address; kept only where there is a limit."""
    login_policy: identity.LoginPolicy | None = None
    """None where clients cannot log in."""
    sockets: set[Socket] = field(default_factory=set)
    joining: set[Socket] = field(default_factory=set)
    """Those whose handshake waits for the database; it is known who they are."""
    no_sockets: asyncio.Event = field(default_factory=asyncio.Event)
