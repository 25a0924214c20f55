"""A value and its schema: what it becomes, and where it is at fault."""

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from pgrpc.config import convert, model, schema
from pgrpc.config.faults import Faults
from pgrpc.core.limits import ratelimit


def ref(name: str, **more: Any) -> schema.Schema:
    return {"$ref": f"#/$defs/{name}", **more}


def or_empty(name: str) -> schema.Schema:
    return {"anyOf": [ref(name), {"type": "null"}], "default": None}


def converted(rule: schema.Schema, value: Any) -> Any:
    found = Faults(model.Marks("c.yaml"))
    made = convert.Converter(Path("/etc/pgrpc"), found).convert(rule, value, ("x",))
    assert found.lines() == []
    return made


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("duration", "500ms", 0.5),
        ("duration", 2, 2.0),
        ("size", "64KiB", 65536),
        ("size", 10.0, 10),
        ("rate", "10/s", ratelimit.Rate(10, 1)),
        ("rate", "100/min", ratelimit.Rate(100, 60)),
        ("file", "a/b.pem", Path("/etc/pgrpc/a/b.pem")),
        ("file", "/b.pem", Path("/b.pem")),
        ("origin", "https://A.example:443", "https://a.example"),
        ("host_name", "A.example.", "a.example"),
        ("network", "10.0.0.0/8", ipaddress.ip_network("10.0.0.0/8")),
        ("base_path", "api", "/api/"),
        ("header_name", "User-Agent", "user-agent"),
        ("claim_path", 'a."b.c"', ("a", "b.c")),
    ],
)
def test_kinds(kind: str, value: Any, expected: Any) -> None:
    made = converted(ref(kind), value)
    assert made == expected
    assert type(made) is type(expected)
    assert converted(or_empty(kind), value) == expected
    assert converted(or_empty(kind), None) is None


def test_every_kind_is_a_definition_of_the_schema() -> None:
    assert set(convert.KINDS) <= set(schema.DOCUMENT["$defs"])


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ({"type": "integer"}, 10.0, 10),
        ({"type": ["integer", "null"]}, 3, 3),
        ({"type": "number"}, 1.5, 1.5),
        ({"type": "string"}, "x", "x"),
        ({"enum": ["a", "b"]}, "a", "a"),
        ({"type": "boolean"}, False, False),
        ({"type": "array", "items": {"type": "string"}}, ["a", "b"], ("a", "b")),
        ({"type": "array", "items": ref("duration")}, ["1s", 2], (1.0, 2.0)),
        ({"type": ["string", "array"], "items": ref("header_name")}, "A", ("a",)),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 10.0, 10),
        ({"type": ["object", "null"], "default": {}}, None, {}),
        ({"type": ["object", "null"], "default": None}, None, None),
    ],
)
def test_plain_types(rule: schema.Schema, value: Any, expected: Any) -> None:
    made = converted(rule, value)
    assert made == expected
    assert type(made) is type(expected)


def test_a_section_of_any_schema() -> None:
    rule = {
        "type": "object",
        "properties": {
            "every": ref("duration", title="x", default="1s"),
            "inner": {"properties": {"size": ref("size")}},
        },
        "additionalProperties": {"properties": {"rate": or_empty("rate")}},
    }
    value = {"every": "2m", "inner": {"size": "1MiB"}, "a": {"rate": "1/s"}, "b": {"rate": None}}
    expected = {"every": 120.0, "inner": {"size": 1048576}, "a": {"rate": ratelimit.Rate(1)}, "b": {"rate": None}}
    assert converted(rule, value) == expected


def test_faults_have_their_places_and_leave_the_value_out() -> None:
    rule = {
        "properties": {
            "short": ref("duration", maximum=60),
            "sizes": {"type": "array", "items": ref("size", minimum=16)},
            "file": ref("file"),
            "fine": {"type": "string"},
        }
    }
    value = {"short": "2m", "sizes": ["1B", "16B"], "file": "-----BEGIN KEY-----", "fine": "x"}
    found = Faults(model.Marks("c.yaml"))
    assert convert.Converter(Path("."), found).convert(rule, value, ("s",)) == {"sizes": (16,), "fine": "x"}
    assert found.lines() == [
        "c.yaml:1:1: s.short: must be at most 60 seconds",
        "c.yaml:1:1: s.sizes[0]: must be at least 16 bytes",
        "c.yaml:1:1: s.file: must be the name of a file, not its content",
    ]
