"""PostgreSQL's types as JSON Schema: what each takes and refuses, and which spellings are made one."""

from decimal import Decimal
from typing import Any

import pytest

from pgrpc.core.functions import pgtypes
from pgrpc.core.validation import schemas
from tests.support import samples

RANGE = pgtypes.Type(3904, "pg_catalog.int4range", "int4range", "range", samples.INT4)
MULTIRANGE = pgtypes.Type(4451, "pg_catalog.int4multirange", "int4multirange", "multirange", RANGE)
PAIR = samples.composite(x=samples.INT4, y=samples.TEXT)


def fits(of: pgtypes.Type, value: Any, typmod: int = -1) -> bool:
    whole = {"properties": {"value": pgtypes.schema(of, typmod)}, "$defs": pgtypes.definitions(of)}
    return schemas.check(schemas.compile(whole), {"value": value}) == []


def of_oid(oid: int) -> pgtypes.Type:
    return samples.base(oid, f"type {oid}")


@pytest.mark.parametrize(
    ("of", "good", "bad"),
    [
        pytest.param(samples.BOOL, [True, False], [0, 1, "t"], id="boolean"),
        pytest.param(samples.INT2, [-(2**15), 2**15 - 1], [-(2**15) - 1, 2**15, "1", True, Decimal("1.5")], id="int2"),
        pytest.param(samples.INT4, [-(2**31), 2**31 - 1], [-(2**31) - 1, 2**31, "1", [1]], id="int4"),
        pytest.param(samples.INT8, [-(2**63), 2**63 - 1], [-(2**63) - 1, 2**63, Decimal("1e999999999")], id="int8"),
        pytest.param(samples.OID, [0, 2**32 - 1], [-1, 2**32, "pg_class"], id="oid"),
        pytest.param(samples.NUMERIC, [1, Decimal("0.1"), Decimal("1e300")], ["1", True, "NaN"], id="numeric"),
        pytest.param(of_oid(700), [1, Decimal("0.1")], ["1"], id="float4"),
        pytest.param(samples.FLOAT8, [1, Decimal("0.1")], ["1", {}], id="float8"),
        pytest.param(of_oid(790), ["$1.50", 1, Decimal("1.5")], [True, []], id="money"),
        pytest.param(samples.TEXT, ["", "a" * 1000], [1, ["a"], {}], id="text"),
        pytest.param(of_oid(18), ["", "a"], ["ab", 1], id="char"),
        pytest.param(of_oid(19), ["a" * 63], ["a" * 64], id="name"),
        pytest.param(of_oid(17), ["\\x", "\\x00fF"], ["", "00", "\\x0", "\\xg0"], id="bytea"),
        pytest.param(samples.BIT, ["", "0101"], ["2", 1], id="bit"),
        pytest.param(
            of_oid(2950), ["01234567-89ab-CDEF-0123-456789abcdef"], ["", "01234567", "0" * 32, 1, "\ud800"], id="uuid"
        ),
        pytest.param(of_oid(1082), ["2024-02-29"], ["2023-02-29", "now", "2024-02-29T00:00:00", 20240229], id="date"),
        pytest.param(
            of_oid(1184),
            ["2024-02-29T12:00:00Z", "2024-02-29T12:00:00.123+02:00"],
            ["now", "01/02/2024", "2024-02-29", "2024-02-29T12:00:00", "2024-02-30T12:00:00Z"],
            id="timestamptz",
        ),
        pytest.param(
            of_oid(1114),
            ["2024-02-29T12:00:00.123", "2024-02-29 12:00", "12024-02-29T12:00:00"],
            ["2024-02-29", "2024-02-29T12:00:00Z", "now"],
            id="timestamp",
        ),
        pytest.param(of_oid(1083), ["12:00", "12:00:00.5"], ["12", "12:00:00Z", "noon"], id="time"),
        pytest.param(of_oid(1266), ["12:00:00+02", "12:00Z", "12:00-02:30"], ["12:00", "12:00 UTC"], id="timetz"),
        pytest.param(of_oid(1186), ["1 day", "P1D"], [1], id="interval"),
        pytest.param(samples.JSON, [1, "a", [], {}, True], [], id="json"),
        pytest.param(samples.JSONB, [1, "a", [], {}, True], [], id="jsonb"),
        *(
            pytest.param(of_oid(oid), ["a"], [1, {}, []], id=name)
            for oid, name in (
                (142, "xml"), (4072, "jsonpath"), (869, "inet"), (650, "cidr"), (829, "macaddr"), (774, "macaddr8"),
                (600, "point"), (601, "lseg"), (602, "path"), (603, "box"), (604, "polygon"), (628, "line"),
                (718, "circle"), (3614, "tsvector"), (3615, "tsquery"),
            )
        ),
        pytest.param(samples.enum("sad", "ok"), ["sad", "ok"], ["", "SAD", 1], id="enum"),
        pytest.param(of_oid(99999), [1, "a", [], {}, True], [], id="a type of an extension"),
        pytest.param(
            RANGE,
            ["empty", "EMPTY", " [1,2) ", "(,)", "[1,\n2]", "[\n,a,b]"],
            ["", "[1]", "1,2", "[1,2", "empty!", 1],
            id="range",
        ),
        pytest.param(MULTIRANGE, ["{}", "{[1,2),[3,4)}", "{\n}"], ["", "[1,2)", "{", 1], id="multirange"),
        pytest.param(
            PAIR,
            [{"x": 1, "y": "a"}, {}, {"x": None}],
            [{"x": "1"}, {"z": 1}, [1, "a"], "(1,a)"],
            id="composite",
        ),
        pytest.param(
            samples.INT4S, [[], [1, None], [[1, 2], [3, 4]], [[[1]]]], [1, ["a"], [["a"]], "{1}"], id="int4[]"
        ),
        pytest.param(samples.JSONBS, [[], [1, "a", [{}], None]], [{}, "{}"], id="jsonb[]"),
        pytest.param(
            samples.array(PAIR, 60001),
            [[{"x": 1}], [[{"x": 1}], [None]]],
            [{"x": 1}, [{"x": "a"}], [[{"z": 1}]]],
            id="composite[]",
        ),
        pytest.param(
            samples.composite(tags=samples.TEXTS, inner=PAIR),
            [{"tags": [["a"]], "inner": {"y": "a"}}],
            [{"tags": "a"}, {"tags": [1]}, {"inner": {"y": 1}}],
            id="composite of array and composite",
        ),
        pytest.param(samples.domain(samples.INT4), [1], ["a", 2**31], id="domain"),
        pytest.param(samples.domain(samples.INT4S), [[1], [[1]]], ["a", ["a"], [["a"]]], id="domain over array"),
    ],
)  # fmt: skip
def test_what_fits(of: pgtypes.Type, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(of, value)] == []
    assert [value for value in bad if fits(of, value)] == []
    assert fits(of, None)


