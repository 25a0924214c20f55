"""pg_eventserv: /listen/{channel}, the redirects of its router, its front page.

Owns how it differs from our own /listen. Must not know where its settings come from.
"""

import posixpath
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import HTTPError

from pgrpc.compat import channels, dialect
from pgrpc.compat.eventserv import posix_patterns, section
from pgrpc.core.channels import rules
from pgrpc.web import context, pages
from pgrpc.web.sockets import relay

_FAILED = frozenset((400, 405, 426))
"""Statuses of a request that is not a WebSocket handshake."""

_FIELD = re.compile(r"\{\{-?\s*\.(BaseURL|Channels)\s*-?\}\}")
_HOST = re.compile(r"[A-Za-z0-9._~-]+(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?")
_FORWARDED = re.compile(r'(?:^|[;,])\s*(host|proto)\s*=\s*"?([^";,]*)', re.IGNORECASE)
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def routes(shared: context.Context, value: section.Eventserv) -> dialect.Routes:
    own: dict[str, Any] = {"shared": shared}
    listed: rules.Allowed = shared.channels.raw
    names = shared.channels.names
    if value.channels is not None:
        names = value.channels
        listed = channels.Patterns(
            ((name, posix_patterns.compile(name)) for name in names), shared.channels.raw.reserved
        )
    at = re.escape(shared.server.base_path)
    found: list[tuple[Any, ...]] = [
        (r"/.*(?://|/\.{1,2}(?:/|$)).*|//.*", Moved, own),
        (rf"{at}listen/[^/]+/", Moved, own),
        (rf"{at}listen/([^/]*)", RelaySocket, {**own, "listed": listed}),
    ]
    if value.assets is not None:
        page = {**own, "file": value.assets / "index.html", "url_base": value.url_base, "channels": names}
        found.append((rf"{at}(?:index\.html)?", Front, page))
    elif shared.server.static is None:
        found.append((rf"{at}index\.html", pages.Front, own))
    return dialect.Routes(before=tuple(found))


class RelaySocket(relay.RelaySocket):
    ping_data = b"ping"
    __slots__ = ("_listed",)

    def initialize(self, shared: context.Context, listed: rules.Allowed | None = None) -> None:
        assert listed is not None
        self._listed = listed
        super().initialize(shared)

    def allowed(self) -> rules.Allowed:
        return self._listed

    async def get(self, *args: Any, **kwargs: Any) -> None:
        if not args[0] or "/" in args[0]:  # %2F: pg_eventserv decodes a path before it matches it
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
    """Redirects to the same path without empty parts, `.` and `..`, and, for a channel, without a slash at its end."""

    def get(self) -> None:
        path = self.request.path
        clean = "/" + posixpath.normpath(path).lstrip("/")
        if path.endswith("/") and clean != "/" and path.strip("/") != clean.strip("/"):
            clean += "/"
        query = self.request.query
        # Quoted: browsers read a backslash after the first slash as a second slash, which leads to another host.
        self.redirect(quote(clean, safe="/%:@!$&'()*+,;=~") + (f"?{query}" if query else ""), permanent=True)


class Front(pages.Page):
    """The user's own page: a template in which two fields are replaced, {{ .BaseURL }} and {{ .Channels }}."""

    headers = pages.HEADERS  # without a policy: what the page may load is up to its author

    def initialize(
        self, shared: context.Context, file: Path = Path(), url_base: str = "", channels: Sequence[str] = ()
    ) -> None:
        super().initialize(shared)
        self._file = file
        self._url_base = url_base
        self._channels = channels

    def get(self) -> None:
        try:
            text = self._file.read_text("utf-8", "replace")
        except OSError:
            raise HTTPError(404) from None
        values = {
            "BaseURL": base_url(self.request, self._url_base, self.shared.server.base_path),
            "Channels": ", ".join(self._channels),
        }
        self.answer(_FIELD.sub(lambda field: escape(values[field[1]]), text), "text/html")


def base_url(request: HTTPServerRequest, url_base: str, base_path: str) -> str:
    """The address of the sockets for whoever sent this request, without a final slash: wss://events.example.com/base."""
    if url_base:
        parts = urlsplit(url_base)
        path = parts.path.strip("/") or base_path.strip("/")
        return f"{_SCHEMES[parts.scheme.lower()]}://{parts.netloc}/{path}".rstrip("/")
    host, proto = _forwarded(request.headers)
    host = host if _HOST.fullmatch(host) else request.host if _HOST.fullmatch(request.host) else ""
    scheme = _SCHEMES.get(proto.lower()) or _SCHEMES[request.protocol]
    return f"{scheme}://{host}{base_path}".rstrip("/")


def _forwarded(headers: HTTPHeaders) -> tuple[str, str]:
    """Host and protocol as a proxy received the request (RFC 7239, or the headers before it); "" where unknown."""
    found: dict[str, str] = {}
    for key, value in _FORWARDED.findall(headers.get("Forwarded", "")):
        found.setdefault(key.lower(), value.strip())
    if len(found) == 2:
        return found["host"], found["proto"]
    first = [headers.get(f"X-Forwarded-{part}", "").partition(",")[0].strip() for part in ("Host", "Proto")]
    return first[0], first[1]
