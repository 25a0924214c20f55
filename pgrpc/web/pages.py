"""The pages served over HTTP: the front page, surface.json and the health checks.

Owns these pages and their headers. Must not know the protocol of the sockets.
"""

import json
from collections.abc import Awaitable, Mapping
from importlib import resources
from typing import Any

from tornado.web import HTTPError, RequestHandler

import pgrpc
from pgrpc import observe
from pgrpc.web import admission, context

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
    """The base class. Tornado adds an ETag, and answers 304 if the client has that version."""

    headers: Mapping[str, str] = {**HEADERS, "Content-Security-Policy": _POLICY}

    def initialize(self, shared: context.Context) -> None:
        self.shared = shared

    def set_default_headers(self) -> None:
        for name, value in self.headers.items():
            self.set_header(name, value)

    def head(self, *args: Any, **kwargs: Any) -> Awaitable[None] | None:
        """As GET; Tornado leaves the body out (RFC 9110 section 9.3.2). Many health checks use HEAD."""
        return self.get(*args, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")

    def log_exception(self, *args: Any) -> None:
        """Tornado would log the URL, which may contain a token."""
        error = args[1]
        if isinstance(error, Exception) and not isinstance(error, HTTPError):
            self.shared.observe(observe.Bug("a page", error))

    def answer(self, content: bytes | str, content_type: str) -> None:
        self.set_header("Content-Type", f"{content_type}; charset=utf-8")
        self.finish(content)

    def refuse(self, refused: admission.Refused) -> None:
        self.set_status(refused.status)
        for name, value in refused.headers.items():
            self.set_header(name, value)
        self.answer(refused.text, "text/plain")


class NotFound(Page):
    def prepare(self) -> None:
        self.send_error(404)


class Refusal(Page):
    """The answer to any request that is not admitted."""

    def initialize(self, shared: context.Context, refused: admission.Refused | None = None) -> None:
        super().initialize(shared)
        self._refused = refused

    def prepare(self) -> None:
        assert self._refused is not None
        self.refuse(self._refused)


class Static(Page):
    def get(self, name: str) -> None:
        self.answer(_content(name), _TYPES[name.rpartition(".")[2]])


class Front(Page):
    def get(self) -> None:
        self.answer(_content("front.html"), "text/html")


class Surface(Page):
    """The functions and channels of the file, for the front page; only for clients that could open a socket."""

    door = admission.Door()

    async def get(self) -> None:
        outcome = await self.shared.admission.identify(self.request, self.door)
        if isinstance(outcome, admission.Refused):
            self.refuse(outcome)
            return
        listed = self.shared.catalog
        functions = []
        for method in listed.methods:
            function = listed.functions.get(method)
            forms: list[dict[str, Any]] = [
                {"description": overload.routine.description, "params": overload.schema}
                for overload in (function.overloads if function else ())
            ]
            first = forms[0] if forms else {"description": None, "params": None}
            functions.append({"method": method, **first, "overloads": forms[1:]})
        allowed = self.shared.channels
        channels = [{"name": name, "glob": name in allowed.globs} for name in allowed.names]
        surface = {
            "name": "pgrpc",
            "version": pgrpc.__version__,
            "auth": self.shared.login_policy is not None,
            "functions": functions,
            "channels": channels,
        }
        self.answer(json.dumps(surface), "application/json")


class Live(Page):
    """200 while the process answers."""

    def get(self) -> None:
        self.answer("ok\n", "text/plain")


class Ready(Page):
    """200, or 503 and what is not ready. Only the log says why: the reason may contain parts of a connection string."""

    def get(self) -> None:
        unready = self.shared.unready()
        self.set_status(503 if unready else 200)
        self.answer(json.dumps({"ready": not unready, **unready}) + "\n", "application/json")