@pytest.mark.parametrize(
    ("of", "nullable"),
    [
        pytest.param(samples.INT4, True, id="base"),
        pytest.param(samples.enum("a"), True, id="enum"),
        pytest.param(samples.domain(samples.INT4), True, id="domain"),
        pytest.param(samples.domain(samples.INT4, not_null=True), False, id="domain that is not null"),
        pytest.param(
            samples.domain(samples.domain(samples.INT4, not_null=True)), False, id="domain over one that is not null"
        ),
        pytest.param(samples.domain(samples.domain(samples.enum("a"))), True, id="domain over domain over enum"),
        pytest.param(samples.domain(samples.enum("a"), not_null=True), False, id="domain over enum, not null"),
        pytest.param(samples.domain(samples.JSONB), True, id="domain over json"),
    ],
)
def test_null(of: pgtypes.Type, nullable: bool) -> None:
    assert fits(of, None) == nullable


def test_null_inside() -> None:
    strict = samples.domain(samples.INT4, not_null=True)
    assert not fits(samples.array(strict, 60002), [1, None])
    assert fits(samples.array(strict, 60002), None)
    assert not fits(samples.composite(x=strict), {"x": None})
    # PostgreSQL itself makes what is left out NULL, and refuses it.
    assert fits(samples.composite(x=strict), {})


