"""An issuer of tokens: its key set on a real HTTP server, which can be slow, wrong or away.

Owns the server and what it answers. Must not know what is tested.
"""

import contextlib
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt import algorithms


class Issuer:
    """url: of the key set. asked: how often it was fetched. certificate: and its key, for https."""

    def __init__(self, certificate: tuple[Path, Path] | None = None, **keys: Any) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.go = threading.Event()
        """Cleared: an answer waits."""
        self.go.set()
        self.asked = 0
        self._certificate = certificate
        self.publish(**keys)

    def publish(self, **keys: Any) -> None:
        """These private keys' public halves, and no others; each by its kid."""
        self.body = json.dumps({"keys": [public_jwk(key, kid=kid) for kid, key in keys.items()]}).encode()

    def __enter__(self) -> Self:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                issuer.go.wait()
                self.send_response(issuer.status)
                for name, value in {"Content-Length": str(len(issuer.body)), **issuer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):  # who asked has gone
                    self.wfile.write(issuer.body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if self._certificate is not None:
            scheme = "https"
            speaks = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            speaks.load_cert_chain(*self._certificate)
            self._server.socket = speaks.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/jwks"
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def pem(key: Any) -> str:
    """The public half of a private key, as PEM text."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    text: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    return text.decode()


def public_jwk(key: Any, **members: Any) -> dict[str, Any]:
    """The public half of a private key, as a JSON Web Key."""
    kind: Any = algorithms.OKPAlgorithm
    if isinstance(key, rsa.RSAPrivateKey):
        kind = algorithms.RSAAlgorithm
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        kind = algorithms.ECAlgorithm
    made: dict[str, Any] = kind.to_jwk(key.public_key(), as_dict=True)
    return {**made, "use": "sig", **members}
