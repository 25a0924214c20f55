"""`dialects.postgresql2websocket` of config.yaml.

Owns what its keys mean beyond their schema. Must not know how anything is served.
"""

from dataclasses import dataclass

from pgrpc import config
from pgrpc.core.channels import globs, rules


@dataclass(frozen=True, slots=True)
class Postgresql2websocket:
    """channels: the names and globs of the channels that clients may receive; None for the native ones."""

    channels: tuple[str, ...] | None = None


def read(given: config.Given) -> Postgresql2websocket:
    listed = given.values.get("channels")
    if listed is None:
        return Postgresql2websocket()
    for index, name in enumerate(listed):
        if name is not None and not globs.is_pattern(name) and (words := rules.postgresql_fault(name)):
            given.fault(("channels", index), words)
    return Postgresql2websocket(tuple(name for name in listed if name is not None))