@pytest.mark.parametrize(
    ("of", "typmod", "good", "bad"),
    [
        pytest.param(samples.VARCHAR, 4 + 2, ["", "é😀", None], ["abc"], id="varchar(2)"),
        pytest.param(samples.CHAR, 4 + 2, ["a", "ab"], ["abc"], id="char(2)"),
        pytest.param(samples.BIT, 2, ["01"], ["0", "011", "02"], id="bit(2)"),
        pytest.param(samples.VARBIT, 2, ["", "0", "01"], ["011"], id="varbit(2)"),
        pytest.param(samples.NUMERIC, 655366, [Decimal("1e50")], ["a"], id="numeric(10,2): PostgreSQL rounds"),
        pytest.param(samples.VARCHAR, -1, ["a" * 100], [1], id="varchar"),
        pytest.param(samples.domain(samples.VARCHAR, typmod=4 + 2), -1, ["ab", None], ["abc"], id="domain"),
        pytest.param(
            samples.domain(samples.domain(samples.VARCHAR, typmod=4 + 2)),
            -1,
            ["ab"],
            ["abc"],
            id="domain over domain",
        ),
    ],
)
def test_length(of: pgtypes.Type, typmod: int, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(of, value, typmod)] == []
    assert [value for value in bad if fits(of, value, typmod)] == []


def test_length_of_a_column() -> None:
    code = pgtypes.Attribute("code", samples.VARCHAR, 4 + 2)
    of = pgtypes.Type(50003, "public.t", "t", "composite", attributes=(code,))
    assert fits(of, {"code": "ab"})
    assert not fits(of, {"code": "abc"})


def test_every_array_inside_is_defined_once() -> None:
    of = samples.composite(
        a=samples.INT4S,
        b=samples.domain(samples.INT4S),
        c=samples.array(samples.composite(d=samples.TEXTS), 60003),
    )
    assert pgtypes.definitions(of).keys() == {"array.1007", "array.60003", "array.1009"}
    assert pgtypes.definitions(samples.INT4) == {}


@pytest.mark.parametrize(
    "text",
    ["[" + "," * 60_000, "[,)" + " )" * 30_000 + "x", " " * 60_000, "[,)" + " " * 60_000 + "x"],
    ids=["commas", "ends", "space", "space behind"],
)
def test_a_long_text_does_not_hold_the_range_pattern(text: str) -> None:
    """With a pattern that tries every pair of commas each of these would take more than ten seconds."""
    assert not fits(RANGE, text)
    assert not fits(MULTIRANGE, text)


# Normalisers

HUGE = Decimal("1e999999999999999999")


def test_whole_numbers_become_integers() -> None:
    for of in (samples.INT2, samples.INT4, samples.INT8, samples.OID):
        normalise = pgtypes.normaliser(of)
        assert normalise is not None
        for given, wanted in ((Decimal("1.0"), 1), (Decimal("1e2"), 100), (Decimal("-0.0"), 0), (7, 7)):
            found = normalise(given)
            assert found == wanted
            assert type(found) is int


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.5"),
        HUGE,
        Decimal("1e999999999"),
        Decimal("1e-999999999"),
        True,
        None,
        "",
        "a",
        "1.0",
        "٣",
        " 1",
        "5\n",
    ],
    ids=repr,
)
@pytest.mark.parametrize("of", [samples.INT4, samples.INT8, samples.INT2], ids=lambda of: of.name)
def test_what_is_no_whole_number_stays_and_is_refused(of: pgtypes.Type, value: Any) -> None:
    normalise = pgtypes.normaliser(of)
    assert normalise is not None
    assert normalise(value) is value
    assert value is None or not fits(of, value)


