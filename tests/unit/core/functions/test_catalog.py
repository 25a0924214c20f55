"""Binding: which call is meant, whether its parameters fit, and where the client is told that they do not."""

import json
from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.functions import catalog, routines, signatures
from pgrpc.core.limits import ratelimit
from pgrpc.core.wire import errors, jsontext
from tests.support import samples
from tests.support.samples import argument, function, routine

ADD = routine(argument("a"), argument("b"))
DEFAULTS = routine(argument("a"), argument("b", default=True), argument("c", samples.TEXT, default=True))
FORMAT = routine(argument("template", samples.TEXT), argument("values", samples.INT4S, "variadic"))
SUM = routine(argument("values", samples.INT8S, "variadic"))
OPTIONAL = routine(
    argument("a"), argument("b", default=True), argument("values", samples.INT4S, "variadic", default=True)
)
ONE = routine(argument("value", samples.JSONB))
UNNAMED = routine(argument("$1"), argument("$2", samples.TEXT))
OUT = routine(argument("a"), argument("x", mode="out"), argument("b", mode="inout"))


def refused(of: catalog.Function, params: Any) -> list[tuple[str, str]]:
    with pytest.raises(errors.InvalidParams) as caught:
        of.bind(params)
    return [(fault["path"], fault["rule"]) for fault in caught.value.data]


def told(of: catalog.Function, params: Any) -> str:
    with pytest.raises(errors.InvalidParams) as caught:
        of.bind(params)
    (fault,) = caught.value.data
    return str(fault["message"])


@pytest.mark.parametrize(
    ("of", "params", "names", "arguments", "positions"),
    [
        pytest.param(ADD, [1, 2], ("a", "b"), {"a": 1, "b": 2}, ("/0", "/1"), id="by position"),
        pytest.param(ADD, {"b": 2, "a": 1}, ("a", "b"), {"a": 1, "b": 2}, ("/a", "/b"), id="by name, in any order"),
        pytest.param(ADD, [None, None], ("a", "b"), {"a": None, "b": None}, ("/0", "/1"), id="nulls"),
        pytest.param(routine(), [], (), {}, (), id="no arguments, by position"),
        pytest.param(routine(), {}, (), {}, (), id="no arguments, by name"),
        pytest.param(DEFAULTS, [1], ("a",), {"a": 1}, ("/0",), id="defaults by position"),
        pytest.param(DEFAULTS, [1, 2, "x"], ("a", "b", "c"), {"a": 1, "b": 2, "c": "x"}, ("/0", "/1", "/2"), id="all"),
        pytest.param(DEFAULTS, {"c": "x", "a": 1}, ("a", "c"), {"a": 1, "c": "x"}, ("/a", "/c"), id="defaults by name"),
        pytest.param(
            FORMAT, ["x", 1, 2], ("template", "values"), {"template": "x", "values": [1, 2]}, ("/0", ""), id="variadic"
        ),
        pytest.param(
            FORMAT, ["x", [1, 2]], ("template", "values"), {"template": "x", "values": [1, 2]}, ("/0", "/1"),
            id="variadic as an array",
        ),
        pytest.param(
            FORMAT, ["x"], ("template", "values"), {"template": "x", "values": []}, ("/0", ""), id="variadic, none"
        ),
        pytest.param(
            FORMAT, ["x", None], ("template", "values"), {"template": "x", "values": [None]}, ("/0", ""),
            id="variadic, null",
        ),
        pytest.param(
            FORMAT, {"template": "x", "values": [1]}, ("template", "values"), {"template": "x", "values": [1]},
            ("/template", "/values"), id="variadic by name",
        ),
        pytest.param(SUM, [], ("values",), {"values": []}, ("",), id="variadic alone, none"),
        pytest.param(SUM, ["5", Decimal("6.0")], ("values",), {"values": [5, 6]}, ("",), id="variadic, normalised"),
        pytest.param(
            routine(argument("values", samples.JSONBS, "variadic")), [[1], [2]], ("values",), {"values": [[1], [2]]},
            ("",), id="variadic, arrays as elements",
        ),
        pytest.param(
            routine(argument("a", samples.INT4S), argument("b", samples.TEXTS)), [[1], [["x"]]], ("a", "b"),
            {"a": [1], "b": [["x"]]}, ("/0", "/1"), id="two arrays",
        ),
        pytest.param(SUM, [[1]], ("values",), {"values": [1]}, ("/0",), id="variadic alone, an array"),
        pytest.param(OPTIONAL, [1], ("a",), {"a": 1}, ("/0",), id="variadic with a default, defaults left out"),
        pytest.param(OPTIONAL, [1, 2], ("a", "b"), {"a": 1, "b": 2}, ("/0", "/1"), id="variadic with a default, none"),
        pytest.param(
            OPTIONAL, [1, 2, 3], ("a", "b", "values"), {"a": 1, "b": 2, "values": [3]}, ("/0", "/1", ""),
            id="variadic with a default, one",
        ),
        pytest.param(UNNAMED, [1, "x"], ("$1", "$2"), {"$1": 1, "$2": "x"}, ("/0", "/1"), id="unnamed by position"),
        pytest.param(
            UNNAMED, {"$1": 1, "$2": ""}, ("$1", "$2"), {"$1": 1, "$2": ""}, ("/$1", "/$2"), id="made-up names"
        ),
        pytest.param(OUT, [1, 2], ("a", "b"), {"a": 1, "b": 2}, ("/0", "/1"), id="OUT arguments are not given"),
        pytest.param(
            routine(argument("a/b~")), {"a/b~": 1}, ("a/b~",), {"a/b~": 1}, ("/a~1b~0",), id="a name to be escaped"
        ),
        pytest.param(ADD, [Decimal("1.0"), Decimal("1e2")], ("a", "b"), {"a": 1, "b": 100}, ("/0", "/1"), id="1.0"),
    ],
)  # fmt: skip
def test_bound(of: Any, params: Any, names: Any, arguments: Any, positions: Any) -> None:
    call = function(of).bind(params)
    assert (call.routine, call.names, call.positions) == (of, names, positions)
    if call.all_scalars:
        texts = tuple(v if v is None or isinstance(v, str) else json.dumps(v) for v in arguments.values())
        assert (call.arguments, tuple(arguments)) == (texts, names)
    else:
        (text,) = call.arguments
        assert json.loads(str(text)) == arguments
    assert (call.timeout, call.numbers) == (2.5, "number")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(Decimal("0.10"), "0.10", id="a decimal"),
        pytest.param(Decimal("1e400"), "1E+400", id="beyond a float"),
        pytest.param({"a": [Decimal("1.50")]}, '{"a":[1.50]}', id="a decimal inside"),
        pytest.param("\\u0000", '"\\\\u0000"', id="what only looks like NUL"),
        pytest.param("é😀", '"é😀"', id="not ASCII"),
    ],
)
def test_arguments_are_exact(value: Any, text: str) -> None:
    assert function(ONE).bind([value]).arguments == (f'{{"value":{text}}}',)


