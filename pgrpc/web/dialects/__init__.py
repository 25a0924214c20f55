"""What the clients of other servers speak, for those who replace one of these by pgrpc.

Owns which dialect is at which path. Each is a thin adapter: channels, limits and the way to the database are
everybody's. A dialect must not know another one.
"""

from typing import Any

from pgrpc.web import context
from pgrpc.web.dialects import eventserv, psqlisten2websocket


def routes_before(shared: context.Context) -> list[tuple[Any, ...]]:
    """Tornado's routes that take the place of our own."""
    on = shared.dialects
    return [
        *(eventserv.routes(shared, on.eventserv) if on.eventserv else ()),
        *(psqlisten2websocket.routes(shared, on.psqlisten2websocket) if on.psqlisten2websocket else ()),
    ]


def routes_after(shared: context.Context) -> list[tuple[Any, ...]]:
    """Tornado's routes that leave our own their place: they may match any path."""
    on = shared.dialects
    if on.postgresql2websocket is None:
        return []
    # Here, because its reader of SQL takes 0.1 s to import, and most servers have no use for it.
    from pgrpc.web.dialects import postgresql2websocket

    return postgresql2websocket.routes(shared, on.postgresql2websocket)
