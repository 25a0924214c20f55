"""The servers that pgrpc replaces, by name.

Owns which there are: the rest of pgrpc knows none of them. Each is a folder beside this file, with `settings` (what its
users have configured -> our configuration) and `sockets` (what its clients speak). Must not know what is in these.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pgrpc.compat.eventserv import settings as eventserv_settings
from pgrpc.compat.eventserv import sockets as eventserv
from pgrpc.compat.postgresql2websocket import settings as postgresql2websocket_settings
from pgrpc.compat.psqlisten2websocket import settings as psqlisten2websocket_settings
from pgrpc.compat.psqlisten2websocket import sockets as psqlisten2websocket
from pgrpc.compat.settings_document import Loaded
from pgrpc.web import context

LOADERS: Mapping[str, Callable[[Mapping[str, str], Path | None], Loaded]] = {
    "eventserv": eventserv_settings.load,
    "postgresql2websocket": postgresql2websocket_settings.load,
    "psqlisten2websocket": psqlisten2websocket_settings.load,
}
"""Dialect -> load(environ, file): its settings, from the file named or else where that server looks, below the current
folder. Raises Invalid with everything that is wrong."""


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
    from pgrpc.compat.postgresql2websocket import sockets as postgresql2websocket

    return postgresql2websocket.routes(shared, on.postgresql2websocket)