@pytest.mark.parametrize(
    ("of", "value", "text"),
    [
        pytest.param(samples.INT4, 1, "1", id="a number"),
        pytest.param(samples.NUMERIC, Decimal("0.10"), "0.10", id="a decimal"),
        pytest.param(samples.BOOL, True, "true", id="a boolean"),
        pytest.param(samples.TEXT, None, None, id="NULL"),
        pytest.param(samples.TEXT, "", "", id="an empty text"),
        pytest.param(samples.TEXT, '"\\u0000\'', '"\\u0000\'', id="a text as it is"),
        pytest.param(samples.base(99999, "an extension's"), {"a": 1}, '{"a":1}', id="JSON as the text of it"),
    ],
)  # fmt: skip
def test_scalars_travel_as_texts(of: Any, value: Any, text: str | None) -> None:
    assert function(routine(argument("a", of), argument("b"))).bind([value, 2]).arguments == (text, "2")


@pytest.mark.parametrize(
    "of", [samples.INT4S, samples.JSONB, samples.composite(x=samples.INT4), samples.domain(samples.INT4)]
)
def test_beside_what_is_no_scalar_all_travel_as_one_object(of: Any) -> None:
    call = function(routine(argument("a", of), argument("b"))).bind([None, 2] if of.kind != "domain" else [1, 2])
    assert call.arguments == (('{"a":null,"b":2}' if of.kind != "domain" else '{"a":1,"b":2}'),)


def test_whole_numbers_are_written_without_a_point() -> None:
    """PostgreSQL refuses 1.0 and 1e2 for integers."""
    assert function(ADD).bind([Decimal("1.0"), Decimal("1e2")]).arguments == ("1", "100")


