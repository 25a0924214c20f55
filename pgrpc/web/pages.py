"""What is served over plain HTTP: the front page, what it shows of the surface, and health.

Owns the pages and their headers. Must not know the protocol of the sockets.
"""

import json
import math
from collections.abc import Awaitable, Mapping
from importlib import resources
from typing import Any

from tornado.web import HTTPError, RequestHandler

import pgrpc
from pgrpc import observe
from pgrpc.core.network import forwarding
from pgrpc.core.wire import errors
from pgrpc.web import bearer, context

_STATIC = resources.files(__package__) / "static"
_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
FILES = ("front.js", "front.css")

HEADERS: Mapping[str, str] = {
    "Server": "pgrpc",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _content(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


class Page(RequestHandler):
    """Tornado adds an ETag, and answers 304 where the client has it."""

    headers: Mapping[str, str] = {**HEADERS, "Content-Security-Policy": _POLICY}

    def initialize(self, shared: context.Context) -> None:
        self.shared = shared

    def set_default_headers(self) -> None:
        for name, value in self.headers.items():
            self.set_header(name, value)

    def head(self, *args: Any, **kwargs: Any) -> Awaitable[None] | None:
        """As GET; Tornado leaves the content out (RFC 9110 section 9.3.2). Many a health check asks so."""
        return self.get(*args, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")

    def log_exception(self, *args: Any) -> None:
        """Tornado would log the address, which may hold a token."""
        error = args[1]
        if isinstance(error, Exception) and not isinstance(error, HTTPError):
            self.shared.observe(observe.Bug("a page", error))

    def send(self, content: bytes | str, content_type: str) -> None:
        self.set_header("Content-Type", f"{content_type}; charset=utf-8")
        self.finish(content)

    def refuse(self, status: int, reason: str) -> None:
        self.set_status(status)
        self.send(f"{reason}\n", "text/plain")


class NotFound(Page):
    def prepare(self) -> None:
        self.send_error(404)


class Misdirected(Page):
    """RFC 9110 section 15.5.20."""

    def prepare(self) -> None:
        self.shared.observe(observe.HostRefused(str(self.request.remote_ip), self.request.headers.get("Host", "")))
        self.set_status(421)
        self.send(
            "this server does not answer to this name; server.allowed_hosts lists those that it does\n", "text/plain"
        )


class Static(Page):
    def get(self, name: str) -> None:
        self.send(_content(name), _TYPES[name.rpartition(".")[2]])


class Front(Page):
    def get(self) -> None:
        self.send(_content("front.html"), "text/html")


class Surface(Page):
    """What may be called and heard, for the front page: shown to whom the socket would take."""

    async def get(self) -> None:
        if self.shared.authenticate is not None:
            try:
                token = bearer.authorization(self.request)
                customer = forwarding.customer(str(self.request.remote_ip))
                if token is not None and (wait := bearer.pace(self.shared, customer)):
                    self.set_header("Retry-After", math.ceil(wait))
                    self.refuse(429, "this address logs in too often; try again later")
                    return
                await self.shared.authenticate(token)
            except errors.Unauthenticated as error:
                self.shared.observe(observe.TokenRefused(str(self.request.remote_ip), error.message))
                self.set_header("WWW-Authenticate", bearer.challenge(None))
                self.refuse(401, error.message)
                return
            except errors.Unavailable as error:
                self.set_header("Retry-After", "1")
                self.refuse(503, error.message)
                return
        listed = self.shared.catalog
        functions = []
        for method in listed.methods:
            found = listed.functions.get(method)
            forms: list[dict[str, Any]] = [
                {"description": overload.routine.description, "params": overload.schema}
                for overload in (found.overloads if found else ())
            ]
            first = forms[0] if forms else {"description": None, "params": None}
            functions.append({"method": method, **first, "overloads": forms[1:]})
        heard = self.shared.channels
        rules = [{"name": name, "glob": name in heard.globs} for name in heard.names]
        surface = {
            "name": "pgrpc",
            "version": pgrpc.__version__,
            "auth": self.shared.authenticate is not None,
            "functions": functions,
            "channels": rules,
        }
        self.send(json.dumps(surface), "application/json")


class Live(Page):
    """200 as long as the process answers."""

    def get(self) -> None:
        self.send("ok\n", "text/plain")


class Ready(Page):
    """200, or 503 and what is not ready."""

    def get(self) -> None:
        unready = self.shared.unready()
        self.set_status(503 if unready else 200)
        self.send(json.dumps({"ready": not unready, **unready}) + "\n", "application/json")
