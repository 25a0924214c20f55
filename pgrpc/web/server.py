"""The HTTP server: its routes, its socket, its end.

Owns what is at which path, and the order of stopping. Must not know what the handlers do.
"""

import asyncio
import contextlib
import random
import re
import ssl
from collections.abc import Sequence
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RedirectHandler

from pgrpc import config, observe, tls
from pgrpc.core.wire import errors
from pgrpc.web import acceptor, admission, context, files, pages, ports, routing
from pgrpc.web.sockets import relay, rpc_socket

_NO_BODY = 4096
"""Bytes of a request's body: nothing here takes one."""

_SPREAD = 0.5
"""Seconds over which sockets are closed when stopping, so that not all come back at one moment."""

_FRONT = "_pgrpc/"
"""Where the front page is when the pages of `server.static` have its place."""


Routes = list[tuple[Any, ...]]
"""Tornado's."""


def _routes(shared: context.Context, own: dict[str, Any], before: Sequence[Any], after: Sequence[Any]) -> Routes:
    """The first that matches counts, so a file of `server.static` hides nothing."""
    static = shared.server.static is not None
    home = shared.server.base_path
    front = home + _FRONT if static else home
    at, at_front = re.escape(home), re.escape(front)
    names = "|".join(map(re.escape, pages.FILES))
    routes: Routes = [
        (routing.Upgrade(at), rpc_socket.RpcSocket, own),  # some clients know no path
        *before,
        (rf"{at}rpc", rpc_socket.RpcSocket, own),
        (rf"{at}listen/([^/]*)", relay.ListenSocket, own),
        (rf"{at}health/live", pages.Live, own),
        (rf"{at}health/ready", pages.Ready, own),
        # All that the front page asks for is beside it, so that its addresses are relative.
        (at_front, pages.Front, own),
        (rf"{at_front}rpc", rpc_socket.RpcSocket, own),
        (rf"{at_front}surface\.json", pages.Surface, own),
        (rf"{at_front}({names})", pages.Static, own),
    ]
    # Without its slash a page's relative addresses would lead beside it.
    for target in dict.fromkeys((home, front)):
        if target != "/":
            routes.append((re.escape(target.rstrip("/")), RedirectHandler, {"url": target, "permanent": False}))
    routes += after
    if static:
        routes.append((rf"{at}(.*)", files.File, own))
    return routes


def front_page(server: config.Server, url: str) -> str | None:
    """Where the front page is, where the pages of server.static have its place at `url`."""
    return None if server.static is None else url + _FRONT


class _Application(Application):
    """Tornado's, for requests that name one of our hosts."""

    admission: admission.Admission

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        if refused := self.admission.host(request):
            arguments = {**self.settings["default_handler_args"], "refused": refused}
            return self.get_handler_delegate(request, pages.Refusal, arguments)
        return super().find_handler(request, **kwargs)


class Server:
    """sockets: the listening ones, which are its own from now on. Raises tls.Unusable.

    before, after: routes of others, in the place of our own, and where none of ours matches.
    """

    def __init__(
        self, shared: context.Context, sockets: ports.Sockets, before: Sequence[Any] = (), after: Sequence[Any] = ()
    ) -> None:
        self._shared = shared
        own: dict[str, Any] = {"shared": shared}
        application = _Application(
            _routes(shared, own, before, after),
            default_handler_class=pages.NotFound,
            default_handler_args=own,
            websocket_max_message_size=shared.limits.message_size,
            log_function=lambda handler: None,  # an address can hold a secret
        )
        self._http_servers: list[tuple[HTTPServer, ports.Sockets]] = []
        for certificate, some in _groups(shared.server, sockets):
            http = HTTPServer(
                application,
                ssl_options=certificate,
                max_body_size=_NO_BODY,
                idle_connection_timeout=shared.limits.handshake_timeout,  # until a request's headers are complete
                body_timeout=shared.limits.handshake_timeout,
            )
            self._http_servers.append((http, some))
        application.admission = shared.admission

    def front_page(self, url: str) -> str | None:
        return front_page(self._shared.server, url)

    @property
    def urls(self) -> list[str]:
        """Where it is served, with the real port where 0 was asked for."""
        found = []
        for http, sockets in self._http_servers:
            host, port = sockets[0].getsockname()[:2]
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            scheme = "http" if http.ssl_options is None else "https"
            found.append(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{self._shared.server.base_path}")
        return found

    def reload_certificate(self) -> bool:
        """New connections get what the files hold now; whether there is any. Raises tls.Unusable."""
        secure = [http for http, _ in self._http_servers if http.ssl_options is not None]
        for http in secure:
            http.ssl_options = _tls(self._shared.server)
        return bool(secure)

    def start(self) -> None:
        for http, sockets in self._http_servers:
            ports.listen(sockets)
            acceptor.accept(http, sockets, self._no_descriptor)

    def _no_descriptor(self, reason: str) -> None:
        self._shared.observe(observe.Overloaded(f"{reason}; raise the limit of open files"))

    def disconnect(self, subject: str) -> int:
        """Close every socket of a subject now; how many there were."""
        ended = [each for each in (*self._shared.sockets, *self._shared.joining) if each.subject == subject]
        for each in ended:
            each.end(errors.CloseCode.UNAUTHENTICATED, "ended by the operator")
        return len(ended)

    def stop_accepting(self) -> None:
        self._shared.admission.is_stopping = True
        for http, sockets in self._http_servers:
            ports.pause(sockets)  # closing is not enough where another process keeps them open
            http.stop()

    async def close(self, patience: float) -> None:
        """Close every socket with 1012, spread over a short time; at most `patience` seconds."""
        sockets = list(self._shared.sockets)
        random.shuffle(sockets)
        steps = 10
        for step in range(steps):
            for each in sockets[step::steps]:
                each.end(errors.CloseCode.RESTARTING, "the server is restarting")
            if sockets:
                await asyncio.sleep(_SPREAD / steps)
        if self._shared.sockets:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._shared.no_sockets.wait()
        for http, _ in self._http_servers:
            await http.close_all_connections()


def _groups(server: config.Server, sockets: ports.Sockets) -> list[tuple[ssl.SSLContext | None, ports.Sockets]]:
    """The sockets of each port, and the certificate there. The first port is the server's own."""
    certificate = _tls(server)
    if server.tls is None or server.tls.port is None:
        return [(certificate, sockets)]
    own = sockets[0].getsockname()[1]
    apart: tuple[ports.Sockets, ports.Sockets] = (
        [each for each in sockets if each.getsockname()[1] == own],
        [each for each in sockets if each.getsockname()[1] != own],
    )
    return [(None, apart[0]), (certificate, apart[1])]


def _tls(server: config.Server) -> ssl.SSLContext | None:
    return None if server.tls is None else tls.context(server.tls.certificate, server.tls.key)