ALL_KINDS = [
    samples.BOOL, samples.INT2, samples.INT4, samples.INT8, samples.OID, samples.NUMERIC, samples.FLOAT8,
    samples.TEXT, samples.JSONB, samples.base(790, "money"), samples.base(2950, "uuid"), samples.enum("5", "a"),
    samples.INT4S, samples.INT8S, samples.JSONBS, samples.domain(samples.INT8), samples.domain(samples.INT8S),
    samples.array(samples.NUMERIC, 1231), samples.array(samples.composite(x=samples.INT8), 60001),
    samples.composite(x=samples.INT4, y=samples.NUMERIC, z=samples.INT8S), samples.base(99999, "an extension's"),
]  # fmt: skip
SPELLINGS = [
    1, -1, 2**31, 2**63, True, None, "", "a", "5", "-5", "+5", "0.10", "1e2", "9223372036854775807", Decimal("1.0"),
    Decimal("1e2"), Decimal("-0.0"), Decimal("1.5"), Decimal("1e999999999"), "01234567-89ab-cdef-0123-456789abcdef",
]  # fmt: skip


@pytest.mark.parametrize("of", ALL_KINDS, ids=lambda of: f"{of.kind} {of.name}")
def test_what_is_accepted_at_once_needs_no_other_spelling(of: Any) -> None:
    """So that it can be taken as it is: the normaliser would not change it."""
    overload = signatures.Overload(routine(argument("a", of)))
    normalise = overload.normalisers.get("a", lambda value: value)
    accepted = 0
    for value in (shape for v in SPELLINGS for shape in (v, [v], [[v], v], {"x": v}, {"y": v, "z": [v]}, [{"x": v}])):
        given = {"a": value}
        if overload.compiled.accepts(given):
            accepted += 1
            assert repr(normalise(value)) == repr(value)
            assert overload.checked(given, None) == (given, [])
    assert accepted > 0


@pytest.mark.parametrize(
    ("of", "params", "expected"),
    [
        pytest.param(ADD, ["x", True], [("/0", "type"), ("/1", "type")], id="by position"),
        pytest.param(ADD, {"a": "x", "b": True}, [("/a", "type"), ("/b", "type")], id="by name"),
        pytest.param(ADD, [1], [("/b", "required")], id="too few"),
        pytest.param(ADD, [], [("/a", "required"), ("/b", "required")], id="none"),
        pytest.param(ADD, {}, [("/a", "required"), ("/b", "required")], id="none by name"),
        pytest.param(ADD, [1, 2, 3, 4], [("/2", "maxItems"), ("/3", "maxItems")], id="too many"),
        pytest.param(routine(), [1], [("/0", "maxItems")], id="too many for none"),
        pytest.param(ADD, {"a": 1, "b": 2, "c": 3}, [("/c", "additionalProperties")], id="unknown name"),
        pytest.param(ADD, {"a": 1, "b": 2, "": 3}, [("/", "additionalProperties")], id="the empty name"),
        pytest.param(OUT, {"a": 1, "b": 2, "x": 3}, [("/x", "additionalProperties")], id="an OUT argument"),
        pytest.param(
            ADD, {"A": 1, "b/": "x"},
            [("/A", "additionalProperties"), ("/a", "required"), ("/b", "required"), ("/b~1", "additionalProperties")],
            id="all at once",
        ),
        pytest.param(FORMAT, ["x", 1, "y", 3, True], [("/2", "type"), ("/4", "type")], id="variadic"),
        pytest.param(FORMAT, ["x", 1, [2, "y"]], [("/2/1", "type")], id="variadic, inside an element"),
        pytest.param(FORMAT, ["x", [1, "y"]], [("/1/1", "type")], id="variadic as an array"),
        pytest.param(SUM, [1, "y"], [("/1", "type")], id="variadic alone"),
        pytest.param(FORMAT, [], [("/template", "required"), ("/values", "required")], id="variadic, too few"),
        pytest.param(OPTIONAL, [], [("/a", "required")], id="variadic with a default, too few"),
        pytest.param(OPTIONAL, [1, 2, 3, "x"], [("/3", "type")], id="variadic with a default"),
        pytest.param(OPTIONAL, {"a": 1, "values": [3]}, [("/b", "required")], id="variadic by name, with a gap"),
        pytest.param(
            routine(argument("$1", default=True), argument("$2", default=True), argument("c", default=True)),
            {"$2": 1},
            [("/$1", "required")],
            id="unnamed, one before left out",
        ),
        pytest.param(ONE, ["a\0"], [("/0", "postgresql")], id="NUL"),
        pytest.param(routine(argument("a", samples.TEXT)), ["a\0"], [("/0", "postgresql")], id="NUL in a text"),
        pytest.param(routine(argument("a", samples.TEXT)), ["\ud800"], [("/0", "postgresql")], id="a surrogate"),
        pytest.param(ONE, {"value": [1, {"b/": "\0"}]}, [("/value/1/b~1", "postgresql")], id="NUL inside"),
        pytest.param(ONE, {"value": {"a": {"\0": 1}}}, [("/value/a", "postgresql")], id="NUL in a name"),
        pytest.param(
            ONE, [["\ud800", "ok", "\udfff"]], [("/0/0", "postgresql"), ("/0/2", "postgresql")], id="surrogates"
        ),
        pytest.param(ONE, [{"\ud800": 1}], [("/0", "postgresql")], id="surrogate in a name"),
        pytest.param(
            routine(argument("values", samples.TEXTS, "variadic")), ["a", "\0"], [("/1", "postgresql")],
            id="NUL in a variadic element",
        ),
    ],
)  # fmt: skip
def test_refused(of: Any, params: Any, expected: list[tuple[str, str]]) -> None:
    assert sorted(refused(function(of), params)) == sorted(expected)


