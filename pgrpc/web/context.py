"""The context that every handler gets: configuration, catalog, hub and callables of the rest of the server.

Owns this interface: web knows the database only through `submit` and `cancel`.
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
"""Submit a call as an identity; the callback is called once, with JSON text or an error. Returns a handle for `Cancel`.

The third argument is the key for fair queueing: calls with different keys take turns.
"""

Cancel = Callable[[Any], None]


class Socket(Protocol):
    """An open socket, as the heartbeat and the server's end see it."""

    @property
    def subject(self) -> str | None:
        """Of its identity."""

    def end(self, code: errors.CloseCode, reason: str) -> None: ...
    def check_alive(self) -> bool:
        """Ping the client. False, and the connection is dropped, if the client has not answered in time."""


@dataclass(slots=True)
class Context:
    """Shared by all handlers of one process."""

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
    """Of open sockets: in all, and of each client address; used only if there is a limit."""
    login_policy: identity.LoginPolicy | None = None
    """None if clients cannot log in."""
    sockets: set[Socket] = field(default_factory=set)
    joining: set[Socket] = field(default_factory=set)
    """Sockets that are authenticated, and whose handshake waits for the database."""
    no_sockets: asyncio.Event = field(default_factory=asyncio.Event)
