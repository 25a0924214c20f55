"""The section `auth`: what its schema cannot say, and the keys' files.

Owns which keys go together, and how roles, keys and addresses are spelled. Must not know what a token is, nor whether
a PEM text or a key set holds good keys.
"""

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pgrpc.config import faults, model
from pgrpc.core.channels import globs, rules

_KEYS = ("secret", "public_key", "jwks")
_HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""What a secret must have at least: https://www.rfc-editor.org/rfc/rfc7518#section-3.2"""
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie", "sec-websocket-protocol")


class Auth:
    """Reads one section; relative files start at `folder`."""

    def __init__(self, folder: Path, found: faults.Faults) -> None:
        self._folder = Path(os.path.abspath(folder))
        self._faults = found

    def read(self, given: Mapping[str, Any], seconds: Mapping[str, float], origins: Iterable[str]) -> model.Auth:
        """given: what fits the schema. seconds: its durations. origins: the server's allowed_origins."""
        keys = [key for key in _KEYS if given.get(key) is not None]
        if len(keys) != 1 and self._faults.sound("auth"):
            words = "needs the key of its tokens: one of" if not keys else "takes one key, not"
            self._faults.add(("auth",), f"{words} secret, public_key and jwks")
        made: dict[str, Any] = {**{key: value for key, value in given.items() if value is not None}, **seconds}
        self._algorithms(made)
        if "public_key" in made:
            made["public_key"] = self._pem(made["public_key"])
        if "jwks" in made:
            made["jwks"] = self._jwks(made["jwks"])
        audience: Any = made.get("audience", ())
        made["audience"] = (audience,) if isinstance(audience, str) else _texts(audience)
        made["headers"] = tuple(self._header(index, name) for index, name in enumerate(made.get("headers", ())) if name)
        if "roles" in made:
            made["roles"] = _texts(made["roles"])
        if "role_claim" in made:
            made["role_claim"] = tuple(a or b for a, b in re.findall(r'"([^"]+)"|([^."]+)', made["role_claim"]))
        if "cookie" in made and not {*origins} - {"*", None}:
            words = "needs the pages whose visitors it speaks for in server.allowed_origins, by their names"
            self._faults.add(("auth", "cookie"), words)
        if fault := _control_fault(made.get("control_channel")):
            self._faults.add(("auth", "control_channel"), fault)
        return model.Auth(**made)

    def _algorithms(self, made: dict[str, Any]) -> None:
        """Keys of one kind only: a public key that passes for a secret would let anybody sign."""
        made["algorithms"] = _texts(made.get("algorithms", ()))
        for index, name in enumerate(made["algorithms"]):
            if (name in _HASH_BYTES) != ("secret" in made) and any(key in made for key in _KEYS):
                words = (
                    f"{name} is not for a secret" if "secret" in made else f"{name} is for a secret, not public keys"
                )
                self._faults.add(("auth", "algorithms", index), f"{words}: take another, or leave the key out")
        if "secret" in made:
            least, name = max((_HASH_BYTES.get(name, 0), name) for name in made["algorithms"] or ["HS256"])
            size = len(made["secret"].encode())
            if size < least:
                words = f"has {size} bytes; {name} needs at least {least} (openssl rand -base64 {least * 3 // 2})"
                self._faults.add(("auth", "secret"), words)

    def _pem(self, text: str) -> str:
        if "-----BEGIN" in text:
            return text
        place = ("auth", "public_key")
        shown = "" if place in self._faults.substituted else f"{text}: "
        try:
            return (self._folder / text).read_bytes().decode("ascii")
        except UnicodeDecodeError:
            self._faults.add(place, f"{shown}is not PEM text")
        except OSError as error:
            self._faults.add(place, f"{shown}cannot be read: {error.strerror}")
        except ValueError:
            self._faults.add(place, "a file name cannot hold the character NUL")
        return ""

    def _jwks(self, text: str) -> str | Path:
        """An address as it is, or a file's absolute path."""
        if "://" not in text:
            return self._folder / text
        try:
            parts = urlsplit(text)
            parts.port  # noqa: B018, it is read here so that a wrong one is found
        except ValueError:
            self._faults.add(("auth", "jwks"), "must have a valid host, and a port of at most 65535")
            return text
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(parts.hostname)):
            words = "must be an https address (http only for 127.0.0.1, ::1 and localhost), or a file"
            self._faults.add(("auth", "jwks"), words)
        elif not parts.hostname or parts.username is not None or parts.fragment:
            self._faults.add(("auth", "jwks"), "must be an address with a host, without a user or a fragment")
        return text

    def _header(self, index: int, name: str) -> str:
        if name.lower() in _CREDENTIALS:
            self._faults.add(("auth", "headers", index), "holds credentials, which no function is given")
        return name.lower()


def _texts(given: Iterable[Any]) -> tuple[str, ...]:
    """Without those that were faulty."""
    return tuple(text for text in given if text is not None)


def _is_here(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def _control_fault(name: str | None) -> str | None:
    if name is None:
        return None
    if globs.is_pattern(name):
        return "must be one channel, without *"
    if "\0" in name:
        return "a channel's name cannot hold the character NUL"
    if len(name.encode()) > rules.MAX_BYTES:
        return f"has {len(name.encode())} bytes in UTF-8; PostgreSQL's limit for a channel's name is {rules.MAX_BYTES}"
    return None