@pytest.mark.parametrize("depth", [100, jsontext.MAX_DEPTH])
@pytest.mark.parametrize(
    ("of", "innermost", "rule"),
    [
        (samples.INT4S, 1, None),
        (samples.INT4S, "x", "type"),
        (samples.INT8S, "5", None),
        (samples.TEXTS, "\0", "postgresql"),
        (samples.JSONB, Decimal("1.5"), None),
        (samples.JSONB, "\0", "postgresql"),
    ],
)
def test_what_can_be_parsed_can_be_bound(of: Any, innermost: Any, rule: str | None, depth: int) -> None:
    """However deep it is. Of arrays of more than six dimensions PostgreSQL itself says what is wrong."""
    of_array = function(routine(argument("a", of)))
    value = samples.nested(depth, innermost)
    if rule is None:
        assert of_array.bind([value]).arguments == (f'{{"a":{"[" * depth}{innermost}{"]" * depth}}}',)
    else:
        assert refused(of_array, [value]) == [("/0" + "/0" * depth, rule)]


def test_a_schema_that_needs_too_much_stack_for_a_value() -> None:
    of_any = function(
        routine(argument("a", samples.JSONB)),
        narrowed={
            "properties": {"a": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {"allOf": [{"oneOf": [{"allOf": [{"items": {"$ref": "#/$defs/a"}}]}]}]}},
        },
    )
    assert of_any.bind([samples.nested(20, 1)])
    assert refused(of_any, [samples.nested(jsontext.MAX_DEPTH, 1)]) == [("", "postgresql")]


def test_many_faults_are_counted_but_not_all_listed() -> None:
    with pytest.raises(errors.InvalidParams) as caught:
        function(ADD).bind([0] * 102)
    assert len(caught.value.data) == 20
    assert "99 more" in caught.value.message


def test_what_is_too_many_costs_the_same_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    of = function(ADD)
    made = samples.faults_made(monkeypatch)
    written: list[routines.Routine] = []

    def words(self: routines.Routine) -> str:
        written.append(self)
        return "f(a, b)"

    monkeypatch.setattr(routines.Routine, "signature_with_names", property(words))
    with pytest.raises(errors.InvalidParams, match=r"^Invalid params: /2: .*: f\(a, b\) \(and 29997 more\)$"):
        of.bind([0] * 30_000)
    assert made == [f"/{i}" for i in range(2, 22)]
    assert len(written) == 1


def test_what_cannot_be_stored_is_reported_up_to_the_number_that_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    of = function(ONE)
    made = samples.faults_made(monkeypatch)
    with pytest.raises(errors.InvalidParams):
        of.bind([["\0"] * 1_000])
    assert len(made) == 2 * errors.MAX_FAULTS  # as PostgreSQL knows them, then as the client does


