"""One token: text -> claims that hold now, or a refusal in words.

Owns what is asked of a token: its size, form, signature, times, audience and issuer (RFC 7519, with the advice of RFC
8725). PyJWT verifies the signature; the claims are read here, because their numbers must keep their digits on the way
to PostgreSQL. Must not know roles, nor where tokens and keys come from. A refusal never holds any part of a token.
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
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_LAST_INSTANT = 253_402_300_799
"""The end of the year 9999, in seconds since the epoch."""
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

_signatures = jwt.PyJWS()


class UnknownKey(errors.Unauthenticated):
    """Newer keys may help."""


@dataclass(frozen=True, slots=True)
class Claims:
    """values: numbers are int or Decimal. expires: seconds since the epoch, the leeway included."""

    values: Mapping[str, Any]
    expires: float | None


def verify(token: str, known: Sequence[keys.Key], taken: Collection[str], asked: config.Auth, now: float) -> Claims:
    """taken: the algorithms that are. now: seconds since the epoch.

    Raises errors.Unauthenticated; of it UnknownKey where no key is for this token.
    """
    if len(token) > MAX_LENGTH:
        raise errors.Unauthenticated(f"the token has {len(token)} characters; at most {MAX_LENGTH} are taken")
    if not _FORM.fullmatch(token):
        raise errors.Unauthenticated("the token is not a JSON Web Token: three parts of base64url with dots between")
    return _holding(_signed(token, known, taken), asked, now)


def _signed(token: str, known: Sequence[keys.Key], taken: Collection[str]) -> bytes:
    """The payload, once a key is found that has signed it."""
    try:
        header = _signatures.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise errors.Unauthenticated("the token's header cannot be read, or asks for what is not known here") from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in taken:
        raise errors.Unauthenticated("the token is signed by an algorithm that is not taken here")
    fitting = keys.fitting(known, algorithm, header.get("kid"))
    if not fitting:
        raise UnknownKey("the token is signed with a key that is not known here")
    for key in fitting:
        try:
            payload: bytes = _signatures.decode_complete(token, key.material, [algorithm])["payload"]
        except jwt.InvalidTokenError:
            continue
        return payload
    raise errors.Unauthenticated("the token's signature is wrong")


def _holding(payload: bytes, asked: config.Auth, now: float) -> Claims:
    try:
        values = jsontext.parse(payload.decode())
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise errors.Unauthenticated("the token's claims are not a JSON object")
    expires, begins, made = (_instant(values, name) for name in ("exp", "nbf", "iat"))
    if expires is not None and now >= expires + asked.leeway:
        raise errors.Unauthenticated(f"the token expired {now - expires:.0f} s ago")
    for start in (begins, made):
        if start is not None and now < start - asked.leeway:
            raise errors.Unauthenticated(f"the token is not valid yet: it will be in {start - now:.0f} s")
    if asked.issuer is not None and values.get("iss") != asked.issuer:
        raise errors.Unauthenticated("the token is of another issuer")
    _check_audience(values.get("aud"), asked.audience)
    return Claims(values, None if expires is None else expires + asked.leeway)


def _instant(values: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2)."""
    found = values.get(name)
    if found is None:
        return None
    if not isinstance(found, int | Decimal) or isinstance(found, bool) or not 0 <= found <= _LAST_INSTANT:
        raise errors.Unauthenticated(f"the token's {name} is not a time in seconds since 1970")
    return float(found)


def _check_audience(found: Any, asked: Sequence[str]) -> None:
    """RFC 7519 section 4.1.3: a token for others is refused, also by one who has no name of his own."""
    if found is None and not asked:
        return
    if not any(name in asked for name in (found if isinstance(found, list) else [found])):
        raise errors.Unauthenticated("the token is for another audience" if found else "the token names no audience")


def text(values: Mapping[str, Any]) -> str:
    """Claims as JSON text for a setting of PostgreSQL. Raises errors.Unauthenticated for what it could not read."""
    try:
        made = jsontext.dump(dict(values))
        made.encode()
    except (UnicodeEncodeError, RecursionError):
        made = "\\u0000"
    if _NUL.search(made):
        raise errors.Unauthenticated("the token's claims hold what PostgreSQL cannot store: NUL, or half a character")
    return made
