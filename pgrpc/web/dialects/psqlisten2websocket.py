"""psqlisten2websocket: /ws, one channel for everyone.

Owns what that server does otherwise than ours. Must not know the other dialects.
"""

from typing import Any

from pgrpc import config
from pgrpc.web import context


def routes(shared: context.Context, dialect: config.Psqlisten2websocket) -> list[tuple[Any, ...]]:
    return []
