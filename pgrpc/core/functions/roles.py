"""The roles of PostgreSQL that clients' calls may run as: what the database says of them, and which are never lent.

Owns the rules for roles; they run at start and for `check`, never during a call. Must not know tokens, SQL, nor where
in the file a role is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

_NEVER_SET = frozenset(("role", "session_authorization", "client_encoding", "standard_conforming_strings"))
"""Settings that say who runs a call, and how its text travels: those are the server's."""


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Role:
    """One row of pg_roles, as the login role sees it.

    may_set: the login role may SET ROLE to it. given: its own settings (ALTER ROLE ... SET) that anybody may set.
    timeout: seconds, its own statement_timeout; None where it has none, or none at all ("0"). writes: the first
    tables that it may write, where that was asked.
    """

    name: str
    may_set: bool = True
    is_superuser: bool = False
    bypasses_row_security: bool = False
    given: Mapping[str, str] = field(default_factory=_nothing)
    timeout: float | None = None
    writes: tuple[str, ...] = ()

    @property
    def settings(self) -> Mapping[str, str]:
        """What each of its calls has set, beside the timeout."""
        return {k: v for k, v in self.given.items() if k not in _NEVER_SET and k != "statement_timeout"}


@dataclass(frozen=True, slots=True)
class Login:
    """The role that the server connects as. owns: the first tables whose owner's rights it has."""

    name: str
    is_superuser: bool = False
    owns: tuple[str, ...] = ()


def fault(name: str, login: Login, found: Mapping[str, Role]) -> str | None:
    """Why no client may have this role, in words; None where one may."""
    if name in ("", "none"):
        return f"{name!r} is no role: SET ROLE would give clients the login role {login.name}"
    if name == login.name:
        return f"{name} is the login role, which clients may not have: it can become every other role"
    role = found.get(name)
    if role is None:
        return f"the database has no role {name} (names are case-sensitive here)"
    if role.is_superuser:
        return f"{name} is a superuser, which clients may not be"
    if not role.may_set:
        return f"the login role {login.name} may not become {name} (GRANT {name} TO {login.name})"
    return None


def granted(login: Login, found: Mapping[str, Role]) -> frozenset[str]:
    """The roles that were granted to the login role, without those that are never lent.

    Of a superuser that would be every role, PostgreSQL's own too: none was granted to it.
    """
    if login.is_superuser:
        return frozenset()
    return frozenset(n for n in found if not n.startswith("pg_") and fault(n, login, found) is None)


def doubts(role: Role) -> list[str]:
    """What is allowed, and hardly meant."""
    found = []
    if role.bypasses_row_security:
        found.append(f"{role.name} has BYPASSRLS: row security does not hold for its calls")
    if role.writes:
        found.append(
            f"{role.name}, which everybody has without a token, may write {_some(role.writes)}: "
            "let a function write for it, SECURITY DEFINER"
        )
    return found


def login_doubts(login: Login) -> list[str]:
    """A function can take the login role by RESET ROLE: what that one may do, its callers may."""
    if login.is_superuser:
        return [f"{login.name} is a superuser, and a function can take its rights by RESET ROLE: use a role of its own"]
    if login.owns:
        return [
            f"{login.name} owns {_some(login.owns)}, or inherits from the owner, and a function can take its rights by "
            "RESET ROLE: use a role that owns nothing, NOINHERIT"
        ]
    return []


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")
