"""`dialects.eventserv` of config.yaml.

Owns what its keys mean beyond their schema. Must not know how anything is served.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from pgrpc import config
from pgrpc.compat.eventserv import posix_patterns
from pgrpc.core.channels import rules


@dataclass(frozen=True, slots=True)
class Eventserv:
    """url_base: where clients reach the server; "" for the address of their request. assets: a folder whose index.html
    is the front page. channels: the POSIX patterns of the channels that clients may receive; None for the native ones.
    """

    url_base: str = ""
    assets: Path | None = None
    channels: tuple[str, ...] | None = None


def read(given: config.Given) -> Eventserv:
    values = given.values
    assets = None if values.get("assets") is None else given.folder / values["assets"]
    if assets is not None and not os.path.isfile(assets / "index.html"):
        given.fault(("assets",), "this folder has no index.html: name one that has, relative to this file")
    listed = values.get("channels")
    if listed is None:
        return Eventserv(values.get("url_base", ""), assets)
    for index, pattern in enumerate(listed):
        if pattern is not None and (words := _fault(pattern)):
            given.fault(("channels", index), words)
    patterns = tuple(pattern for pattern in listed if pattern is not None)
    return Eventserv(values.get("url_base", ""), assets, patterns)


def _fault(pattern: str) -> str | None:
    """Why this is neither a pattern nor a name, in words; None where it is one."""
    try:
        posix_patterns.compile(pattern)
    except posix_patterns.Malformed as error:
        return f"is not a POSIX pattern: {error}"
    return None if posix_patterns.is_pattern(pattern) else rules.postgresql_fault(pattern)
