"""Tokens for development, signed with the secret of the file.

Owns what such a token says. Must not know the command line.
"""

import time
from collections.abc import Mapping
from typing import Any

import jwt

from pgrpc import config


class CannotIssue(Exception):
    """str() says why not."""


def issue(auth: config.Auth, claims: Mapping[str, Any], role: str | None, lifetime: float) -> str:
    """A token that the file's own server takes: audience and issuer as the file has them, role where it looks for it.

    lifetime: seconds. Raises CannotIssue.
    """
    if auth.secret is None:
        raise CannotIssue("needs auth.secret: with public keys only their issuer can sign")
    if role is not None and auth.roles is not None and role not in auth.roles:
        raise CannotIssue(f"the role {role!r} is not in auth.roles")
    now = int(time.time())
    said: dict[str, Any] = {"iat": now, "exp": now + max(1, round(lifetime))}
    if auth.issuer is not None:
        said["iss"] = auth.issuer
    if auth.audience:
        said["aud"] = auth.audience[0]
    said |= claims
    if role is not None:
        _put(said, auth.role_claim, role)
    return jwt.encode(said, auth.secret, (auth.algorithms or ("HS256",))[0])


def _put(claims: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    *way, last = path
    for name in way:
        claims = claims.setdefault(name, {})
        if not isinstance(claims, dict):
            raise CannotIssue(f"the claim {name!r} is in the way of the role's: give an object")
    claims[last] = value