def test_what_is_too_many_names_the_signature() -> None:
    with pytest.raises(errors.InvalidParams, match=r"/2: one parameter too many: public\.f\(a integer, b integer\)"):
        function(ADD).bind([1, 2, 3])


UNKNOWN = "unknown parameter"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"qty": 1}, [("/qty", f"{UNKNOWN}; did you mean quantity?")]),
        ({"Note": 1}, [("/Note", f"{UNKNOWN}; did you mean note?")]),
        ({"a/b": 1}, [("/a~1b", UNKNOWN)]),
        ({"$1": 1}, [("/$1", UNKNOWN)]),
        ({"quantity" * 100_000: 1}, [(f"/{'quantity' * 100_000}", UNKNOWN)]),
        (
            {f"note{i}": 1 for i in range(5)},
            [(f"/note{i}", f"{UNKNOWN}; did you mean note?" if i < 3 else UNKNOWN) for i in range(5)],
        ),
    ],
)
def test_the_parameter_that_was_probably_meant(params: Any, words: Any) -> None:
    of = routine(argument("quantity", default=True), argument("note", default=True), argument("$3", default=True))
    with pytest.raises(errors.InvalidParams) as caught:
        function(of).bind(params)
    assert [(fault["path"], fault["message"]) for fault in caught.value.data] == words
    assert {fault["rule"] for fault in caught.value.data} == {"additionalProperties"}


def test_a_name_inside_a_value_keeps_its_words() -> None:
    of = routine(argument("pair", samples.composite(left=samples.INT4)))
    with pytest.raises(errors.InvalidParams) as caught:
        function(of).bind({"pair": {"left": 1, "lift": 2}})
    assert [fault["path"] for fault in caught.value.data] == ["/pair/lift"]
    assert UNKNOWN not in caught.value.message


def test_no_value_is_echoed() -> None:
    with pytest.raises(errors.InvalidParams) as caught:
        function(ADD).bind(["SECRET", {"SECRET": 1}])
    assert "SECRET" not in caught.value.message + json.dumps(caught.value.data)


# A schema written by hand


NARROW = {
    "properties": {
        "a": {"minimum": 10},
        "values": {"minItems": 2, "items": {"maximum": 5}},
        "value": {"$ref": "#/$defs/t"},
    },
    "$defs": {"t": {"items": {"$ref": "#/$defs/t"}}},
    "maxProperties": 2,
}


@pytest.mark.parametrize(
    ("of", "params", "expected"),
    [
        pytest.param(ADD, [9, 2], [("/0", "minimum")], id="by position"),
        pytest.param(ADD, {"a": 9, "b": 2}, [("/a", "minimum")], id="by name"),
        pytest.param(ADD, ["x", 2], [("/0", "type")], id="the type comes first"),
        pytest.param(FORMAT, ["x", 1, 6], [("/2", "maximum")], id="an element of a variadic"),
        pytest.param(FORMAT, ["x", 6], [("", "minItems"), ("/1", "maximum")], id="a variadic as a whole"),
        pytest.param(
            routine(argument("a"), argument("b"), argument("c")),
            [10, 2, 3],
            [("", "maxProperties")],
            id="all of params",
        ),
    ],
)
def test_narrowed(of: Any, params: Any, expected: list[tuple[str, str]]) -> None:
    assert sorted(refused(function(of, narrowed=NARROW), params)) == expected


def test_a_narrowed_schema_sees_normalised_values() -> None:
    of = function(routine(argument("id", samples.INT8)), narrowed={"properties": {"id": {"type": "integer"}}})
    assert of.bind({"id": "7"}).arguments == ("7",)


def test_what_fits_the_narrowed_schema_is_bound() -> None:
    assert function(ADD, narrowed=NARROW).bind([10, 1]).names == ("a", "b")


# Overloads


SHORT = routine(argument("id"), signature="public.f(id)")
LONG = routine(argument("id"), argument("name", samples.TEXT), signature="public.f(id, name)")
OTHER = routine(argument("email", samples.TEXT), signature="public.f(email)")
FORMS = "public.f(id integer), public.f(id integer, name text), public.f(email text)"


