"""A token -> an identity, quickly the second time; no token -> the anonymous one.

Owns the keys that are in force, what was verified already, and which role and settings a token gives. Must not know
how a token came, nor which roles the database has: it is told by `permit`.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pgrpc import config, observe
from pgrpc.auth import keys, keyset, tokens
from pgrpc.core.identity import claims, identity
from pgrpc.core.wire import errors

_REMEMBERED = 1000
"""Tokens that need not be verified again: many clients come back at one moment."""

Fetch = Callable[[str], Awaitable[bytes]]
"""What is at an address, bounded in size and time. Raises OSError, whose str() says why not."""


class Authenticator:
    """fetch: of the key set's address. clock: seconds since the epoch. Raises keys.BadKey."""

    def __init__(
        self,
        auth: config.Auth,
        fetch: Fetch,
        observer: observe.Observer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._auth = auth
        self._clock = clock
        self._given = keys.given(auth)
        self._taken = keys.taken(auth, self._given)
        self._set = None
        if auth.jwks is not None:
            source = _source(auth.jwks, fetch)
            self._set = keyset.KeySet(source, auth.algorithms, observer, self._forget)
        self._roles: frozenset[str | None] | None = None
        self._known: OrderedDict[bytes, identity.Identity] = OrderedDict()
        self._anonymous = None
        if auth.anonymous_role is not None:
            self._anonymous = _identity({}, auth.anonymous_role, None)

    def permit(self, roles: Collection[str]) -> None:
        """The roles that a token may name, as file and database have it; the anonymous one always, which everybody has.

        Until it is told, no token is taken.
        """
        self._roles = frozenset((*roles, self._auth.anonymous_role)) - {"", "none"}  # SET ROLE none: the login role
        self._forget()

    async def run(self) -> None:
        """Keep the keys fresh, for ever."""
        if self._set is not None:
            await self._set.run()

    async def reload(self, auth: config.Auth) -> None:
        """Take the keys that the section has now, and fetch a key set anew. Raises keys.BadKey: the old ones stay."""
        if auth.jwks != self._auth.jwks:
            raise keys.BadKey("is of another kind, or in another place, than before: restart the server")
        self._given = keys.given(auth)
        self._taken = keys.taken(auth, self._given)
        self._forget()
        if self._set is not None:
            await self._set.renew()

    async def authenticate(self, token: str | None) -> identity.Identity:
        """Raises errors.Unauthenticated, errors.Unavailable."""
        if token is None:
            if self._anonymous is None:
                raise errors.Unauthenticated("a token is needed")
            return self._anonymous
        now = self._clock()
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = self._known.get(digest)
        if found is not None and (found.expires is None or now < found.expires):
            self._known.move_to_end(digest)
            return found
        found = self._of(await self._verified(token, now))
        self._known[digest] = found
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def _verified(self, token: str, now: float) -> tokens.Claims:
        if self._set is None:
            return self._verify(token, self._given, now)
        if not self._set.keys:
            await self._set.renewed()
        if not self._set.keys:
            raise errors.Unavailable("the keys that tokens are verified with cannot be had; try again")
        try:
            return self._verify(token, self._set.keys, now)
        except tokens.UnknownKey:
            await self._set.renewed()
        return self._verify(token, self._set.keys, now)

    def _verify(self, token: str, known: Sequence[keys.Key], now: float) -> tokens.Claims:
        return tokens.verify(token, known, self._taken, self._auth, now)

    def _of(self, verified: tokens.Claims) -> identity.Identity:
        if self._roles is None:
            raise errors.Unavailable("the database's roles are not known yet; try again")
        role = claims.lookup(verified.values, self._auth.role_claim)
        if role is None:
            role = self._auth.anonymous_role
            if role is None:
                raise errors.Unauthenticated("the token names no role")
        elif not isinstance(role, str) or role not in self._roles:
            raise errors.Unauthenticated("the token names a role that it may not have")
        return _identity(verified.values, role, verified.expires)

    def _forget(self) -> None:
        self._known.clear()


def _source(jwks: str | Path, fetch: Fetch) -> keyset.Fetch:
    return keyset.source(jwks) if isinstance(jwks, Path) else lambda: fetch(jwks)


def _identity(values: Mapping[str, Any], role: str, expires: float | None) -> identity.Identity:
    """The settings are those of PostgREST: all claims, with the role among them."""
    known = {**values, "role": role}
    settings = MappingProxyType({"request.jwt.claims": tokens.text(known)})
    return identity.Identity(role, MappingProxyType(known), settings, expires)


async def faults(auth: config.Auth, fetch: Fetch | None = None) -> list[tuple[tuple[str, ...], str]]:
    """What is wrong with the keys that the file gives or names: the place in the file, and words.

    fetch: where also an address is to be tried.
    """
    key = "secret" if auth.secret is not None else "public_key" if auth.public_key is not None else "jwks"
    try:
        keys.given(auth)
        if isinstance(auth.jwks, Path):
            keys.key_set(await keyset.source(auth.jwks)(), auth.algorithms)
        elif auth.jwks is not None and fetch is not None:
            keys.key_set(await fetch(auth.jwks), auth.algorithms)
    except (OSError, keys.BadKey) as error:
        return [(("auth", key), str(error))]
    return []
