"""(method, params) -> a Call, or an error: the functions that can be called.

Owns which call is meant, and whether its parameters are valid. Must not know how a call is run, nor why a function is
listed. Everything that reaches the database has passed here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple

from pgrpc.core.functions import argument_text, routines, signatures
from pgrpc.core.limits import ratelimit
from pgrpc.core.validation import budget, schemas
from pgrpc.core.wire import errors, jsonrpc, jsontext


class Call(NamedTuple):
    """A call that may be made.

    names: the arguments given, in the order of the signature. arguments: their values: each as its text (None for NULL)
    where all are scalars, else one JSON object of all.
    timeout: seconds; None where it has none of its own. numbers: how int8 and numeric come back. reset: whether session
    state that it may leave behind must be cleared afterwards. positions: for each of names, the JSON Pointer by which
    the client knows it.
    """

    routine: routines.Routine
    names: tuple[str, ...]
    arguments: tuple[str | None, ...]
    all_scalars: bool
    timeout: float | None
    numbers: Literal["number", "string"]
    reset: bool
    positions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A method that can be called."""

    method: str
    overloads: tuple[signatures.Overload, ...]
    narrowed: schemas.Compiled | None
    timeout: float | None
    numbers: Literal["number", "string"]
    reset: bool | None

    def bind(self, params: jsonrpc.Params, spending: budget.Budget | None = None) -> Call:
        """The call that these parameters make. Raises InvalidParams with every fault.

        spending: what checking them may cost; None is a budget of their own."""
        if isinstance(params, dict):
            overload = self._by_names(params)
            given = params
            if given.keys() == overload.accepted:
                names = overload.names
            else:
                names = tuple(name for name in overload.names if name in given)
            positions = tuple(map(_position, names))
        else:
            overload = self._by_number(len(params))
            given, positions = overload.by_name(params)
            if len(given) < len(params) and overload.variadic is None:
                words = f"one parameter too many: {overload.routine.signature_with_names}"
                surplus = range(len(given), len(params))
                raise errors.InvalidParams.at(surplus, lambda i: errors.Fault(f"/{i}", "maxItems", words))
            names = overload.names[: len(given)]
        # PostgreSQL takes 6 % less for a small call than with a JSON object.
        all_scalars = overload.scalars.issuperset(names)
        try:
            arguments, faults = self._checked(overload, names if all_scalars else None, given, spending)
        except RecursionError:
            arguments, faults = (), [errors.Fault("", "postgresql", "nested too deep")]
        if faults:
            raise errors.InvalidParams(_as_client_sees(faults, names, positions))
        reset = self.reset if self.reset is not None else overload.routine.volatility != "immutable"
        return Call(overload.routine, names, arguments, all_scalars, self.timeout, self.numbers, reset, positions)

    def _checked(
        self,
        overload: signatures.Overload,
        apart: tuple[str, ...] | None,
        given: dict[str, Any],
        spending: budget.Budget | None,
    ) -> tuple[tuple[str | None, ...], list[errors.Fault]]:
        """The values as they travel, or what is wrong with them. apart: the names, where each travels as its text.

        Raises RecursionError where they are nested too deep.
        """
        # What the schema surely takes has no other spelling that would have to be normalised first.
        # add(1, 2): 0.6 us where normalising and all of validation took 12; 30,000 integers: 6 ms where it took 370.
        values = given
        faults: list[errors.Fault] = []
        if not overload.compiled.accepts(given):
            values, faults = overload.checked(given, spending)
        if not faults and overload.ordered:
            faults = [
                errors.Fault(_position(name), "required", "is missing: the parameters after it need it")
                for name in overload.names[: signatures.by_position(overload.routine, given)]
                if name not in given
            ]
        if not faults and self.narrowed is not None:
            faults = schemas.check(self.narrowed, values, spending)
        if faults:
            return (), faults
        if apart is None:
            arguments: tuple[str | None, ...] = (jsontext.dump(values),)
        else:
            arguments = tuple([argument_text.text(values[name]) for name in apart])
        storable = argument_text.is_storable("".join(filter(None, arguments)))
        return arguments, [] if storable else list(islice(argument_text.faults(values), errors.MAX_FAULTS))

    def _by_names(self, names: Iterable[str]) -> signatures.Overload:
        if len(self.overloads) == 1:
            return self.overloads[0]  # its own schema says what is wrong
        return self._choose([o for o in self.overloads if o.takes(names)], "these parameter names")

    def _by_number(self, count: int) -> signatures.Overload:
        if len(self.overloads) == 1:
            return self.overloads[0]
        words = "1 parameter" if count == 1 else f"{count} parameters"
        return self._choose([o for o in self.overloads if o.takes_positional(count)], words)

    def _choose(self, matching: Sequence[signatures.Overload], given: str) -> signatures.Overload:
        """given: what was given, in words."""
        if len(matching) == 1:
            return matching[0]
        forms = ", ".join(o.routine.signature_with_names for o in (matching or self.overloads))
        if matching:
            them = "it" if given == "1 parameter" else "them"
            words = f"ambiguous: several overloads take {given}; pass {them} by name: {forms}"
        else:
            words = f"no overload takes {given}: {forms}"
        raise errors.InvalidParams([errors.Fault("", "oneOf", words)])


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a method, and how often. roles: None is everybody. rate: of one client; None is any number."""

    roles: Collection[str] | None = None
    rate: ratelimit.Rate | None = None


ANYBODY = Access()


class Catalog:
    """Every listed method. One whose function is not known yet, because the database is away, is unavailable."""

    def __init__(
        self,
        methods: Iterable[str],
        functions: Mapping[str, Function] | None = None,
        access: Mapping[str, Access] | None = None,
    ) -> None:
        self.methods = tuple(methods)
        self._listed = frozenset(self.methods)
        self._access = access or {}
        self.functions: Mapping[str, Function] = functions or {}
        self._budget = budget.Budget()
        self.predicates: Mapping[str, Function] = {}
        """What `authorize` of a channel names -> the function: a channel's name -> whether it may be received."""

    def access(self, method: str) -> Access:
        """Who may call it, of a listed method."""
        return self._access.get(method, ANYBODY)

    def shared_budget(self) -> AbstractContextManager[None]:
        """Inside, checking the parameters of all calls may cost together what it may cost for one."""
        return self._budget.shared()

    def bind(self, method: str, params: jsonrpc.Params) -> Call:
        """Raises MethodNotFound, InvalidParams, Unavailable."""
        function = self.functions.get(method)
        if function is not None:
            return function.bind(params, self._budget)
        if method in self._listed:
            raise errors.Unavailable
        raise errors.MethodNotFound

    def ask(self, predicate: str, channel: str) -> Call:
        """The call that says whether the client may receive a channel. Raises Unavailable, InvalidParams."""
        function = self.predicates.get(predicate)
        if function is None:
            raise errors.Unavailable
        return function.bind([channel], self._budget)


def _position(name: str) -> str:
    return errors.pointer([name])


def _as_client_sees(
    faults: Sequence[errors.Fault], names: Sequence[str], positions: Sequence[str]
) -> list[errors.Fault]:
    """Faults with paths into what was sent: by position where the parameters came by position."""
    known = dict(zip(map(_position, names), positions, strict=True))
    seen = []
    for fault in faults:
        _, _, rest = fault.path.partition("/")
        head, slash, tail = rest.partition("/")
        at = known.get(f"/{head}", fault.path and f"/{head}")
        if slash and not at:  # an element of a variadic array that was spread: the array is the last of the names
            index, slash, tail = tail.partition("/")
            at = f"/{len(names) - 1 + int(index)}"
        seen.append(errors.Fault(at + slash + tail, fault.rule, fault.message))
    return seen
