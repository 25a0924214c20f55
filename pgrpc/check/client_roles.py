"""Which roles clients can have by the file and the database, and what is wrong with those that the file names.

Owns what the file's roles mean together: auth.roles, the anonymous role, the roles of functions and channels. Must not
know what the roles may execute.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import pgrpc.config as configuration
from pgrpc.check import findings
from pgrpc.core.functions import privileges, roles, suggestions


def named(config: configuration.Config) -> Iterator[tuple[findings.Place, str]]:
    """Every role that the file names."""
    auth = config.auth
    if auth is None:
        return
    if auth.anonymous_role is not None:
        yield ("auth", "anonymous_role"), auth.anonymous_role
    for index, name in enumerate(auth.roles or ()):
        yield ("auth", "roles", index), name
    for function in config.functions:
        for name in sorted(function.roles or ()):
            yield ("functions", function.method, "roles"), name
    for channel in config.channels:
        for name in sorted(channel.roles or ()):
            yield ("channels", channel.name, "roles"), name


def possible(
    auth: configuration.Auth, login: roles.Login, known: Mapping[str, roles.Role]
) -> tuple[frozenset[str], frozenset[str]]:
    """The roles that a token may name; and with the anonymous one all that clients can have."""
    if auth.roles is not None:
        of_tokens = frozenset(name for name in auth.roles if roles.fault(name, login, known) is None)
    else:
        of_tokens = roles.granted(login, known)
    anonymous = auth.anonymous_role
    if anonymous is None or roles.fault(anonymous, login, known) is not None:
        return of_tokens, of_tokens
    return of_tokens, of_tokens | {anonymous}


def faults(
    auth: configuration.Auth,
    listed: Sequence[tuple[findings.Place, str]],
    login: roles.Login,
    known: Mapping[str, roles.Role],
    clients: Collection[str],
) -> Iterator[findings.Finding]:
    """listed: by `named`. clients: the roles that they can have."""
    if auth.roles is None and login.is_superuser:
        words = f"is required: {login.name} is a superuser, which has every role; list the roles that tokens may name"
        yield ("auth", "roles"), words
    in_auth = {auth.anonymous_role, *(auth.roles or ())}
    found = []
    for place, name in listed:
        if place[0] == "auth":
            found.append((place, roles.fault(name, login, known)))
        elif name not in in_auth:  # otherwise it is judged where auth names it
            found.append((place, _impossible(auth, name, login, known, clients)))
    yield from ((place, words) for place, words in found if words is not None)


def _impossible(
    auth: configuration.Auth,
    name: str,
    login: roles.Login,
    known: Mapping[str, roles.Role],
    clients: Collection[str],
) -> str | None:
    """Why no client can have the role that a function or channel lists; None where one can."""
    if name in clients:
        return None
    words = f"no client can have the role {name}"
    if auth.roles is None:
        return (
            roles.fault(name, login, known) or f"{words}: list it in auth.roles, with all the other roles for clients"
        )
    lists = f"auth.roles lists {privileges.listed(sorted(auth.roles))}"
    reason = roles.fault(name, login, known)
    if reason is None:
        return f"{words}: add it to auth.roles ({lists})"
    if reason.endswith(roles.grant(name, login)):
        return f"{words}: add it to auth.roles ({lists}), and {reason}"
    if close := suggestions.near(name, sorted(clients)):
        return f"{words}; did you mean {close}? ({lists})"
    return f"{words}: {reason}; write a role that clients can have ({lists})"


def warnings(
    config: configuration.Config,
    listed: Sequence[tuple[findings.Place, str]],
    login: roles.Login,
    known: Mapping[str, roles.Role],
    clients: Collection[str],
) -> Iterator[findings.Finding]:
    """Of the roles that clients can have, and of the login role."""
    places = {name: place for place, name in reversed(listed)}
    for name in sorted(clients):
        if name in known:
            for words in roles.warnings(known[name]):
                yield places.get(name, ("auth", "roles")), words
    for words in roles.login_warnings(login):
        yield ("database", "dsn"), words
    if config.auth is not None and config.auth.cookie is not None and "*" in config.server.allowed_origins:
        words = '"*" lets any page connect, but auth.cookie is only read from origins that are listed by name'
        yield ("server", "allowed_origins"), words
