"""postgresql2websocket: /{channel}.

Owns what that server does otherwise than ours. Must not know the other dialects.
"""

from typing import Any

from pgrpc import config
from pgrpc.web import context


def routes(shared: context.Context, dialect: config.Postgresql2websocket) -> list[tuple[Any, ...]]:
    return []
