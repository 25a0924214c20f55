"""The load generator: raw sockets, one thread, epoll, in a process of its own; prints one JSON line.

Owns the client side of every measurement. Frames are not parsed, but counted by a marker that each contains once, so
that the client needs less CPU time than the server.

    python -m bench.load fanout PORT PATH CLIENTS MESSAGES [SUBSCRIBE]
    python -m bench.load rpc PORT PATH CLIENTS DEPTH SECONDS MESSAGE
    python -m bench.load idle PORT PATH CLIENTS [SUBSCRIBE]     (holds the connections until its input is closed)
"""

import json
import re
import resource
import select
import socket
import sys
import time
from typing import Any

MARKER = b'"i":'
_STAMP = re.compile(rb'"t":(\d+)')
_TAIL = 256
_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(text: bytes) -> bytes:
    """A client's text frame (RFC 6455 section 5.2), masked with zeros, which costs the client nothing."""
    size = len(text)
    header = bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
    return header + b"\0\0\0\0" + text


def connect(port: int, path: str, count: int) -> list[socket.socket]:
    """Open WebSockets. `%d` in the path is the client's number."""
    sockets = []
    for number in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(_UPGRADE.format(path=path.replace("%d", str(number)), port=port).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = sock.recv(4096)
            if not received:
                raise SystemExit(f"refused: {answer!r}")
            answer += received
        if b" 101 " not in answer:
            raise SystemExit(f"refused: {answer!r}")
        sockets.append(sock)
    return sockets


def watched(sockets: list[socket.socket]) -> tuple[select.epoll, dict[int, socket.socket]]:
    """An epoll object for the sockets, and the sockets by descriptor."""
    poll = select.epoll()
    for sock in sockets:
        sock.setblocking(False)
        poll.register(sock, select.EPOLLIN)
    return poll, {sock.fileno(): sock for sock in sockets}


def ready(**facts: Any) -> None:
    sys.stdout.write("READY " + json.dumps(facts) + "\n")
    sys.stdout.flush()


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def _subscribe(sockets: list[socket.socket], request: str) -> None:
    """Send the request on each socket, with the client's number for `%d`, and wait for all answers."""
    if not request:
        return
    for number, sock in enumerate(sockets):
        sock.sendall(frame(request.replace("%d", str(number)).encode()))
    for sock in sockets:
        answer = b""
        while b'"ok"' not in answer:
            answer += sock.recv(4096)


def fanout(port: int, path: str, clients: int, messages: int, subscribe: str = "") -> dict[str, Any]:
    """Receive `messages` frames with every client. Latencies by the field "t", in microseconds since the epoch."""
    began = time.perf_counter()
    sockets = connect(port, path, clients)
    _subscribe(sockets, subscribe)
    poll, by_number = watched(sockets)
    tails: dict[int, bytes] = {}
    ready(connecting=time.perf_counter() - began)
    seen, wanted = 0, clients * messages
    first = last = 0.0
    latencies: list[float] = []
    while seen < wanted:
        events = poll.poll(20)
        if not events:
            raise SystemExit(f"stalled at {seen} of {wanted}")
        for number, _ in events:
            received = by_number[number].recv(1 << 20)
            if not received:
                raise SystemExit("the server closed a connection")
            data = tails.pop(number, b"") + received
            count = data.count(MARKER)
            if not count:
                tails[number] = data
                continue
            at = data.rfind(MARKER) + len(MARKER)
            tails[number] = data[at:]
            if not first:
                first = time.perf_counter()
            seen += count
            stamp = _STAMP.search(data, max(0, at - 64))
            if stamp:
                latencies.append(time.time() * 1e6 - int(stamp[1]))
        last = time.perf_counter()
    return {
        "frames": seen,
        "seconds": last - first,
        "rate": seen / max(last - first, 1e-9),
        "p50": percentile(latencies, 0.5) / 1e3,
        "p99": percentile(latencies, 0.99) / 1e3,
    }


def rpc(port: int, path: str, clients: int, depth: int, seconds: float, message: str) -> dict[str, Any]:
    """Keep `depth` requests in flight with every client; each frame answers one. Times in microseconds."""
    sockets = connect(port, path, clients)
    request = frame(message.encode())
    poll, by_number = watched(sockets)
    ready()
    latencies: list[float] = []
    by_client: dict[int, list[float]] = {number: [] for number in by_number}
    sent: dict[int, list[float]] = {}
    began = time.perf_counter()
    for number, sock in by_number.items():
        sock.sendall(request * depth)
        sent[number] = [began] * depth
    answers = 0
    while (now := time.perf_counter()) - began < seconds:
        for number, _ in poll.poll(1):
            received = by_number[number].recv(1 << 16)
            now = time.perf_counter()
            count = received.count(b'"jsonrpc"') or received.count(b"\x81")
            answers += count
            waiting = sent[number]
            answered, sent[number] = waiting[:count], waiting[count:] + [now] * count
            times = [(now - at) * 1e6 for at in answered]
            latencies += times
            by_client[number] += times
            by_number[number].sendall(request * count)
    tails = [percentile(times, 0.99) for times in by_client.values() if times]
    return {
        "rate": answers / (now - began),
        "p50": percentile(latencies, 0.5),
        "p99": percentile(latencies, 0.99),
        "longest": max(latencies, default=0.0),
        "unfairness": max(tails) / min(tails),
    }


def idle(port: int, path: str, clients: int, subscribe: str = "") -> dict[str, Any]:
    """Only keep connections open."""
    began = time.perf_counter()
    sockets = connect(port, path, clients)
    _subscribe(sockets, subscribe)
    ready(connecting=time.perf_counter() - began)
    sys.stdin.read()
    return {"open": len(sockets)}


def main(arguments: list[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kind, port, path, clients, *rest = arguments
    if kind == "fanout":
        result = fanout(int(port), path, int(clients), int(rest[0]), *rest[1:])
    elif kind == "rpc":
        result = rpc(int(port), path, int(clients), int(rest[0]), float(rest[1]), rest[2])
    else:
        result = idle(int(port), path, int(clients), *rest)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
