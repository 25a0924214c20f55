"""pg_eventserv: /listen/{channel}, the redirects of its router, its front page.

Owns what it does otherwise than our own /listen. Must not know the other dialects, nor where its settings come from.
"""

import posixpath
import re
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import HTTPError

from pgrpc import config
from pgrpc.core.channels import rules
from pgrpc.web import context, pages
from pgrpc.web.sockets import relay

_FAILED = frozenset((400, 405, 426))
"""Statuses of a request that is no WebSocket handshake."""

_FIELD = re.compile(r"\{\{-?\s*\.(BaseURL|Channels)\s*-?\}\}")
_HOST = re.compile(r"[A-Za-z0-9._~-]+(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?")
_FORWARDED = re.compile(r'(?:^|[;,])\s*(host|proto)\s*=\s*"?([^";,]*)', re.IGNORECASE)
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def routes(shared: context.Context, dialect: config.Eventserv) -> list[tuple[Any, ...]]:
    own: dict[str, Any] = {"shared": shared}
    at = re.escape(shared.server.base_path)
    found: list[tuple[Any, ...]] = [
        (r"/.*(?://|/\.{1,2}(?:/|$)).*|//.*", Moved, own),
        (rf"{at}listen/[^/]+/", Moved, own),
        (rf"{at}listen/([^/]*)", ListenSocket, own),
    ]
    if dialect.assets is not None:
        found.append((rf"{at}(?:index\.html)?", Front, {"shared": shared, "assets": dialect.assets}))
    elif shared.server.static is None:
        found.append((rf"{at}index\.html", pages.Front, own))
    return found


class ListenSocket(relay.ListenSocket):
    ping_data = b"ping"

    def allowed(self) -> rules.Allowed:
        return self.shared.channels.raw

    async def get(self, *args: Any, **kwargs: Any) -> None:
        if not args[0] or "/" in args[0]:  # written as %2F: there, a path is matched once it is decoded
            raise HTTPError(404)
        await super().get(*args, **kwargs)

    def refusal(self, words: str) -> str:
        return "is not allowed"

    def finish(self, chunk: Any = None) -> Any:
        if self.get_status() in _FAILED:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            chunk = "websocket connection failed\n"
        return super().finish(chunk)


class Moved(pages.Page):
    """To the same path without empty parts, `.` and `..`, nor, for a channel, a slash at its end."""

    def get(self) -> None:
        path = self.request.path
        clean = "/" + posixpath.normpath(path).lstrip("/")
        if path.endswith("/") and clean != "/" and path.strip("/") != clean.strip("/"):
            clean += "/"
        query = self.request.query
        # Quoted: a backslash after the first slash would be a second one to a browser, and so lead to another host.
        self.redirect(quote(clean, safe="/%:@!$&'()*+,;=~") + (f"?{query}" if query else ""), permanent=True)


class Front(pages.Page):
    """The user's own page: a template of which two fields are known, {{ .BaseURL }} and {{ .Channels }}."""

    headers = pages.HEADERS  # what it may load is its own affair

    def initialize(self, shared: context.Context, assets: Path | None = None) -> None:
        super().initialize(shared)
        assert assets is not None
        self._file = assets / "index.html"

    def get(self) -> None:
        try:
            text = self._file.read_text("utf-8", "replace")
        except OSError:
            raise HTTPError(404) from None
        dialect = self.shared.dialects.eventserv
        assert dialect is not None
        values = {
            "BaseURL": base_url(self.request, dialect.url_base, self.shared.server.base_path),
            "Channels": ", ".join(self.shared.channels.names),
        }
        self.send(_FIELD.sub(lambda field: escape(values[field[1]]), text), "text/html")


def base_url(request: HTTPServerRequest, url_base: str, base_path: str) -> str:
    """Where the sender of a request reaches the sockets, without a slash at its end: wss://events.example.com/base."""
    if url_base:
        parts = urlsplit(url_base)
        path = parts.path.strip("/") or base_path.strip("/")
        return f"{_SCHEMES[parts.scheme.lower()]}://{parts.netloc}/{path}".rstrip("/")
    host, proto = _forwarded(request.headers)
    host = host if _HOST.fullmatch(host) else request.host if _HOST.fullmatch(request.host) else ""
    scheme = _SCHEMES.get(proto.lower()) or _SCHEMES[request.protocol]
    return f"{scheme}://{host}{base_path}".rstrip("/")


def _forwarded(headers: HTTPHeaders) -> tuple[str, str]:
    """Host and protocol as a proxy has heard them (RFC 7239, or the headers before it); "" where none says."""
    found: dict[str, str] = {}
    for key, value in _FORWARDED.findall(headers.get("Forwarded", "")):
        found.setdefault(key.lower(), value.strip())
    if len(found) == 2:
        return found["host"], found["proto"]
    first = [headers.get(f"X-Forwarded-{part}", "").partition(",")[0].strip() for part in ("Host", "Proto")]
    return first[0], first[1]
