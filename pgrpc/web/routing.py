"""Owns what besides its path tells where a request goes."""

from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches


class Upgrade(PathMatches):
    """A path, where a WebSocket is asked for."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return super().match(request) if request.headers.get("Upgrade", "").lower() == "websocket" else None
