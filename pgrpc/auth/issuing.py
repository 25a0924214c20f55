"""Issues tokens for development, signed with `auth.secret` of the file.

Owns the claims of such a token. Must not know the command line.
"""

import time
from collections.abc import Mapping
from typing import Any

import jwt

from pgrpc import config


class CannotIssue(Exception):
    """str() says why."""


def issue(auth: config.Auth, claims: Mapping[str, Any], role: str | None, lifetime: float) -> str:
    """A token that a server with this file accepts: with its audience and issuer, and the role in `auth.role_claim`.

    lifetime: seconds. Raises CannotIssue.
    """
    if auth.secret is None:
        raise CannotIssue("requires auth.secret: with a public key only its issuer can sign tokens")
    if role is not None and auth.roles is not None and role not in auth.roles:
        raise CannotIssue(f"the role {role!r} is not in auth.roles")
    now = int(time.time())
    content: dict[str, Any] = {"iat": now, "exp": now + max(1, round(lifetime))}
    if auth.issuer is not None:
        content["iss"] = auth.issuer
    if auth.audience:
        content["aud"] = auth.audience[0]
    content |= claims
    if role is not None:
        _set_claim(content, auth.role_claim, role)
    return jwt.encode(content, auth.secret, (auth.algorithms or ("HS256",))[0])


def _set_claim(claims: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    *parents, last = path
    for name in parents:
        claims = claims.setdefault(name, {})
        if not isinstance(claims, dict):
            raise CannotIssue(f"the claim {name!r} must be an object, because auth.role_claim is a part of it")
    claims[last] = value
