"""What in `functions` and `channels` depends on the section `auth`: roles, and claims in channel names.

Owns that these need the section. Must not know which roles the database has.
"""

from collections.abc import Mapping
from typing import Any

from pgrpc.config import faults, model
from pgrpc.core.identity import claims


class Access:
    """auth: the file's section, None where it has none."""

    def __init__(self, auth: model.Auth | None, found: faults.Faults) -> None:
        self._without_auth = auth is None and found.sound("auth")
        self._faults = found

    def roles(self, given: Mapping[str, Any], place: model.Place) -> tuple[str, ...] | None:
        """The roles of one function or channel; None is everybody."""
        names: tuple[str, ...] | None = given.get("roles")
        if names is not None and self._without_auth:
            self._faults.reject((*place, "roles"), "needs the section auth: without it clients have no roles")
        return names

    def name_fault(self, channel: model.Channel) -> str | None:
        """What is wrong with the claims in a channel's name; None where nothing is."""
        try:
            _, found = claims.split(channel.name)
        except claims.Malformed as error:
            return str(error)
        if found and self._without_auth:
            return "contains a claim, so it needs the section auth; write {{ and }} for literal braces"
        return None
