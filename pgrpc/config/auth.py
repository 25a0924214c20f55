"""The section `auth`: which of its keys go together, and the key that verifies tokens.

Owns what the schema cannot say of this section. Must not know what a token is, nor whether a PEM text or a key set
contains usable keys.
"""

import ipaddress
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pgrpc.config import faults, model, network
from pgrpc.core.channels import globs, rules

_KEYS = ("secret", "public_key", "jwks")
_HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The shortest secret of each: https://www.rfc-editor.org/rfc/rfc7518#section-3.2"""
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie", "sec-websocket-protocol")


class Auth:
    """Reads one section. Relative files start at `folder`."""

    def __init__(self, folder: Path, found: faults.Faults) -> None:
        self._folder = Path(os.path.abspath(folder))
        self._faults = found

    def read(self, written: Mapping[str, Any], given: Mapping[str, Any], origins: Iterable[str]) -> model.Auth:
        """written: the section as it is in the file, given: converted. origins: the server's allowed_origins."""
        made = {key: value for key, value in given.items() if value is not None}
        self._check_keys(made)
        self._check_algorithms(written.get("algorithms", ()), made)
        self._check_headers(written.get("headers", ()))
        if "public_key" in made:
            made["public_key"] = self._pem(made["public_key"])
        if "jwks" in made:
            made["jwks"] = self._jwks(made["jwks"])
        if "cookie" in made and not {*origins} - {"*"}:
            words = "needs server.allowed_origins to list the pages that may use the cookie, without *"
            self._faults.reject(("auth", "cookie"), words)
        if fault := _control_fault(made.get("control_channel")):
            self._faults.reject(("auth", "control_channel"), fault)
        return model.Auth(**made)

    def _check_keys(self, made: Mapping[str, Any]) -> None:
        keys = [key for key in _KEYS if key in made]
        if len(keys) == 1 or not self._faults.sound("auth"):
            return
        empty = [("auth", key) for key in _KEYS if ("auth", key) in self._faults.empty]
        if empty and not keys:
            self._faults.reject(empty[0], "must not be empty")
        elif keys:
            self._faults.reject(("auth",), f"has {' and '.join(keys)}: keep one of them")
        else:
            self._faults.reject(("auth",), "needs a key that verifies tokens: add secret, public_key or jwks")

    def _check_algorithms(self, written: Sequence[str | None], made: Mapping[str, Any]) -> None:
        """Keys of one kind only: a public key that passes for a secret would let anybody sign."""
        for index, name in enumerate(written):
            if name and (name in _HASH_BYTES) != ("secret" in made) and any(key in made for key in _KEYS):
                words = (
                    f"{name} needs a public key, not a secret"
                    if "secret" in made
                    else f"{name} needs a secret, not a public key"
                )
                self._faults.reject(("auth", "algorithms", index), f"{words}: choose another, or remove algorithms")
        if "secret" in made:
            least, longest = max((_HASH_BYTES.get(name, 0), name) for name in made.get("algorithms") or ["HS256"])
            size = len(made["secret"].encode())
            if size < least:
                words = f"has {size} bytes; {longest} needs at least {least} (openssl rand -base64 {least * 3 // 2})"
                self._faults.reject(("auth", "secret"), words)

    def _check_headers(self, written: Sequence[str | None]) -> None:
        for index, name in enumerate(written):
            if name and name.lower() in _CREDENTIALS:
                words = "contains credentials, which functions never receive: remove it"
                self._faults.reject(("auth", "headers", index), words)

    def _pem(self, text: str) -> str:
        if "-----BEGIN" in text:
            return text
        place = ("auth", "public_key")
        shown = "" if place in self._faults.substituted else f"{text}: "
        try:
            return (self._folder / text).read_bytes().decode("ascii")
        except UnicodeDecodeError:
            self._faults.reject(place, f"{shown}is not PEM text")
        except OSError as error:
            self._faults.reject(place, f"{shown}cannot be read: {error.strerror}")
        except ValueError:
            self._faults.reject(place, "a file name cannot hold the character NUL")
        return ""

    def _jwks(self, text: str) -> str | Path:
        """An address as it is, or a file's absolute path."""
        if "://" not in text:
            return self._folder / text
        try:
            parts = urlsplit(text)
            parts.port  # noqa: B018, it is read here so that a wrong one is found
        except ValueError:
            self._faults.reject(("auth", "jwks"), network.PORT_FAULT)
            return text
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
            words = "must be an https address (http only for 127.0.0.1, ::1 and localhost), or a file"
            self._faults.reject(("auth", "jwks"), words)
        elif not parts.hostname or parts.username is not None or parts.fragment:
            self._faults.reject(("auth", "jwks"), "must be an address with a host, without a user or a fragment")
        return text


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def _control_fault(name: str | None) -> str | None:
    if name is None:
        return None
    if globs.is_pattern(name):
        return "must be the name of one channel, without *"
    if "\0" in name:
        return "a channel's name cannot hold the character NUL"
    if len(name.encode()) > rules.MAX_BYTES:
        return f"has {len(name.encode())} bytes in UTF-8; PostgreSQL's limit for a channel's name is {rules.MAX_BYTES}"
    return None
