"""The baselines: a server that only sends, and a Tornado server that only echoes, each in a process of its own.

Owns what pgrpc is compared with. Each does one thing and nothing else.

    python -m bench.peers floor CLIENTS MESSAGES PAD GAP      one send(2) per frame, GAP seconds between messages
    python -m bench.peers echo fast|plain                     a Tornado WebSocket that echoes each message
"""

import asyncio
import socket
import sys
import time
from collections.abc import Iterator

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from pgrpc.core.wire import ws_frames
from pgrpc.server import event_loop

_ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def payload(number: int, pad: int) -> str:
    """The payload of a notification: a timestamp, a number, and padding."""
    return f'{{"t":{time.time() * 1e6:.0f},"i":{number},"p":"{"x" * pad}"}}'


def paced(messages: int, gap: float) -> Iterator[int]:
    """Yield the number of each message when it is due: `gap` seconds apart; 0: without a pause."""
    due = time.perf_counter()
    for number in range(messages):
        if gap:
            time.sleep(max(0.0, due - time.perf_counter()))
            due += gap
        yield number


def _report(port: int) -> None:
    sys.stdout.write(f"PORT {port}\n")
    sys.stdout.flush()


def floor(clients: int, messages: int, pad: int, gap: float) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    _report(listening.getsockname()[1])
    sockets = []
    for _ in range(clients):
        sock, _ = listening.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = b""
        while b"\r\n\r\n" not in request:
            request += sock.recv(4096)
        sock.sendall(_ACCEPT)
        sockets.append(sock)
    sys.stdin.readline()
    sends = [sock.sendall for sock in sockets]
    for number in paced(messages, gap):
        frame = ws_frames.text(payload(number, pad))
        for send in sends:
            send(frame)
    sys.stdin.readline()


class _Echo(WebSocketHandler):
    def open(self, *args: str, **kwargs: str) -> None:
        self.set_nodelay(True)

    def on_message(self, message: str | bytes) -> None:
        try:  # noqa: SIM105  `suppress` would slow it down
            self.write_message(message)
        except WebSocketClosedError:  # the client has finished
            pass


async def echo() -> None:
    sockets = bind_sockets(0, "127.0.0.1", backlog=4096)
    HTTPServer(Application([("/", _Echo)])).add_sockets(sockets)
    _report(sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    if sys.argv[1] == "floor":
        floor(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
    else:
        with asyncio.Runner(loop_factory=event_loop.factory(sys.argv[2] == "fast")) as runner:
            runner.run(echo())
