"""The HTTP server: its routes, its listening sockets, and how it stops.

Owns the paths, and the order of stopping. Must not know what the handlers do.
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
from pgrpc.web import acceptor, admission, context, pages, ports, routing, static_files
from pgrpc.web.sockets import relay, rpc_socket

_MAX_BODY = 4096
"""Bytes of a request's body: no handler reads one."""

_CLOSE_SPREAD = 0.5
"""Seconds over which sockets are closed when stopping, so that clients do not all reconnect at once."""

_FRONT = "_pgrpc/"
"""The path of the front page if `server.static` has pages at `/`."""


Routes = list[tuple[Any, ...]]
"""As in tornado.web.Application: (pattern, handler, arguments)."""


def _routes(shared: context.Context, own: dict[str, Any], before: Sequence[Any], after: Sequence[Any]) -> Routes:
    """The first match is used, so a file in `server.static` hides none of our routes."""
    static = shared.server.static is not None
    home = shared.server.base_path
    front = home + _FRONT if static else home
    at, at_front = re.escape(home), re.escape(front)
    names = "|".join(map(re.escape, pages.FILES))
    routes: Routes = [
        (routing.Upgrade(at), rpc_socket.RpcSocket, own),  # for clients that cannot set a path
        *before,
        (rf"{at}rpc", rpc_socket.RpcSocket, own),
        (rf"{at}listen/([^/]*)", relay.RelaySocket, own),
        (rf"{at}health/live", pages.Live, own),
        (rf"{at}health/ready", pages.Ready, own),
        # Everything that the front page needs is beside it, so that its URLs can be relative.
        (at_front, pages.Front, own),
        (rf"{at_front}rpc", rpc_socket.RpcSocket, own),
        (rf"{at_front}surface\.json", pages.Surface, own),
        (rf"{at_front}({names})", pages.Static, own),
    ]
    # Without the slash, relative URLs of a page would be wrong.
    for target in dict.fromkeys((home, front)):
        if target != "/":
            routes.append((re.escape(target.rstrip("/")), RedirectHandler, {"url": target, "permanent": False}))
    routes += after
    if static:
        routes.append((rf"{at}(.*)", static_files.File, own))
    return routes


def front_page(server: config.Server, url: str) -> str | None:
    """The URL of the front page if that is not `url` itself, because of server.static."""
    return None if server.static is None else url + _FRONT


class _Application(Application):
    """Tornado's application, which first refuses requests for other hosts."""

    admission: admission.Admission

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        client = self.admission.client(request)
        request.remote_ip = client.address
        if client.scheme is not None:
            request.protocol = client.scheme
        if refused := self.admission.host(request):
            arguments = {**self.settings["default_handler_args"], "refused": refused}
            return self.get_handler_delegate(request, pages.Refusal, arguments)
        return super().find_handler(request, **kwargs)


class Server:
    """sockets: the listening ones; the server closes them. Raises tls.Unusable.

    before, after: routes of dialects, which precede ours or follow them.
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
            log_function=lambda handler: None,  # a URL can contain a secret
        )
        self._http_servers: list[tuple[HTTPServer, ports.Sockets]] = []
        for certificate, some in _groups(shared.server, sockets):
            http = HTTPServer(
                application,
                ssl_options=certificate,
                max_body_size=_MAX_BODY,
                idle_connection_timeout=shared.limits.handshake_timeout,  # until a request's headers are complete
                body_timeout=shared.limits.handshake_timeout,
            )
            self._http_servers.append((http, some))
        application.admission = shared.admission

    def front_page(self, url: str) -> str | None:
        return front_page(self._shared.server, url)

    @property
    def urls(self) -> list[str]:
        """The URLs that it serves, with the real port if the file has 0."""
        urls = []
        for http, sockets in self._http_servers:
            host, port = sockets[0].getsockname()[:2]
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            scheme = "http" if http.ssl_options is None else "https"
            urls.append(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{self._shared.server.base_path}")
        return urls

    def reload_certificate(self) -> bool:
        """Use the certificate in the files for new connections; False if TLS is not configured. Raises tls.Unusable."""
        secure = [http for http, _ in self._http_servers if http.ssl_options is not None]
        for http in secure:
            http.ssl_options = _tls(self._shared.server)
        return bool(secure)

    def start(self) -> None:
        """Accept connections."""
        for http, sockets in self._http_servers:
            ports.listen(sockets)
            acceptor.accept(http, sockets, self._no_descriptor)

    def _no_descriptor(self, reason: str) -> None:
        self._shared.observe(observe.Overloaded(f"{reason}; raise the limit of open files"))

    def disconnect(self, subject: str) -> int:
        """Close every socket of a subject now; returns how many there were."""
        closed = [each for each in (*self._shared.sockets, *self._shared.joining) if each.subject == subject]
        for each in closed:
            each.end(errors.CloseCode.UNAUTHENTICATED, "closed by the operator")
        return len(closed)

    def stop_accepting(self) -> None:
        """Accept no more connections, and admit no more requests."""
        self._shared.admission.is_stopping = True
        for http, sockets in self._http_servers:
            ports.pause(sockets)  # closing is not enough where another process keeps them open
            http.stop()

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109
        """Close every socket with 1012, spread over a short time, and wait at most `timeout` seconds for them."""
        sockets = list(self._shared.sockets)
        random.shuffle(sockets)
        steps = 10
        for step in range(steps):
            for each in sockets[step::steps]:
                each.end(errors.CloseCode.RESTARTING, "the server is restarting")
            if sockets:
                await asyncio.sleep(_CLOSE_SPREAD / steps)
        if self._shared.sockets:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._shared.no_sockets.wait()
        for http, _ in self._http_servers:
            await http.close_all_connections()


def _groups(server: config.Server, sockets: ports.Sockets) -> list[tuple[ssl.SSLContext | None, ports.Sockets]]:
    """The sockets of each port, with its TLS context. The first port is `server.port`."""
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
