"""`dialects.psqlisten2websocket` of config.yaml.

Owns what its keys mean beyond their schema. Must not know how anything is served.
"""

from dataclasses import dataclass

from pgrpc import config
from pgrpc.core.channels import rules
from pgrpc.core.identity import identity

_NOT_FOR_EVERYONE = (
    "this channel is not listed under channels, or has roles or authorize there: list it for everyone, or name another"
)


@dataclass(frozen=True, slots=True)
class Psqlisten2websocket:
    """channel: the one that every client receives."""

    channel: str = "events"


def read(given: config.Given) -> Psqlisten2websocket:
    value = Psqlisten2websocket(**given.values)
    if given.channels is not None:
        rule = rules.RawChannels(given.channels).rule(value.channel, identity.NOBODY)
        if isinstance(rule, rules.Refusal) or rule.authorize is not None:
            given.fault(("channel",), _NOT_FOR_EVERYONE)
    return value
