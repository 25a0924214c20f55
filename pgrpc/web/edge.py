"""What is settled of each request before anybody handles it: whose it is, and whether it was meant for this server.

Owns the applying of core/forwarding and core/origins to Tornado's requests. Must not know the handlers.
"""

import ipaddress
import socket
from collections.abc import Iterable

from tornado.httputil import HTTPServerRequest

from pgrpc import config
from pgrpc.core.network import forwarding, origins


class Edge:
    """listening: the server's sockets."""

    def __init__(self, server: config.Server, listening: Iterable[socket.socket]) -> None:
        self._proxies = forwarding.Proxies(server.trusted_proxies)
        addresses = [each.getsockname() for each in listening]
        local = all(ipaddress.ip_address(address[0]).is_loopback for address in addresses)
        self._hosts = origins.Hosts(server.allowed_hosts, [address[1] for address in addresses] if local else ())

    def admit(self, request: HTTPServerRequest) -> bool:
        """Give the request its client's address and scheme; whether it asks for a name that the server answers to."""
        client = self._proxies.client(str(request.remote_ip), request.headers)
        request.remote_ip = client.address
        if client.scheme is not None:
            request.protocol = client.scheme
        return self._hosts.allows(request.headers.get("Host", ""))
