"""The statements before a call in its message: reset the session, then set the caller's role, claims and timeout.

Owns which settings a call runs with, and its timeout. Must not know calls' SQL, connections or tasks. Each prologue is
complete: it depends on nothing that an earlier call may have set.
"""

from collections.abc import Mapping

from pgrpc.core.functions import catalog, roles, routines
from pgrpc.core.identity import identity
from pgrpc.postgres import quoting

RESET = "reset all; reset session authorization; reset role; "
_START = (
    # `commit` makes the next transaction begin with the session's default_transaction_*, not an earlier call's.
    f"{RESET}begin; commit; "
)


class Prologues:
    """The prologues for the roles given to `learn`. default_timeout: seconds, for calls and roles without their own."""

    def __init__(self, default_timeout: float) -> None:
        self._default_timeout = default_timeout
        self._timeouts: Mapping[str | None, float] = {}
        self._local: Mapping[str | None, str] = {}
        self._lasting: Mapping[str | None, str] = {}
        self._plain: dict[tuple[float, str | None], str] = {}  # (timeout, role) -> of_transaction without settings
        self.hook = ""
        """A statement that runs before each call, as its role, in its transaction; "" where there is none."""

    def learn(self, known: Mapping[str, roles.Role], hook: routines.Routine | None) -> None:
        """known: every role that calls may run as. hook: the function to call before each of them."""
        self._timeouts = {name: role.timeout for name, role in known.items() if role.timeout is not None}
        self._plain.clear()
        self._local = {name: _local(role.settings) for name, role in known.items()}
        self._lasting = {name: _set_config(role.settings, "false") for name, role in known.items()}
        if hook is not None:
            name = f"{quoting.plain_identifier(hook.schema)}.{quoting.plain_identifier(hook.name)}"
            self.hook = f"select {name}(); "

    def timeout(self, call: catalog.Call, caller: identity.Identity) -> float:
        """Seconds: the function's own, else the role's, else the default."""
        return self._timeouts.get(caller.role, self._default_timeout) if call.timeout is None else call.timeout

    def of_transaction(self, call: catalog.Call, caller: identity.Identity) -> str:
        """For a call in the same message: SET LOCAL, so it ends with the transaction."""
        if caller.settings:
            return self._of_transaction(call, caller)
        key = self.timeout(call, caller), caller.role
        known = self._plain.get(key)
        if known is None:
            known = self._plain[key] = self._of_transaction(
                call, caller
            )  # bounded: one for each role and timeout in the file
        return known

    def _of_transaction(self, call: catalog.Call, caller: identity.Identity) -> str:
        return f"{_START}{self._local.get(caller.role, '')}{self._own(call, caller, 'set local')}"

    def of_session(self, call: catalog.Call, caller: identity.Identity) -> str:
        """For a procedure's CALL in the next message, which may commit: SET, until the next prologue."""
        return f"{_START}{self._lasting.get(caller.role, '')}{self._own(call, caller, 'set')}"

    def _own(self, call: catalog.Call, caller: identity.Identity, how: str) -> str:
        text = f"{how} statement_timeout = {max(1, round(self.timeout(call, caller) * 1000))}; "
        for name, value in caller.settings.items():
            text += f"{how} {name} = {quoting.plain_literal(value)}; "
        # The role comes last: it may lack the privilege to set what is set before it.
        return text if caller.role is None else f"{text}{how} role = {quoting.plain_literal(caller.role)}; "


_DEFAULT = "default_transaction_"


def _local(settings: Mapping[str, str]) -> str:
    """A role's settings for the transaction that has begun: default_transaction_* would only apply to the next one."""
    of_transaction = {name: value for name, value in settings.items() if name.startswith(_DEFAULT)}
    text = ""
    for name, value in of_transaction.items():  # first: they can only be set before any query
        text += f"set local transaction_{name.removeprefix(_DEFAULT)} = {quoting.plain_literal(value)}; "
    return text + _set_config({n: v for n, v in settings.items() if n not in of_transaction}, "true")


def _set_config(settings: Mapping[str, str], is_local: str) -> str:
    # set_config() accepts a value as ALTER ROLE stores it; SET would read a list, such as search_path, as one name.
    calls = (
        f"pg_catalog.set_config({quoting.plain_literal(name)}, {quoting.plain_literal(value)}, {is_local})"
        for name, value in settings.items()
    )
    text = ", ".join(calls)
    return f"select {text}; " if text else ""
