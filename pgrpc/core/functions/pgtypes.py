"""A PostgreSQL type -> JSON Schema (draft 2020-12), and the JSON value that PostgreSQL takes for it.

Owns what each type looks like as JSON (https://www.postgresql.org/docs/current/functions-json.html: what
`to_json` writes is what is taken back). Must not know functions, nor how a type was read from the catalog.

What JSON Schema cannot say (a domain's CHECK, dates such as "infinity") is left to PostgreSQL or refused.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

Schema = dict[str, Any]
Normaliser = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Type:
    """A type as the catalog has it.

    sql: its name, schema-qualified and quoted, as SQL takes it: "pg_catalog.int4".
    name: its name as PostgreSQL shows it to people: "integer".
    of: a domain's base type, an array's element, a range's subtype.
    typmod: what a domain adds to its base type, such as the length of varchar(10); -1 for none.
    """

    oid: int
    sql: str
    name: str
    kind: Literal["base", "array", "enum", "domain", "composite", "range", "multirange", "pseudo"]
    of: "Type | None" = None
    typmod: int = -1
    not_null: bool = False
    labels: tuple[str, ...] = ()
    attributes: "tuple[Attribute, ...]" = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column of a composite type."""

    name: str
    type: Type
    typmod: int = -1


def _text(pattern: str | None = None, **more: Any) -> Schema:
    return {"type": "string"} | ({"pattern": pattern} if pattern else {}) | more


def _integer(bits: int) -> Schema:
    return {"type": "integer", "minimum": -(2 ** (bits - 1)), "maximum": 2 ** (bits - 1) - 1}


_DATE = "[0-9]{4,6}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
_ZONE = "(Z|z|[+-][0-9]{2}(:?[0-9]{2}(:[0-9]{2})?)?)"

# By oid: the oids of built-in types are part of PostgreSQL's interface (src/include/catalog/pg_type.dat).
BOOL, INT8, TEXT, OID, NUMERIC = 16, 20, 25, 26, 1700
INTEGERS: Mapping[int, int] = {21: 16, 23: 32, INT8: 64}
_BUILT_IN: Mapping[int, Schema] = {
    **{oid: _integer(bits) for oid, bits in INTEGERS.items()},
    16: {"type": "boolean"},
    NUMERIC: {"type": "number"},
    700: {"type": "number"},
    701: {"type": "number"},
    OID: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    790: {"type": ["string", "number"]},  # money: to_json writes it in the locale's form
    25: _text(),
    1043: _text(),  # character varying
    1042: _text(),  # character
    18: _text(maxLength=1),  # "char"
    19: _text(maxLength=63),  # name
    17: _text(r"^\\x([0-9A-Fa-f]{2})*$"),  # bytea in its hex format: the only one that to_json writes
    1560: _text("^[01]*$"),  # bit
    1562: _text("^[01]*$"),  # bit varying
    2950: _text(format="uuid"),
    1082: _text(format="date"),
    1184: _text(format="date-time"),
    # What to_json writes for these has no zone, or no date, so RFC 3339's formats do not fit them.
    1114: _text(rf"^{_DATE}[T ]{_TIME}$"),  # timestamp without time zone
    1083: _text(rf"^{_TIME}$"),  # time without time zone
    1266: _text(rf"^{_TIME}{_ZONE}$"),  # time with time zone
    1186: _text(),  # interval
    114: {},  # json
    3802: {},  # jsonb
    142: _text(),  # xml
    4072: _text(),  # jsonpath
    **dict.fromkeys((869, 650, 829, 774), _text()),  # inet, cidr, macaddr, macaddr8
    **dict.fromkeys((600, 601, 602, 603, 604, 628, 718), _text()),  # the geometric types
    **dict.fromkeys((3614, 3615), _text()),  # tsvector, tsquery
}
_JSON = (114, 3802)
_LONGEST: Mapping[int, int] = {
    16: 5, 21: 6, 23: 11, INT8: 22, OID: 12, 700: 15, 701: 24,
    2950: 38, 1082: 20, 1083: 17, 1266: 26, 1114: 36, 1184: 45,
}  # fmt: skip
_LENGTH_BY_TYPMOD: Mapping[int, int] = {1043: 4, 1042: 4}  # the typmod is the length plus the size of a header
_BITS_BY_TYPMOD = (1560, 1562)


def longest(of: Type) -> int | None:
    """Bytes that `to_json` writes for a value, or for its text, at most; None where there is no small bound."""
    if of.kind == "domain":
        assert of.of is not None
        return longest(of.of)
    return _LONGEST.get(of.oid)


def is_scalar(of: Type) -> bool:
    """Whether it takes a value's text, as `json_to_record` would give it: a string as it is, else JSON text.

    Domains do not count: their CHECK would be left out where PostgreSQL sees that a function does not use the value.
    """
    return of.kind in ("base", "enum", "range", "multirange") and of.oid not in _JSON


