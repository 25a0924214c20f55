"""The listed functions against the database: each reason why one cannot be called, with the key at fault."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from pgrpc.core.functions import allowlist, pgtypes, routines
from pgrpc.core.wire import errors
from tests.support import samples
from tests.support.samples import CALLERS, argument, routine

Entry = partial(allowlist.Entry, "add", "public.add")
TYPES = "must be one of: array, boolean, integer, null, number, object, string"
ADD = routine(argument("a"), argument("b"), signature="public.add(integer, integer)")


def build(entry: allowlist.Entry, *found: routines.Routine, documents: Any = None) -> Any:
    return allowlist.build([entry], {entry.method: found}, documents or {}, CALLERS)


def problems(entry: allowlist.Entry, *found: routines.Routine, documents: Any = None) -> list[tuple[str | None, str]]:
    functions, faults = build(entry, *found, documents=documents)
    assert {problem.method for problem in faults} <= {entry.method}
    if faults:  # nothing starts half-configured
        with pytest.raises(errors.Unavailable):
            functions.bind(entry.method, [])
    return [(problem.key, str(problem.reason)) for problem in faults]


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
    assert problems(Entry()) == [("function", "the database has no function public.add")]


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
            "its argument x has the type any, which JSON cannot express",
            id="any",
        ),
        pytest.param(
            routine(argument("x", samples.ANYARRAY)),
            "its argument x has the type anyarray, which JSON cannot express",
            id="anyarray",
        ),
        pytest.param(
            routine(argument("x", samples.array(samples.RECORD, 2287), "variadic")),
            "its argument x has the type record[], which JSON cannot express",
            id="record[]",
        ),
    ],
)  # fmt: skip
def test_cannot_be_called(of: routines.Routine, reason: str) -> None:
    assert problems(Entry(), of) == [("function", f"{of.signature} cannot be called: {reason}")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"kind": "function"},
            "app lacks EXECUTE on function public.f(): GRANT EXECUTE ON FUNCTION public.f() TO app;",
        ),
        (
            {"kind": "procedure"},
            "app lacks EXECUTE on procedure public.f(): GRANT EXECUTE ON PROCEDURE public.f() TO app;",
        ),
        (
            {"lacks_usage": CALLERS, "schema": "my shop"},
            'app lacks USAGE on schema "my shop": GRANT USAGE ON SCHEMA "my shop" TO app;',
        ),
    ],
)
def test_a_missing_privilege(changes: Any, words: str) -> None:
    of = routine(executable_by=frozenset(("other",)), **changes)
    assert problems(Entry(), of) == [("function", words)]
    assert allowlist.build([Entry()], {"add": [of]}, {}, None)[1] == [], "not judged where the callers are not known"


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
    words = f"ambiguous: {first.signature_with_names} and {second.signature_with_names} take the same argument names; "
    expected = [("function", f"{words}write the one you mean, as in function: public.f(one)")] if ambiguous else []
    assert problems(Entry(), first, second) == expected


def test_every_pair_is_named() -> None:
    three = [routine(argument("a"), signature=f"public.f({i})") for i in range(3)]
    assert len(problems(Entry(), *three)) == 3


# Schemas written by hand


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"properties": {"a": {"minimum": 1}}}, [], id="fits"),
        pytest.param(
            {"properties": {"c": {}}}, ["the schema names 'c', but the function takes a, b"], id="unknown name"
        ),
        pytest.param(
            {"$schema": "http://json-schema.org/draft-07/schema#"},
            [
                '"$schema" is http://json-schema.org/draft-07/schema#, but only draft 2020-12 is supported: write '
                "https://json-schema.org/draft/2020-12/schema, or leave it out"
            ],
            id="another draft",
        ),
        pytest.param(
            {"type": "objekt"}, [f"not a valid schema at /type: {TYPES}; did you mean object?"], id="no schema"
        ),
        pytest.param(
            {"properties": {"a": {"$ref": "b.json"}, "b": {"format": "colour"}}},
            [
                "cannot resolve $ref 'b.json'",
                "unknown format 'colour': it would not be checked; write a pattern, or one of date, date-time, email, "
                "hostname, idn-email, ipv4, ipv6, regex, time, uri, uri-reference, uuid",
            ],
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
    assert str(faults[0].reason).startswith("anon and user lack EXECUTE on function public.f()")


def test_each_role_of_an_entry_must_be_able_to_execute_it() -> None:
    of = [routine(argument("a"), executable_by=frozenset(("user",))), routine(executable_by=frozenset(("boss",)))]
    callers = frozenset(("anon", "user", "boss"))
    _, faults = allowlist.build([Entry(roles=("anon", "boss", "user"))], {"add": of}, {}, callers)
    assert [(p.key, str(p.reason)) for p in faults] == [
        ("roles", f"anon lacks EXECUTE on function {form}: GRANT EXECUTE ON FUNCTION {form} TO anon;")
        for form in ("public.f(integer)", "public.f()")
    ]


def test_what_the_roles_of_an_entry_lack_is_reported_once() -> None:
    of = routine(executable_by=frozenset(("public",)))
    _, faults = allowlist.build([Entry(roles=("user",))], {"add": [of]}, {}, TWO)
    assert [p.key for p in faults] == ["roles"]


def test_a_role_that_no_client_has_is_reported_elsewhere() -> None:
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
    wanted = "the database has no function may(text) that returns boolean"
    assert str(caught.value) == f"{wanted}; found {', '.join(of.signature for of in others)}"
    with pytest.raises(allowlist.Unusable, match=r"returns boolean$"):
        allowlist.predicate("may", [], CALLERS)


def test_a_predicate_that_nobody_may_ask() -> None:
    of = routine(argument("channel", samples.TEXT), returns=samples.BOOL, executable_by=frozenset())
    with pytest.raises(allowlist.Unusable, match=r"app lacks EXECUTE on function public\.f\(text\)"):
        allowlist.predicate("may", [of], CALLERS)
    assert allowlist.predicate("may", [of], None).overloads[0].routine is of


def test_a_hook() -> None:
    right = routine(executable_by=TWO)
    assert allowlist.hook("check", [routine(argument("a")), right], TWO) is right
    with pytest.raises(
        allowlist.Unusable, match=r"no function check\(\) without arguments; found public\.f\(integer\)"
    ):
        allowlist.hook("check", [routine(argument("a"))], TWO)
    with pytest.raises(allowlist.Unusable, match="no function check"):
        allowlist.hook("check", [routine(kind="procedure")], TWO)


def test_a_hook_that_one_caller_may_not_run() -> None:
    of = routine(executable_by=frozenset(("user",)))
    with pytest.raises(allowlist.Unusable, match="anon lacks EXECUTE on function"):
        allowlist.hook("check", [of], TWO)
    assert allowlist.hook("check", [of], None) is of
    with pytest.raises(allowlist.Unusable, match=r"public.f\(\) cannot be called: it returns trigger"):
        allowlist.hook("check", [routine(returns=samples.TRIGGER)], CALLERS)


def test_what_is_allowed_but_probably_not_intended() -> None:
    of = routine(is_open_definer=True, schema="Shop", kind="procedure")
    (words,) = allowlist.warnings(of)
    assert "public.f() is SECURITY DEFINER without a search_path" in words
    assert words.endswith(': ALTER PROCEDURE "Shop".f() SET search_path = "Shop", pg_temp;')
    assert allowlist.warnings(ADD) == []


def test_what_public_may_execute_is_granted_before_it_is_revoked() -> None:
    of = [routine(is_public=True), routine(argument("a"), is_public=True), routine(kind="procedure", is_public=True)]
    first, second = allowlist.public_warnings([*of, ADD], {"web", "Boss"})
    assert first == (
        "PUBLIC may execute public.f(), public.f(integer), so in the database these roles restrict nobody: "
        'GRANT EXECUTE ON FUNCTION public.f(), public.f(integer) TO "Boss", web; '
        "REVOKE EXECUTE ON FUNCTION public.f(), public.f(integer) FROM PUBLIC;"
    )
    assert second.endswith("REVOKE EXECUTE ON PROCEDURE public.f() FROM PUBLIC;")
    assert list(allowlist.public_warnings([ADD], {"web"})) == []
