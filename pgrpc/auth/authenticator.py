"""Authenticates clients: a token -> an identity, with a cache; no token -> the anonymous identity.

Owns the current keys, the cache of verified tokens, and which role and settings a token gives. Must not know how a
token was sent, nor which roles the database has: `permit` sets them.
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

_CACHE_SIZE = 1000
"""Verified tokens that are kept: after an outage many clients reconnect at once."""

Fetch = Callable[[str], Awaitable[bytes]]
"""URL -> the bytes there, bounded in size and time. Raises OSError, whose str() says why."""


class Authenticator:
    """fetch: gets the key set from its URL. clock: seconds since the epoch. Raises keys.BadKey."""

    def __init__(
        self,
        auth: config.Auth,
        fetch: Fetch,
        observer: observe.Observer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._auth = auth
        self._clock = clock
        self._configured = keys.configured(auth)
        self._algorithms = keys.accepted_algorithms(auth, self._configured)
        self._set = None
        if auth.jwks is not None:
            source = _source(auth.jwks, fetch)
            self._set = keyset.KeySet(source, auth.algorithms, observer, self._forget)
        self._roles: frozenset[str | None] | None = None
        self._verified: OrderedDict[bytes, identity.Identity] = OrderedDict()
        self._anonymous = None
        if auth.anonymous_role is not None:
            self._anonymous = _identity({}, auth.anonymous_role, None)

    def permit(self, roles: Collection[str]) -> None:
        """Set the roles that a token may name; the anonymous role is always one of them, as every client has it.

        Before the first call no token is accepted.
        """
        self._roles = frozenset((*roles, self._auth.anonymous_role)) - {"", "none"}  # SET ROLE none: the login role
        self._forget()

    async def run(self) -> None:
        """Keep the keys fresh, for ever."""
        if self._set is not None:
            await self._set.run()

    async def reload(self, auth: config.Auth) -> None:
        """Use the keys of this `auth` section, and fetch the key set again. Raises keys.BadKey: the old ones stay."""
        if auth.jwks != self._auth.jwks:
            raise keys.BadKey("has changed its kind or its location: restart the server")
        self._configured = keys.configured(auth)
        self._algorithms = keys.accepted_algorithms(auth, self._configured)
        self._forget()
        if self._set is not None:
            await self._set.renew()

    async def authenticate(self, token: str | None) -> identity.Identity:
        """The identity of this token; of an anonymous client for None.

        Raises errors.Unauthenticated, errors.Unavailable.
        """
        if token is None:
            if self._anonymous is None:
                raise errors.Unauthenticated("a token is required")
            return self._anonymous
        now = self._clock()
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        client = self._verified.get(digest)
        if client is not None and (client.expires is None or now < client.expires):
            self._verified.move_to_end(digest)
            return client
        client = self._identity(await self._claims(token, now))
        self._verified[digest] = client
        if len(self._verified) > _CACHE_SIZE:
            self._verified.popitem(last=False)
        return client

    async def _claims(self, token: str, now: float) -> tokens.Claims:
        if self._set is None:
            return self._verify(token, self._configured, now)
        if not self._set.keys:
            await self._set.renewed()
        if not self._set.keys:
            raise errors.Unavailable("the keys that verify tokens are unavailable; try again")
        try:
            return self._verify(token, self._set.keys, now)
        except tokens.UnknownKey:
            await self._set.renewed()
        return self._verify(token, self._set.keys, now)

    def _verify(self, token: str, known: Sequence[keys.Key], now: float) -> tokens.Claims:
        return tokens.verify(token, known, self._algorithms, self._auth, now)

    def _identity(self, verified: tokens.Claims) -> identity.Identity:
        if self._roles is None:
            raise errors.Unavailable("the database's roles are not known yet; try again")
        role = claims.lookup(verified.values, self._auth.role_claim)
        if role is None:
            role = self._auth.anonymous_role
            if role is None:
                raise errors.Unauthenticated("the token has no role")
        elif not isinstance(role, str) or role not in self._roles:
            raise errors.Unauthenticated("the token's role is not allowed")
        return _identity(verified.values, role, verified.expires)

    def _forget(self) -> None:
        self._verified.clear()


def _source(jwks: str | Path, fetch: Fetch) -> keyset.Fetch:
    return keyset.source(jwks) if isinstance(jwks, Path) else lambda: fetch(jwks)


def _identity(values: Mapping[str, Any], role: str, expires: float | None) -> identity.Identity:
    """The settings are those of PostgREST: all claims and the role."""
    all_claims = {**values, "role": role}
    settings = MappingProxyType({"request.jwt.claims": tokens.text(all_claims)})
    return identity.Identity(role, MappingProxyType(all_claims), settings, expires)


async def faults(auth: config.Auth, fetch: Fetch | None = None) -> list[tuple[tuple[str, ...], str]]:
    """What is wrong with the keys of the file: for each fault its place in the file, and a message.

    fetch: gets the key set from its URL; None leaves that out.
    """
    key = "secret" if auth.secret is not None else "public_key" if auth.public_key is not None else "jwks"
    try:
        keys.configured(auth)
        if isinstance(auth.jwks, Path):
            keys.key_set(await keyset.source(auth.jwks)(), auth.algorithms)
        elif auth.jwks is not None and fetch is not None:
            keys.key_set(await fetch(auth.jwks), auth.algorithms)
    except (OSError, keys.BadKey) as error:
        return [(("auth", key), str(error))]
    return []
