"""What is valid in the file, but probably not what its author wants.

Owns the warnings that need no database. Must not know how they are printed.
"""

import re
from collections.abc import Iterator

import pgrpc.config as configuration
from pgrpc.check import findings

_EVERYWHERE = ("0.0.0.0", "::", "")


def of_file(config: configuration.Config) -> Iterator[findings.Finding]:
    """In no particular order."""
    # The settings of a server that we replace have no auth that could be added.
    is_own = not config.marks.names and not config.unknown & {"auth", "server"}
    if is_own and config.server.host in _EVERYWHERE and config.auth is None:
        words = "there is no auth, so anyone who can reach this port can call the functions and receive the channels"
        yield ("server", "host"), f"{words}: write host: 127.0.0.1, or add auth"
    for channel in config.channels:
        if (folded := _folded(channel.name)) is not None:
            yield ("channels", channel.name), folded


def _folded(name: str) -> str | None:
    """Of a channel whose name PostgreSQL would change to lower case where SQL has it without quotes."""
    literal = re.sub(r"\{\w*\}|[*?]", "", name)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", literal) or literal == literal.lower():
        return None
    if literal != name:
        return "NOTIFY without double quotes changes capital letters in a channel's name to small ones: use pg_notify"
    return (
        f"NOTIFY {name} notifies the channel {name.lower()}: write NOTIFY \"{name}\", or use pg_notify('{name}', ...)"
    )