def schema(of: Type, typmod: int = -1) -> Schema:
    """The schema of the JSON values that PostgreSQL takes for this type. null is SQL NULL."""
    bare = _schema(of, typmod)
    if not bare or not _nullable(of):
        return bare
    if "enum" in bare:
        return bare | {"enum": [*bare["enum"], None]}
    types = bare["type"]
    return bare | {"type": [*([types] if isinstance(types, str) else types), "null"]}


def _schema(of: Type, typmod: int) -> Schema:
    match of.kind:
        case "domain":
            assert of.of is not None
            return _schema(of.of, of.typmod)
        case "array":
            assert of.of is not None
            element = schema(of.of)
            # A PostgreSQL array has any number of dimensions whatever its type says; `if` rather than `anyOf`,
            # so that a fault names the element and its own rule.
            nested = {"if": {"type": "array"}, "then": {"$ref": f"#/$defs/{_key(of)}"}, "else": element}
            return {"type": "array", "items": nested if element else {}}
        case "enum":
            return {"enum": list(of.labels)}
        case "composite":
            properties = {a.name: schema(a.type, a.typmod) for a in of.attributes}
            return {"type": "object", "properties": properties, "additionalProperties": False}
        case "range":
            # Bounds may hold newlines. One comma only is looked for: with two `.*` a long text takes for ever.
            return _text(r"^\s*([Ee][Mm][Pp][Tt][Yy]|[\[(][^,]*,[\s\S]*[\])])\s*$")
        case "multirange":
            return _text(r"^\s*\{[\s\S]*\}\s*$")
    bare = _BUILT_IN.get(of.oid, {})  # an extension's type: PostgreSQL itself decides
    if typmod >= 0 and of.oid in _LENGTH_BY_TYPMOD:
        return bare | {"maxLength": typmod - _LENGTH_BY_TYPMOD[of.oid]}
    if typmod >= 0 and of.oid in _BITS_BY_TYPMOD:
        return bare | {"maxLength": typmod} | ({"minLength": typmod} if of.oid == 1560 else {})
    return bare


def _nullable(of: Type) -> bool:
    return not of.not_null and (of.kind != "domain" or of.of is None or _nullable(of.of))


def definitions(of: Type) -> dict[str, Schema]:
    """What `schema(of)` refers to under `#/$defs/`: one entry for each array type inside it."""
    found: dict[str, Schema] = {}
    if of.kind == "array":
        found[_key(of)] = _schema(of, -1)
    if of.of is not None:
        found |= definitions(of.of)
    for attribute in of.attributes:
        found |= definitions(attribute.type)
    return found


def _key(of: Type) -> str:
    return f"array.{of.oid}"


def normaliser(of: Type) -> Normaliser | None:
    """What turns an equivalent spelling into the one value that the schema and PostgreSQL both take, before either
    sees it: 1.0 and 1e2 for an integer, digits in a string for int8, numeric and oid. None: nothing to do.

    It leaves what it does not know as it is, for the schema to refuse.
    """
    match of.kind:
        case "base":
            if of.oid in (INT8, OID):  # to_json writes an oid as a string
                return _whole_or_digits
            if of.oid in INTEGERS:
                return _whole
            return _digits if of.oid == NUMERIC else None
        case "domain":
            assert of.of is not None
            return normaliser(of.of)
        case "array":
            assert of.of is not None
            inner = normaliser(of.of)
            return None if inner is None else _each(inner)
        case "composite":
            parts = {a.name: made for a in of.attributes if (made := normaliser(a.type)) is not None}
            return _members(parts) if parts else None
    return None


_INT8_DIGITS = re.compile(r"[+-]?[0-9]{1,30}")
_NUMERIC_DIGITS = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,6})?")
_WIDEST = 30  # decimal digits; no integer type is wider, and 1e999999999 must not become an int


def _whole(value: Any) -> Any:
    if type(value) is Decimal and value.adjusted() < _WIDEST and value == value.to_integral_value():
        return int(value)
    return value


def _whole_or_digits(value: Any) -> Any:
    if type(value) is str and _INT8_DIGITS.fullmatch(value):
        return int(value)
    return _whole(value)


def _digits(value: Any) -> Any:
    if type(value) is str and _NUMERIC_DIGITS.fullmatch(value):
        return Decimal(value)
    return value


def _each(inner: Normaliser) -> Normaliser:
    def normalise(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [normalise(v) if isinstance(v, list) else inner(v) for v in value]

    return normalise


def _members(parts: Mapping[str, Normaliser]) -> Normaliser:
    def normalise(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: parts[k](v) if k in parts else v for k, v in value.items()}

    return normalise
