"""A dialect's own list of channels, for clients to whom a channel's name has no other meaning.

Owns which names such a list allows, and which of its patterns our own clients can have too. Must not know how a pattern
is written: its dialect says.
"""

import re
from collections.abc import Iterable

from pgrpc.core.channels import globs, rules
from pgrpc.core.identity import identity


class Patterns:
    """The channels whose names match one of these patterns: every client may receive them.

    patterns: each as it is written, and compiled for `fullmatch`. reserved: names that no client may receive, such as
    auth.control_channel.
    """

    def __init__(self, patterns: Iterable[tuple[str, re.Pattern[str]]], reserved: Iterable[str] = ()) -> None:
        self._possible = rules.RawChannels([rules.Entry("**")], reserved)
        self._patterns = [(pattern, rules.Rule(name)) for name, pattern in patterns]

    def rule(self, name: str, client: identity.Identity) -> rules.Rule | rules.Refusal:
        """The first pattern that matches counts."""
        possible = self._possible.rule(name, client)
        if isinstance(possible, rules.Refusal):
            return possible
        for pattern, rule in self._patterns:
            if pattern.fullmatch(name):
                return rule
        return rules.Refusal(rules.NOT_LISTED, "not listed in the file")


def native(glob: str) -> str | None:
    """The entry of `channels` for the same names; None where our own clients cannot receive them.

    glob: in our own syntax, but braces mean nothing in it.
    """
    if glob.startswith(("rpc.", "$/")) or glob in rules.CLIENTS_OWN:
        return None
    if not globs.is_pattern(glob) and rules.postgresql_fault(glob) is not None:
        return None
    return glob.replace("{", "{{").replace("}", "}}")
