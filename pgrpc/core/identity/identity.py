"""Who a client is: the role that its calls run as, its claims, and until when.

Owns the identity as a value. Must not know how a token is read or checked, nor SQL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """role: of PostgreSQL; None is the role that the server connects as.

    claims: of the token, as JSON has them. settings: what is set for the transaction of each call, such as
    request.jwt.claims; the names are ours, the values any text without NUL. expires: seconds since the epoch.
    """

    role: str | None = None
    claims: Mapping[str, Any] = field(default_factory=_nothing, repr=False)
    settings: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    expires: float | None = None

    @property
    def subject(self) -> str | None:
        """The claim `sub` (RFC 7519 section 4.1.2)."""
        found = self.claims.get("sub")
        return found if isinstance(found, str) else None

    def having(self, settings: Mapping[str, str]) -> "Identity":
        """The same with more settings."""
        return replace(self, settings=MappingProxyType({**self.settings, **settings}))


NOBODY = Identity()
"""Where the file asks for no identity: calls run as the role that the server connects as."""


@dataclass(frozen=True, slots=True)
class LoginPolicy:
    """What holds where clients log in. Seconds.

    warn_before: how long before its identity ends a client is warned. timeout: how long a client that must log in may
    take.
    """

    warn_before: float
    timeout: float
