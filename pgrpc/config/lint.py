"""What a configuration file may say but probably does not mean.

Owns these warnings, as far as the file alone shows them. Must not know what the database says.
"""

import ipaddress
import re
from collections.abc import Iterator

from pgrpc.config import model
from pgrpc.core.identity import claims

_IDENTIFIER = re.compile(r"[A-Za-z_\u0080-\U0010ffff*][\w$*]*")
"""What NOTIFY takes without quotes, and `*` in it: https://www.postgresql.org/docs/current/sql-syntax-lexical.html"""


def warnings(config: model.Config) -> list[tuple[model.Place, str]]:
    """Each with the place that it is about."""
    return [*_nothing_listed(config), *_open_to_everybody(config), *_folded(config)]


def _nothing_listed(config: model.Config) -> Iterator[tuple[model.Place, str]]:
    sections = {"functions", "channels"}
    if config.functions or config.channels or config.dialects or config.unknown & {*sections, "dialects"}:
        return
    if any(len(place) > 1 and place[0] in sections for place in config.marks.positions):  # entries that are faulty
        return
    yield (), "nothing is listed, so clients can call and receive nothing: list functions or channels"


def _open_to_everybody(config: model.Config) -> Iterator[tuple[model.Place, str]]:
    is_own = not config.marks.names  # the settings of a server that we replace have no auth that could be added
    if config.auth is not None or config.unknown & {"auth", "server"} or not is_own:
        return
    if not _is_every_interface(config.server.host):
        return
    yield (
        ("server", "host"),
        f"{config.server.host} accepts connections from every network, and without the section auth every client may "
        "call the listed functions: add auth, or write host: 127.0.0.1 and put a proxy in front",
    )


def _is_every_interface(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _folded(config: model.Config) -> Iterator[tuple[model.Place, str]]:
    names: list[tuple[model.Place, str]] = [(("channels", entry.name), entry.name) for entry in config.channels]
    if config.auth is not None and config.auth.control_channel is not None:
        names.append((("auth", "control_channel"), config.auth.control_channel))
    return ((place, _folding(name)) for place, name in names if _is_folded(name))


def _folding(name: str) -> str:
    folded = re.sub("[A-Z]+", lambda match: match[0].lower(), name)
    return (
        f"has capital letters, but NOTIFY {name} without quotes sends to {folded}: rename the channel to {folded}, or "
        f"always write NOTIFY \"{name}\" or pg_notify('{name}', ...)"
    )


def _is_folded(name: str) -> bool:
    """Whether PostgreSQL may change such a name: it folds ASCII capitals where there are no quotes."""
    try:
        texts, _ = claims.split(name)
    except claims.Malformed:  # a name in another syntax, where braces mean nothing
        texts = [name]
    plain = "*".join(texts)
    return re.search("[A-Z]", plain) is not None and _IDENTIFIER.fullmatch(plain) is not None
