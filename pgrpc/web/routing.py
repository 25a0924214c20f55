"""Matches requests for a WebSocket: by their path and the header Upgrade.

Owns this rule of Tornado's router. Must not know the handlers.
"""

from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches


class Upgrade(PathMatches):
    """Matches a path if the request is for a WebSocket (RFC 6455 section 4.1)."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return super().match(request) if request.headers.get("Upgrade", "").lower() == "websocket" else None
