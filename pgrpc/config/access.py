"""Who may call and hear what, and how often: roles, claims in channels' names, rates.

Owns what the schema cannot say of these keys. Must not know which roles the database has, nor how rates are kept.
"""

import re
from collections.abc import Mapping
from typing import Any

from pgrpc.config import faults, model, schema
from pgrpc.core.identity import claims
from pgrpc.core.limits import ratelimit

_SECONDS = {"s": 1, "min": 60}


class Access:
    """auth: the file's section, None where it has none."""

    def __init__(self, auth: model.Auth | None, found: faults.Faults) -> None:
        self._auth = auth
        self._faults = found

    def roles(self, given: Mapping[str, Any], place: model.Place) -> tuple[str, ...] | None:
        """The roles of one function or channel; None is everybody."""
        names = given.get("roles")
        if names is None:
            return None
        if self._auth is None:
            self._faults.add((*place, "roles"), "needs the section auth: without it nobody has a role")
        return tuple(name for name in names if name is not None)

    def name_fault(self, channel: model.Channel) -> str | None:
        """Why the claims in a channel's name are none, in words; None where they are, or there are none."""
        try:
            _, found = claims.split(channel.name)
        except claims.Malformed as error:
            return str(error)
        if found and self._auth is None:
            return "has a claim in it, so it needs the section auth; write {{ and }} for braces"
        return None

    def rates(self, given: Mapping[str, Any]) -> Mapping[tuple[str, str], ratelimit.Rate]:
        """limits.rates as (scope, kind) -> rate."""
        return {
            (scope, kind): rate
            for scope, kinds in given.items()
            for kind, text in (kinds or {}).items()
            if (rate := self.rate(text)) is not None
        }

    def rate(self, text: str | None) -> ratelimit.Rate | None:
        """Of a value that fits the schema."""
        if text is None:
            return None
        match = re.fullmatch(schema.definition("rate")["pattern"], text)
        assert match is not None
        return ratelimit.Rate(int(match[1]), _SECONDS[match[2]])
