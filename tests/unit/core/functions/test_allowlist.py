"""The whitelist against the database: each reason why a listed function cannot be called, with the key at fault."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from pgrpc.core.functions import allowlist, pgtypes, routines
from pgrpc.core.wire import errors
from tests.support import samples
from tests.support.samples import CALLERS, argument, routine

Entry = partial(allowlist.Entry, "add", "public.add")
ADD = routine(argument("a"), argument("b"), signature="public.add(integer, integer)")


def build(entry: allowlist.Entry, *found: routines.Routine, documents: Any = None) -> Any:
    return allowlist.build([entry], {entry.method: found}, documents or {}, CALLERS)


def problems(entry: allowlist.Entry, *found: routines.Routine, documents: Any = None) -> list[tuple[str | None, str]]:
    functions, faults = build(entry, *found, documents=documents)
    assert {problem.method for problem in faults} <= {entry.method}
    if faults:  # nothing starts half-configured
        with pytest.raises(errors.Unavailable):
            functions.bind(entry.method, [])
    return [(problem.key, problem.message) for problem in faults]


def with_schema(document: Any, uri: str = "file:///own.json") -> allowlist.Entry:
    return Entry(params=allowlist.SchemaFile(uri, document))


def test_what_is_listed_and_there_can_be_called() -> None:
    functions, faults = build(Entry(), ADD)
    assert faults == []
    call = functions.bind("add", [1, 2])
    assert (call.routine, call.timeout, call.numbers, call.reset) == (ADD, None, "number", True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"timeout": 2.0}, (2.0, "number", True), id="timeout"),
        pytest.param({"timeout": 0.0}, (0.0, "number", True), id="a timeout of 0"),
        pytest.param({"numbers": "string"}, (None, "string", True), id="numbers"),
        pytest.param({"reset": False}, (None, "number", False), id="reset"),
    ],
)
def test_the_entry_goes_before_the_defaults(changes: Any, expected: tuple[Any, ...]) -> None:
    functions, _ = build(replace(Entry(), **changes), ADD)
    call = functions.bind("add", [1, 2])
    assert (call.timeout, call.numbers, call.reset) == expected


def test_a_function_that_is_not_there() -> None:
    assert problems(Entry()) == [("function", "the database has no function public.add that is visible here")]


def test_a_method_the_database_was_not_asked_about() -> None:
    functions, faults = allowlist.build([Entry()], {}, {}, CALLERS)
    assert [problem.key for problem in faults] == ["function"]
    assert functions.methods == ("add",)


def test_the_others_are_built_all_the_same() -> None:
    entries = [allowlist.Entry("gone", "gone"), Entry(), allowlist.Entry("lost", "lost")]
    functions, faults = allowlist.build(entries, {"add": [ADD]}, {}, CALLERS)
    assert [problem.method for problem in faults] == ["gone", "lost"]
    assert functions.methods == ("gone", "add", "lost")
    assert functions.bind("add", [1, 2]).routine is ADD


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        pytest.param(routine(kind="aggregate"), "it is an aggregate function", id="aggregate"),
        pytest.param(routine(kind="window"), "it is a window function", id="window"),
        pytest.param(routine(returns=samples.TRIGGER), "it returns trigger", id="trigger"),
        *(
            pytest.param(
                routine(returns=pgtypes.Type(1, name, name, "pseudo")), f"it returns {name}", id=name
            )
            for name in (
                "event_trigger", "internal", "language_handler", "index_am_handler", "table_am_handler", "fdw_handler",
                "tsm_handler",
            )
        ),
        pytest.param(
            routine(argument("x", samples.ANY)),
            "its argument x has the type any, which JSON cannot stand for",
            id="any",
        ),
        pytest.param(
            routine(argument("x", samples.ANYARRAY)),
            "its argument x has the type anyarray, which JSON cannot stand for",
            id="anyarray",
        ),
        pytest.param(
            routine(argument("x", samples.array(samples.RECORD, 2287), "variadic")),
            "its argument x has the type record[], which JSON cannot stand for",
            id="record[]",
        ),
        pytest.param(
            routine(executable_by=frozenset(("other",))),
            "it may not be executed by app: that takes USAGE on its schema, and EXECUTE "
            "(GRANT EXECUTE ON FUNCTION ...)",
            id="no privilege",
        ),
        pytest.param(
            routine(executable_by=frozenset(), kind="procedure"),
            "it may not be executed by app: that takes USAGE on its schema, and EXECUTE "
            "(GRANT EXECUTE ON PROCEDURE ...)",
            id="no privilege on a procedure",
        ),
    ],
)  # fmt: skip
def test_cannot_be_called(of: routines.Routine, reason: str) -> None:
    assert problems(Entry(), of) == [("function", f"{of.signature} cannot be called: {reason}")]


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(routine(returns=samples.VOID), id="returns void"),
        pytest.param(routine(returns=samples.RECORD), id="returns record"),
        pytest.param(routine(kind="procedure", returns=samples.VOID), id="procedure"),
        pytest.param(routine(argument("x", samples.ANY, "out")), id="a pseudo-type that is only an output"),
        pytest.param(
            routine(returns=pgtypes.Type(1, "public.trigger", "trigger", "composite")), id="a type called trigger"
        ),
    ],
)
def test_can_be_called(of: routines.Routine) -> None:
    assert problems(Entry(), of) == []


def test_every_overload_must_be_callable() -> None:
    aggregate = routine(argument("c"), kind="aggregate", signature="public.add(c)")
    assert problems(Entry(), ADD, aggregate) == [
        ("function", "public.add(c) cannot be called: it is an aggregate function")
    ]


# Overloads


@pytest.mark.parametrize(
    ("one", "other", "ambiguous"),
    [
        pytest.param([argument("a")], [argument("a", samples.TEXT)], True, id="the same names"),
        pytest.param([argument("$1")], [argument("$1", samples.TEXT)], True, id="unnamed"),
        pytest.param([argument("a")], [argument("b")], False, id="other names"),
        pytest.param([argument("a")], [argument("a"), argument("b")], False, id="more names"),
        pytest.param([argument("a")], [argument("a"), argument("b", default=True)], True, id="a default more"),
        pytest.param(
            [argument("a", default=True)], [argument("b", default=True)], True, id="nothing given fits both"
        ),
        pytest.param(
            [argument("a"), argument("b", default=True)], [argument("b"), argument("a", default=True)], True,
            id="defaults that cross",
        ),
        pytest.param([argument("a")], [argument("a"), argument("x", mode="out")], True, id="an output more"),
        pytest.param(
            [argument("a", default=True), argument("b")], [argument("a", default=True), argument("c")], False,
            id="a default in common",
        ),
    ],
)  # fmt: skip
def test_overloads_that_names_cannot_tell_apart(one: Any, other: Any, ambiguous: bool) -> None:
    first, second = routine(*one, signature="public.f(one)"), routine(*other, signature="public.f(other)")
    words = "public.f(one) and public.f(other) take the same argument names: name the one meant, "
    expected = [("function", f"{words}as in `function: public.f(one)`")] if ambiguous else []
    assert problems(Entry(), first, second) == expected


def test_every_pair_is_named() -> None:
    three = [routine(argument("a"), signature=f"public.f({i})") for i in range(3)]
    assert len(problems(Entry(), *three)) == 3


# Schemas written by hand


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"properties": {"a": {"minimum": 1}}}, [], id="fits"),
        pytest.param(True, [], id="true"),
        pytest.param({"type": "object", "required": ["a"]}, [], id="an object"),
        pytest.param({"type": ["object", "null"]}, [], id="an object or null"),
        pytest.param({"type": "array"}, ["the schema must describe an object: the arguments by name"], id="an array"),
        pytest.param(
            {"type": ["array", "null"]}, ["the schema must describe an object: the arguments by name"], id="two others"
        ),
        pytest.param(
            {"properties": {"c": {}}}, ["the schema names 'c', but the function takes a, b"], id="unknown name"
        ),
        pytest.param(
            {"properties": {"a": {}}, "required": ["c", "a"]},
            ["the schema names 'c', but the function takes a, b"],
            id="unknown name that is required",
        ),
        pytest.param(
            {"properties": {"c": {}}, "required": ["c"]},
            ["the schema names 'c', but the function takes a, b"],
            id="an unknown name is told once",
        ),
        pytest.param(
            {"properties": {"a": {"type": "string"}}},
            ["the schema wants 'a' to be string, which its type never is"],
            id="another type",
        ),
        pytest.param(
            {"properties": {"a": {"type": ["string", "array"]}}},
            ["the schema wants 'a' to be array or string, which its type never is"],
            id="other types",
        ),
        pytest.param({"properties": {"a": {"type": "number"}}}, [], id="an integer is a number"),
        pytest.param({"properties": {"a": {"type": ["string", "integer"]}}}, [], id="one of the types fits"),
        pytest.param({"properties": {"a": {"type": "null"}}}, [], id="null"),
        pytest.param({"properties": {"a": True, "b": {}}}, [], id="nothing said"),
        pytest.param({"$schema": "http://json-schema.org/draft-03/schema#", "required": True}, [], id="draft-03"),
        pytest.param(
            {"type": "array", "properties": {"c": {}, "a": {"type": "object"}}},
            [
                "the schema names 'c', but the function takes a, b",
                "the schema must describe an object: the arguments by name",
                "the schema wants 'a' to be object, which its type never is",
            ],
            id="all at once",
        ),
        pytest.param(
            {"type": "objekt"}, ["not a valid schema at /type: fits none of the forms allowed"], id="no schema"
        ),
        pytest.param(
            {"properties": {"a": {"$ref": "b.json"}, "b": {"format": "colour"}}},
            ["cannot resolve $ref 'b.json'", "unknown format 'colour': it would not be checked"],
            id="unusable",
        ),
    ],
)
def test_schema(document: Any, expected: list[str]) -> None:
    assert problems(with_schema(document), ADD) == [("params", message) for message in expected]


def test_a_schema_may_refer_to_the_documents_given() -> None:
    entry = with_schema({"properties": {"a": {"$ref": "small.json"}}})
    functions, faults = build(entry, ADD, documents={"file:///small.json": {"maximum": 5}})
    assert faults == []
    assert functions.bind("add", [5, 6]).names == ("a", "b")
    with pytest.raises(errors.InvalidParams) as caught:
        functions.bind("add", [6, 6])
    assert [(fault["path"], fault["rule"]) for fault in caught.value.data] == [("/0", "maximum")]


@pytest.mark.parametrize(
    ("of", "asked", "fits"),
    [
        pytest.param(samples.TEXT, "string", True, id="text"),
        pytest.param(samples.NUMERIC, "integer", True, id="numeric can be an integer"),
        pytest.param(samples.INT8, "string", False, id="int8: digits have become an integer by then"),
        pytest.param(samples.enum("a"), "string", True, id="enum"),
        pytest.param(samples.JSONB, "array", True, id="json can be anything"),
        pytest.param(samples.INT4S, "array", True, id="array"),
        pytest.param(samples.INT4S, "integer", False, id="array is no integer"),
        pytest.param(samples.domain(samples.INT4, not_null=True), "null", False, id="never null"),
    ],
)
def test_schema_against_type(of: pgtypes.Type, asked: str, fits: bool) -> None:
    entry = with_schema({"properties": {"x": {"type": asked}}})
    assert (problems(entry, routine(argument("x", of))) == []) == fits


def test_a_schema_for_overloads_may_name_what_any_of_them_takes() -> None:
    found = routine(argument("id")), routine(argument("email", samples.TEXT)), routine(argument("id"), argument("x"))
    entry = with_schema({"properties": {"id": {"type": "integer"}, "email": {"type": "string"}}})
    assert problems(entry, *found) == []
    wrong = with_schema({"properties": {"id": {"type": "string"}, "y": {}}})
    assert problems(wrong, *found) == [
        ("params", "the schema names 'y', but the function takes email, id, x"),
        ("params", "the schema wants 'id' to be string, which its type never is"),
    ]


def test_a_schema_for_no_arguments() -> None:
    assert problems(with_schema({"required": ["a"]}), routine()) == [
        ("params", "the schema names 'a', but the function takes no arguments")
    ]


def test_a_function_that_is_missing_is_not_blamed_on_the_schema() -> None:
    assert [key for key, _ in problems(with_schema({"required": ["a"]}))] == ["function"]


def test_faults_of_the_function_and_of_the_schema_are_found_at_once() -> None:
    assert [key for key, _ in problems(with_schema({"type": 5}))] == ["function", "params"]


TWO = frozenset(("anon", "user"))


def test_one_caller_that_may_execute_it_is_enough() -> None:
    of = routine(executable_by=frozenset(("user", "public")))
    _, faults = allowlist.build([Entry()], {"add": [of]}, {}, TWO)
    assert faults == []
    _, faults = allowlist.build([Entry()], {"add": [routine(executable_by=frozenset(("public",)))]}, {}, TWO)
    assert "it may not be executed by anon or user" in faults[0].message


def test_each_role_of_an_entry_must_be_able_to_execute_it() -> None:
    of = [routine(argument("a"), executable_by=frozenset(("user",))), routine(executable_by=frozenset(("boss",)))]
    callers = frozenset(("anon", "user", "boss"))
    _, faults = allowlist.build([Entry(roles=("anon", "boss", "user"))], {"add": of}, {}, callers)
    assert [(p.key, p.message) for p in faults] == [("roles", "anon may not execute it (GRANT EXECUTE ON ... TO anon)")]


def test_a_role_that_no_client_has_is_told_elsewhere() -> None:
    _, faults = allowlist.build([Entry(roles=("nobody",))], {"add": [ADD]}, {}, CALLERS)
    assert faults == []


def test_a_predicate() -> None:
    right = routine(argument("channel", samples.TEXT), returns=samples.BOOL)
    others = [
        routine(argument("channel", samples.VARCHAR), returns=samples.BOOL),
        routine(argument("channel", samples.TEXT), returns=samples.TEXT),
        routine(argument("channel", samples.TEXT), returns=samples.BOOL, returns_set=True),
        routine(argument("channel", samples.TEXT), argument("x", default=True), returns=samples.BOOL),
        routine(returns=samples.BOOL),
    ]
    function = allowlist.predicate("may", [*others, right], CALLERS)
    call = function.bind(["a.b"])
    assert (call.routine, call.arguments, call.timeout) == (right, ("a.b",), None)
    with pytest.raises(allowlist.Unusable) as caught:
        allowlist.predicate("may", others, CALLERS)
    wanted = "the database has no function may(text) that returns boolean that is visible here"
    assert str(caught.value) == wanted + "".join(f"; {of.signature} is another" for of in others)


def test_a_predicate_that_nobody_may_ask() -> None:
    of = routine(argument("channel", samples.TEXT), returns=samples.BOOL, executable_by=frozenset())
    with pytest.raises(allowlist.Unusable, match=r"public\.f\(text\) cannot be called: it may not be executed by app"):
        allowlist.predicate("may", [of], CALLERS)


def test_a_hook() -> None:
    right = routine(executable_by=TWO)
    assert allowlist.hook("check", [routine(argument("a")), right], TWO) is right
    with pytest.raises(
        allowlist.Unusable, match=r"no function check\(\) without arguments .*; public\.f\(integer\) is"
    ):
        allowlist.hook("check", [routine(argument("a"))], TWO)
    with pytest.raises(allowlist.Unusable, match="no function check"):
        allowlist.hook("check", [routine(kind="procedure")], TWO)


def test_a_hook_that_one_caller_may_not_run() -> None:
    with pytest.raises(allowlist.Unusable, match="it may not be executed by anon:"):
        allowlist.hook("check", [routine(executable_by=frozenset(("user",)))], TWO)


def test_doubts() -> None:
    of = routine(is_open_definer=True, is_public=True)
    assert "SECURITY DEFINER without a search_path" in allowlist.doubts(of)[0]
    assert "PUBLIC may execute public.f()" in allowlist.public_doubts(of)[0]
    assert allowlist.doubts(ADD) == allowlist.public_doubts(ADD) == []