@pytest.mark.parametrize(
    ("of", "given", "wanted"),
    [
        pytest.param(samples.INT8, "9223372036854775807", 2**63 - 1, id="int8: digits"),
        pytest.param(samples.INT8, "-0", 0, id="int8: -0"),
        pytest.param(samples.INT8, "+5", 5, id="int8: a sign"),
        pytest.param(samples.INT8, "007", 7, id="int8: zeros before"),
        pytest.param(samples.INT8, "1" * 20, int("1" * 20), id="int8: out of bounds, which the schema says"),
        pytest.param(samples.INT8, "1" * 31, "1" * 31, id="int8: too many digits"),
        pytest.param(samples.INT8, "1e2", "1e2", id="int8: an exponent"),
        pytest.param(samples.INT4, "5", "5", id="int4: digits are no number"),
        pytest.param(samples.NUMERIC, "0.10", Decimal("0.10"), id="numeric: digits"),
        pytest.param(samples.NUMERIC, "-1.5E-3", Decimal("-0.0015"), id="numeric: an exponent"),
        pytest.param(samples.NUMERIC, "1e1000000", "1e1000000", id="numeric: a huge exponent"),
        pytest.param(samples.NUMERIC, "NaN", "NaN", id="numeric: NaN"),
        pytest.param(samples.NUMERIC, "1_0", "1_0", id="numeric: what only Python takes"),
        pytest.param(samples.NUMERIC, "٣", "٣", id="numeric: digits that are not ASCII"),
        pytest.param(samples.NUMERIC, 5, 5, id="numeric: a number"),
        pytest.param(samples.domain(samples.INT8), "5", 5, id="domain"),
        pytest.param(samples.INT8S, ["5", Decimal("1.0"), None, ["7", ["8"]]], [5, 1, None, [7, [8]]], id="array"),
        pytest.param(samples.INT8S, "5", "5", id="no array"),
        pytest.param(
            samples.composite(a=samples.INT8, b=samples.TEXT, c=samples.INT8S),
            {"a": "5", "b": "5", "c": [["5"]], "d": "5"},
            {"a": 5, "b": "5", "c": [[5]], "d": "5"},
            id="composite",
        ),
        pytest.param(samples.composite(a=samples.INT8), ["5"], ["5"], id="no composite"),
        pytest.param(
            samples.array(samples.composite(a=samples.composite(b=samples.INT8)), 60004),
            [{"a": {"b": "5"}}, [{"a": {"b": "6"}}]],
            [{"a": {"b": 5}}, [{"a": {"b": 6}}]],
            id="array of composite of composite",
        ),
    ],
)
def test_normalised(of: pgtypes.Type, given: Any, wanted: Any) -> None:
    normalise = pgtypes.normaliser(of)
    assert normalise is not None
    found = normalise(given)
    assert found == wanted
    assert repr(found) == repr(wanted)


@pytest.mark.parametrize(
    "of",
    [
        samples.TEXT, samples.FLOAT8, samples.JSONB, samples.TEXTS, samples.domain(samples.TEXT),
        samples.composite(a=samples.TEXT), samples.enum("1"), RANGE, MULTIRANGE, samples.ANY,
    ],
    ids=lambda of: f"{of.kind} {of.name}",
)  # fmt: skip
def test_nothing_to_normalise(of: pgtypes.Type) -> None:
    assert pgtypes.normaliser(of) is None


@pytest.mark.parametrize(
    ("of", "bytes"),
    [
        pytest.param(samples.BOOL, 5, id="boolean"),
        pytest.param(samples.INT4, 11, id="integer"),
        pytest.param(samples.domain(samples.domain(samples.INT8)), 22, id="domain"),
        *(
            pytest.param(of, None, id=f"{of.kind} {of.name}")
            for of in (
                samples.TEXT,
                samples.NUMERIC,
                samples.JSONB,
                samples.INT4S,
                samples.VOID,
                samples.enum("a"),
            )
        ),
    ],
)
def test_the_longest(of: pgtypes.Type, bytes: int | None) -> None:
    assert pgtypes.longest(of) == bytes


@pytest.mark.parametrize(
    ("of", "scalar"),
    [
        *((of, True) for of in (samples.BOOL, samples.TEXT, samples.NUMERIC, samples.enum("a"), RANGE, MULTIRANGE)),
        *(
            (of, False)
            for of in (samples.JSON, samples.JSONB, samples.TEXTS, samples.composite(a=samples.TEXT), samples.ANY)
        ),
        (samples.domain(samples.TEXT), False),
    ],
    ids=lambda of: f"{of.kind} {of.name}" if isinstance(of, pgtypes.Type) else "",
)
def test_scalars(of: pgtypes.Type, scalar: bool) -> None:
    assert pgtypes.is_scalar(of) is scalar
