"""The settings of other servers, as their users have them -> our configuration.

Owns which settings file belongs to which server. Each module here reads one server's settings (settings keeps what
has been read) and makes of them a document such as config.yaml holds, with the names that its values had; the reader
checks it as it checks every other. Must not know how anything is served.

    settings                    what was read, under the names it has there -> a document -> Config
    ├── eventserv                   DATABASE_URL, ES_*, pg_eventserv.toml
    ├── postgresql2websocket        postgresql2websocket.conf
    └── psqlisten2websocket         .env
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from pgrpc.config.dropin import eventserv, postgresql2websocket, psqlisten2websocket
from pgrpc.config.dropin.settings import Loaded

__all__ = ["LOADERS", "Loaded"]

LOADERS: Mapping[str, Callable[[Mapping[str, str], Path | None], Loaded]] = {
    "eventserv": eventserv.load,
    "postgresql2websocket": postgresql2websocket.load,
    "psqlisten2websocket": psqlisten2websocket.load,
}
"""Dialect -> load(environ, file): its settings, from the file named or else where that server looks, below the current
folder. Raises Invalid with everything that is wrong."""
