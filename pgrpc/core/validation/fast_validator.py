"""The fast half of validation: which values surely fit a JSON Schema, and which parts of the others may not.

Owns a compiled form of the common keywords that answers in well under a microsecond: a call's parameters nearly always
fit, and 30,000 integers must not hold up the loop. Must not find faults: it accepts only what the full validator
accepts (the unit tests compare them on a corpus), and leaves all else to it: other keywords, values it is not sure of.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from decimal import Decimal
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

from pgrpc.core.validation import exact, formats, patterns

Check = Callable[[Any], bool]
Path = tuple[str | int, ...]


class Unsure(NamedTuple):
    """A part of a value that the full validator must see. resolver: what resolves the references of the schema."""

    path: Path
    value: Any
    schema: Any
    resolver: Any


_ANNOTATIONS = frozenset(
    ("$comment", "$defs", "default", "definitions", "deprecated", "description", "examples", "readOnly", "title",
     "writeOnly")
)  # fmt: skip
KEYWORDS = _ANNOTATIONS | {
    "$ref", "if", "then", "else", "allOf", "anyOf", "type", "enum", "const",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "items",
    "minProperties", "maxProperties", "properties", "required", "additionalProperties",
}  # fmt: skip
_QUICK = 300  # the microseconds that one pattern may take here at worst
_DIGITS = 1000  # how many digits of a number with a fraction are divided here
_PYTHON: Mapping[str, tuple[type, ...]] = {
    # 1.0 is an integer too; it is left to the full validator.
    "integer": (int,), "number": (int, Decimal), "string": (str,), "boolean": (bool,), "null": (type(None),),
    "array": (list,), "object": (dict,),
}  # fmt: skip


def _always(value: Any) -> bool:
    return True


def never(value: Any) -> bool:
    return False


def _all(checks: Iterable[Check]) -> Check:
    """All of them in one call."""
    wanted = tuple(check for check in checks if check is not _always)
    if never in wanted:
        return never
    match wanted:
        case ():
            return _always
        case (only,):
            return only
        case (one, other):
            return lambda value: one(value) and other(value)
        case (one, other, third):
            return lambda value: one(value) and other(value) and third(value)
    return lambda value: all(check(value) for check in wanted)


def _accepts_arrays(element: Check, value: Any) -> bool:
    """An element, or an array of any number of dimensions: without a call for each array."""
    if type(value) is not list:
        return element(value)
    arrays = [value]
    for array in arrays:  # which grows meanwhile
        for item in array:
            if type(item) is list:
                arrays.append(item)
            elif not element(item):
                return False
    return True


class FastValidator:
    """A schema, or a part of one. `accepts(value)`: whether it surely fits.

    The time that takes grows with the value's size only, whatever the schema: an `allOf` or `anyOf` that leads back
    to itself, where it could double at every level, is never accepted.
    """

    def __init__(self, schema: Any, resolver: Any, making: "Making") -> None:
        """resolver: what resolves the schema's references, by `lookup(reference)`."""
        self._schema = schema
        self._resolver = resolver
        self._making = making
        self._stands_for: FastValidator | None = None
        self._unless_array: FastValidator | None = None
        self._outlines: dict[type, Check] = {}  # what must hold for an array or object beside what is in it
        self._items: FastValidator | None = None
        self._properties: dict[str, FastValidator] = {}
        self._made = False
        self.accepts: Check = lambda value: self.accepts(value)  # for what refers to this while it is being made
        self._making.known[id(schema)] = self
        self.accepts = self._compiled()
        self._made = True

    def unsure(self, value: Any, path: Path = ()) -> Iterator[Unsure]:
        """The smallest parts of a value that do not surely fit, in the order of the faults: together they have
        all of them. Nothing for a value that surely fits."""
        kind = type(value)
        if self._stands_for is not None:
            other = self._unless_array
            yield from (self._stands_for if other is None or kind is list else other).unsure(value, path)
        elif kind in self._outlines and self._outlines[kind](value):
            for name, part, item in self._inside(value):
                # A container is looked into at once: asked first, each level above would look at it once more.
                if type(item) in (list, dict) or not part.accepts(item):
                    yield from part.unsure(item, (*path, name))
        elif not self.accepts(value):
            yield Unsure(path, value, self._schema, self._resolver)

    def _inside(self, value: Any) -> Iterable[tuple[str | int, "FastValidator", Any]]:
        if self._items is not None and type(value) is list:
            return zip(range(len(value)), repeat(self._items), value)
        return ((name, part, value[name]) for name, part in self._properties.items() if name in value)

    def _part(self, schema: Any, resolver: Any = None) -> "FastValidator":
        known = self._making.known.get(id(schema))
        if known is None:
            return FastValidator(schema, resolver or self._resolver, self._making)
        return known if known._made or not self._making.branches else known._never()

    def _never(self) -> "FastValidator":
        twin = copy(self)
        twin.accepts, twin._stands_for, twin._outlines = never, None, {}
        return twin

    def _compiled(self) -> Check:
        schema = self._schema
        if schema is True:
            return _always
        if not isinstance(schema, dict) or not schema.keys() <= KEYWORDS:
            return never
        keywords = schema.keys() - _ANNOTATIONS
        if "$ref" in keywords:
            return self._reference(schema["$ref"]) if keywords == {"$ref"} else never
        if "if" in keywords:
            # Only the form that the elements of a PostgreSQL array have: an array again, or the element.
            nested = keywords == {"if", "then", "else"} and schema["if"] == {"type": "array"}
            return self._condition() if nested else never
        return self._by_type()

    def _reference(self, reference: str) -> Check:
        found = self._resolver.lookup(reference)
        if isinstance(found.contents, dict) and "$id" in found.contents:
            return never  # its own references have another base
        self._stands_for = self._part(found.contents, found.resolver)
        return self._stands_for.accepts

    def _condition(self) -> Check:
        self._stands_for = self._part(self._schema["then"])._target()
        self._unless_array = self._part(self._schema["else"])
        nested, element = self._stands_for, self._unless_array.accepts
        is_local = str(self._schema["then"].get("$ref")).startswith("#")
        if is_local and nested._schema == {"type": "array", "items": self._schema} and nested.accepts is not never:
            return partial(_accepts_arrays, element)
        accepts = nested.accepts
        return lambda value: accepts(value) if type(value) is list else element(value)

    def _target(self) -> "FastValidator":
        """What a reference leads to."""
        return self if self._stands_for is None or self._unless_array else self._stands_for._target()

    def _by_type(self) -> Check:
        """A table from the value's Python type to what must hold for it."""
        named = self._schema.get("type", list(_PYTHON))
        common = self._branches()
        table: dict[type, Check] = {}
        for kind in {kind for name in ([named] if isinstance(named, str) else named) for kind in _PYTHON[name]}:
            outline = [*self._listed(kind), *common, *self._of_kind(kind)]
            if kind in (list, dict) and not common:
                self._outlines[kind] = _all(outline)
            table[kind] = _all([*outline, self._inner(kind)])
        if len(table) == 1:
            ((only, check),) = table.items()
            return lambda value: type(value) is only and check(value)
        find = table.get
        return lambda value: find(type(value), never)(value)

    def _of_kind(self, kind: type) -> list[Check]:
        if kind in (int, Decimal):
            return self._number()
        if kind is str:
            return self._string()
        if kind is list:
            return self._size("minItems", "maxItems")
        return self._members() if kind is dict else []

    def _branches(self) -> list[Check]:
        """allOf and anyOf."""
        self._making.branches += 1
        checks = [self._part(inner).accepts for inner in self._schema.get("allOf", ())]
        if "anyOf" in self._schema:
            forms = [self._part(inner).accepts for inner in self._schema["anyOf"]]
            checks.append(lambda value: any(form(value) for form in forms))
        self._making.branches -= 1
        return checks

    def _listed(self, kind: type) -> list[Check]:
        """enum and const. Of JSON's equality only what is Python's too: true is not 1."""
        schema = self._schema
        checks: list[Check] = []
        for values in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
            if values is not None:
                same = (int, Decimal) if kind in (int, Decimal) else (kind,)
                scalars = frozenset(v for v in values if type(v) in same and kind not in (list, dict))
                checks.append(scalars.__contains__ if scalars else never)
        return checks

    def _number(self) -> list[Check]:
        schema = self._schema
        checks: list[Check] = []
        if "minimum" in schema and "maximum" in schema:
            low, high = schema["minimum"], schema["maximum"]
            checks.append(lambda value: bool(low <= value <= high))
        elif "minimum" in schema:
            checks.append(partial(operator.le, schema["minimum"]))
        elif "maximum" in schema:
            checks.append(partial(operator.ge, schema["maximum"]))
        if "exclusiveMinimum" in schema:
            checks.append(partial(operator.lt, schema["exclusiveMinimum"]))
        if "exclusiveMaximum" in schema:
            checks.append(partial(operator.gt, schema["exclusiveMaximum"]))
        if "multipleOf" in schema:
            divisor = schema["multipleOf"]
            checks.append(lambda value: exact.digits(value) < _DIGITS and exact.is_multiple(value, divisor))
        return checks

    def _string(self) -> list[Check]:
        schema = self._schema
        checks = self._size("minLength", "maxLength")
        if "pattern" in schema:
            pattern = self._making.patterns.compile(schema["pattern"])
            checks.append(lambda value: pattern.work(value) < _QUICK and pattern.matches(value))
        if (name := schema.get("format")) is not None:
            checks.append(formats.CHECKS[name] if name in formats.QUICK else never)
        return checks

    def _size(self, least: str, most: str) -> list[Check]:
        low, high = self._schema.get(least, 0), self._schema.get(most)
        checks: list[Check] = [lambda value: len(value) >= low] if low else []
        if high is not None:
            checks.append(lambda value: len(value) <= high)
        return checks

    def _members(self) -> list[Check]:
        schema = self._schema
        checks = self._size("minProperties", "maxProperties")
        required = frozenset(schema.get("required", ()))
        if required:
            checks.append(lambda value: required <= value.keys())
        if schema.get("additionalProperties", True) is False:
            known = frozenset(schema.get("properties", ()))
            checks.append(lambda value: value.keys() <= known)
        elif schema.get("additionalProperties", True) is not True:
            checks.append(never)
        return checks

    def _inner(self, kind: type) -> Check:
        """What must hold for what is in an array or an object."""
        if kind is list and "items" in self._schema:
            self._items = self._part(self._schema["items"])
            item = self._items.accepts
            return lambda value: all(map(item, value))
        if kind is dict and "properties" in self._schema:
            self._properties = {name: self._part(inner) for name, inner in self._schema["properties"].items()}
            find = {name: part.accepts for name, part in self._properties.items()}.get

            def members(value: dict[str, Any]) -> bool:
                for name, item in value.items():  # noqa: SIM110  twice as quick as all() with a generator
                    if not find(name, _always)(item):
                        return False
                return True

            return members
        return _always


class Making:
    """Shared by the parts of one schema. known: by the id of its schema. branches: of allOf and anyOf, around."""

    def __init__(self, compiled: patterns.Patterns) -> None:
        self.patterns = compiled
        self.known: dict[int, FastValidator] = {}
        self.branches = 0
