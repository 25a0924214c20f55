"""Verifies one token: text -> claims that are valid now, or an error that says why not.

Owns the checks of a token: its size, form, signature, times, audience and issuer (RFC 7519, with the advice of RFC
8725). PyJWT verifies the signature; the claims are parsed here, because their numbers must keep all digits on the way
to PostgreSQL. Must not know roles, nor where tokens and keys come from. An error never contains any part of a token.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import jwt

from pgrpc import config
from pgrpc.auth import keys
from pgrpc.core.wire import errors, jsontext

MAX_LENGTH = 8192
_COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_LAST_INSTANT = 253_402_300_799
"""The end of the year 9999, in seconds since the epoch."""
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

_signatures = jwt.PyJWS()


class UnknownKey(errors.Unauthenticated):
    """No known key may have signed the token: fetch the key set again."""


@dataclass(frozen=True, slots=True)
class Claims:
    """values: numbers are int or Decimal. expires: seconds since the epoch, the leeway included."""

    values: Mapping[str, Any]
    expires: float | None


def verify(token: str, known: Sequence[keys.Key], algorithms: Collection[str], auth: config.Auth, now: float) -> Claims:
    """The claims of a valid token. known: keys. algorithms: those that are accepted. now: seconds since the epoch.

    Raises errors.Unauthenticated; its subclass UnknownKey if none of the keys is for this token.
    """
    if len(token) > MAX_LENGTH:
        raise errors.Unauthenticated(f"the token has {len(token)} characters; the limit is {MAX_LENGTH}")
    if not _COMPACT_FORM.fullmatch(token):
        raise errors.Unauthenticated("the token is not a JSON Web Token: three base64url parts separated by dots")
    return _valid_claims(_verified_payload(token, known, algorithms), auth, now)


def _verified_payload(token: str, known: Sequence[keys.Key], algorithms: Collection[str]) -> bytes:
    """The payload, after one of the keys has verified the signature."""
    try:
        header = _signatures.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise errors.Unauthenticated("the token's header is malformed or not supported") from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise errors.Unauthenticated("the token's signature algorithm is not accepted")
    candidates = keys.candidates(known, algorithm, header.get("kid"))
    if not candidates:
        raise UnknownKey("the token is signed with an unknown key")
    for key in candidates:
        try:
            payload: bytes = _signatures.decode_complete(token, key.material, [algorithm])["payload"]
        except jwt.InvalidTokenError:
            continue
        return payload
    raise errors.Unauthenticated("the token's signature is invalid")


def _valid_claims(payload: bytes, auth: config.Auth, now: float) -> Claims:
    try:
        values = jsontext.parse(payload.decode())
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise errors.Unauthenticated("the token's claims are not a JSON object")
    expires, not_before, issued_at = (_instant(values, name) for name in ("exp", "nbf", "iat"))
    if expires is not None and now >= expires + auth.leeway:
        raise errors.Unauthenticated(f"the token expired {now - expires:.0f} s ago")
    for start in (not_before, issued_at):
        if start is not None and now < start - auth.leeway:
            raise errors.Unauthenticated(f"the token is not valid yet, only in {start - now:.0f} s")
    if auth.issuer is not None and values.get("iss") != auth.issuer:
        raise errors.Unauthenticated("the token is from another issuer")
    _check_audience(values.get("aud"), auth.audience)
    return Claims(values, None if expires is None else expires + auth.leeway)


def _instant(values: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2)."""
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or not 0 <= value <= _LAST_INSTANT:
        raise errors.Unauthenticated(f"the token's {name} is not a time in seconds since 1970")
    return float(value)


def _check_audience(audience: Any, accepted: Sequence[str]) -> None:
    """RFC 7519 section 4.1.3: also where `auth.audience` is empty, a token that names an audience is refused."""
    if audience is None and not accepted:
        return
    if not any(name in accepted for name in (audience if isinstance(audience, list) else [audience])):
        raise errors.Unauthenticated("the token is for another audience" if audience else "the token has no audience")


def text(values: Mapping[str, Any]) -> str:
    """Claims as JSON text for a setting of PostgreSQL. Raises errors.Unauthenticated for text it could not store."""
    try:
        written = jsontext.dump(dict(values))
        written.encode()
    except (UnicodeEncodeError, RecursionError):
        written = "\\u0000"
    if _NUL.search(written):
        raise errors.Unauthenticated(
            "the token's claims contain what PostgreSQL cannot store: the character NUL, or a lone surrogate"
        )
    return written
