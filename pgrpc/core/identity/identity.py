"""Who a client is: the role of its calls, its claims, and when that expires.

Owns the identity as a value. Must not know how a token is verified, nor SQL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """role: of PostgreSQL; None: the role that the server connects as.

    claims: of the token, as JSON values. settings: set in the transaction of each call, such as request.jwt.claims; the
    names are ours, the values any text without NUL. expires: seconds since the epoch; None: never.
    """

    role: str | None = None
    claims: Mapping[str, Any] = field(default_factory=_nothing, repr=False)
    settings: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    expires: float | None = None

    @property
    def subject(self) -> str | None:
        """The claim `sub` (RFC 7519 section 4.1.2)."""
        subject = self.claims.get("sub")
        return subject if isinstance(subject, str) else None

    def with_settings(self, settings: Mapping[str, str]) -> "Identity":
        """The same identity with these settings added."""
        return replace(self, settings=MappingProxyType({**self.settings, **settings}))


NOBODY = Identity()
"""Every client, if the file has no `auth` section: calls run as the role that the server connects as."""


@dataclass(frozen=True, slots=True)
class LoginPolicy:
    """When clients are warned and closed. Both in seconds.

    warn_before: how long before its identity expires a client is warned. timeout: how long a client that must log in
    may take.
    """

    warn_before: float
    timeout: float
