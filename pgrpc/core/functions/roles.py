"""The roles of PostgreSQL that clients may have: what the database says of them, and which no client can have.

Owns the rules for roles; they run at start and for `check`, never during a call. Must not know tokens, nor where in
the file a role is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pgrpc.core.functions import privileges, suggestions

_NEVER_SET = frozenset(("role", "session_authorization", "client_encoding", "standard_conforming_strings"))
"""Settings that decide who runs a call and how its text travels: only the server sets these."""


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Role:
    """One row of pg_roles, as the login role sees it.

    may_set: the login role may SET ROLE to it. given: its own settings (ALTER ROLE ... SET) that anybody may set.
    timeout: seconds, its own statement_timeout; None where it has none, or "0". writes: the first
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
        return f"{name!r} is not a role: SET ROLE would give clients the login role {login.name}"
    if name == login.name:
        return f"{name} is the login role, which no client may have: it can become every other role"
    role = found.get(name)
    if role is None:
        close = suggestions.near(name, sorted(n for n, r in found.items() if n != login.name and r.may_set))
        return f"the database has no role {name}" + (f"; did you mean {close}?" if close else "")
    if role.is_superuser:
        return f"{name} is a superuser, which no client may be"
    if not role.may_set:
        return f"the login role {login.name} cannot become {name}: {grant(name, login)}"
    return None


def grant(name: str, login: Login) -> str:
    """SQL after which the login role may SET ROLE to this one."""
    return f"GRANT {privileges.quoted(name)} TO {privileges.quoted(login.name)};"


def granted(login: Login, found: Mapping[str, Role]) -> frozenset[str]:
    """The roles that were granted to the login role, without those that no client can have.

    A superuser has every role, PostgreSQL's own too, though none was granted to it: then there are none.
    """
    if login.is_superuser:
        return frozenset()
    return frozenset(n for n in found if not n.startswith("pg_") and fault(n, login, found) is None)


def warnings(role: Role) -> list[str]:
    """What is allowed, but probably not intended."""
    found = []
    if role.bypasses_row_security:
        found.append(f"{role.name} has BYPASSRLS: row security does not apply to its calls")
    if role.writes:
        found.append(
            f"{role.name}, the role of every client without a token, may write {_some(role.writes)}: "
            "revoke that, and let a SECURITY DEFINER function write"
        )
    return found


def login_warnings(login: Login) -> list[str]:
    """A function can switch to the login role by RESET ROLE, so its callers may do all that the login role may."""
    if login.is_superuser:
        return [f"{login.name} is a superuser, and a function can get its rights by RESET ROLE: log in as another role"]
    if login.owns:
        return [
            f"{login.name} owns {_some(login.owns)}, or inherits from the owner, and a function can get its rights by "
            "RESET ROLE: log in as a role that owns nothing, with NOINHERIT"
        ]
    return []


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")