@pytest.mark.parametrize(
    ("params", "chosen"),
    [
        pytest.param({"id": 1}, SHORT, id="by name"),
        pytest.param({"name": "x", "id": 1}, LONG, id="by more names"),
        pytest.param({"email": "x"}, OTHER, id="by another name"),
        pytest.param([1, "x"], LONG, id="by number"),
    ],
)
def test_the_overload_that_is_meant(params: Any, chosen: Any) -> None:
    assert function(SHORT, LONG, OTHER).bind(params).routine is chosen


@pytest.mark.parametrize(
    ("params", "message"),
    [
        pytest.param(
            ["x"],
            "ambiguous: several overloads take 1 parameter; pass it by name: "
            "public.f(id integer), public.f(email text)",
            id="ambiguous by position",
        ),
        pytest.param(
            [1, 2, 3],
            f"no overload takes 3 parameters: {FORMS}",
            id="none of that number",
        ),
        pytest.param(
            {"id": 1, "email": "x"},
            f"no overload takes these parameter names: {FORMS}",
            id="none of those names",
        ),
    ],
)
def test_no_overload_is_meant(params: Any, message: str) -> None:
    of = function(SHORT, LONG, OTHER)
    assert told(of, params) == message
    assert refused(of, params) == [("", "oneOf")]


def test_the_faults_are_those_of_the_overload_that_is_meant() -> None:
    assert refused(function(SHORT, LONG, OTHER), {"id": "x", "name": 1}) == [("/id", "type"), ("/name", "type")]


@pytest.mark.parametrize(("count", "fits"), [(0, True), (1, False), (2, False)])
def test_overloads_by_position_beside_a_variadic(count: int, fits: bool) -> None:
    """Where PostgreSQL has rules of preference a client is asked to say which."""
    of = function(SUM, routine(argument("x")), routine(argument("x"), argument("y")))
    if fits:
        assert of.bind([]).routine is SUM
    else:
        assert refused(of, [1] * count) == [("", "oneOf")]


# Session state


@pytest.mark.parametrize(
    ("volatility", "configured", "reset"),
    [
        ("volatile", None, True),
        ("stable", None, True),
        ("immutable", None, False),
        ("volatile", False, False),
        ("stable", False, False),
        ("immutable", True, True),
    ],
)
def test_reset(volatility: str, configured: bool | None, reset: bool) -> None:
    assert function(routine(volatility=volatility), reset=configured).bind([]).reset == reset


# The catalog


def test_a_method_is_found_by_its_exact_name() -> None:
    functions = samples.functions({"add": function(ADD, method="add"), "one": function(ONE, method="one")})
    assert functions.bind("add", [1, 2]).routine is ADD
    assert functions.methods == ("add", "one")
    for name in ("Add", "add ", "", "f", "public.f", "rpc.on", "pg_sleep"):
        with pytest.raises(errors.MethodNotFound):
            functions.bind(name, [1, 2])


def test_a_listed_method_is_unavailable_until_its_function_is_known() -> None:
    functions = catalog.Catalog(["add"])
    with pytest.raises(errors.Unavailable):
        functions.bind("add", [1, 2])
    with pytest.raises(errors.MethodNotFound):
        functions.bind("sub", [1, 2])


def test_who_may_call_and_how_often() -> None:
    web = catalog.Access(frozenset({"web"}), ratelimit.Rate(10))
    of = catalog.Catalog(["f", "g"], {}, {"f": web})
    assert of.access("f") is web
    assert of.access("g") == of.access("not listed") == catalog.Access(None, None)


def test_calls_can_share_what_checking_them_may_cost() -> None:
    slow = function(routine(argument("a", samples.TEXTS)), narrowed={"properties": {"a": {"items": {"format": "uri"}}}})
    of = samples.functions({"slow": slow})
    of.predicates = {"slow": slow}
    params: Any = [["http://a/" + "a" * 8000] * 10]
    for _ in range(5):
        of.bind("slow", params)
    with of.shared_budget(), pytest.raises(errors.InvalidParams, match="takes too long"):  # noqa: PT012
        for _ in range(5):
            of.bind("slow", params)
    of.bind("slow", params)


def test_whether_a_channel_may_be_heard_is_a_call() -> None:
    of = catalog.Catalog([])
    with pytest.raises(errors.Unavailable):
        of.ask("may_listen", "room.7")
    of.predicates = {"may_listen": function(routine(argument("channel", samples.TEXT)))}
    assert of.ask("may_listen", "room.7").arguments == ("room.7",)
