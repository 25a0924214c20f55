"""Sections of `dialects`: what the configuration asks of whoever adds one, and what it gives back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pgrpc import config
from pgrpc.config import schema

DSN = "database: {dsn: postgresql://h/d}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@dataclass
class Section:
    """One with two keys, that finds fault with every second item of `words`."""

    schema: Mapping[str, Any] = field(
        default_factory=lambda: {
            "type": ["object", "boolean", "null"],
            "patternErrorMessage": "must be true, false or a mapping (key: value)",
            "additionalProperties": False,
            "properties": {
                "wait": {"$ref": "#/$defs/duration"},
                "words": {"type": "array", "items": {"type": "string"}},
            },
        }
    )
    given: list[config.Given] = field(default_factory=list)

    def read(self, given: config.Given) -> Any:
        self.given.append(given)
        for index in range(1, len(given.values.get("words", ())), 2):
            given.fault(("words", index), "is odd: remove it")
        return len(self.given)


def load(text: str, sections: config.Sections, file: str = "config.yaml") -> config.Config:
    Path(file).write_text(DSN + text)
    return config.load(file, {"WORD": "x"}, sections)


def faults(text: str, sections: config.Sections) -> list[str]:
    with pytest.raises(config.Invalid) as caught:
        load(text, sections)
    return [line.removeprefix("config.yaml:") for line in caught.value.faults]


@pytest.mark.parametrize("on", ["", "true", "{}", "~"])
def test_what_is_on_has_a_value(on: str) -> None:
    section = Section()
    found = load(f"dialects:\n  one: {on}\n  two: false\n", {"one": section, "two": Section(), "three": Section()})
    assert found.dialects == {"one": 1}
    assert section.given[0].values == {}


def test_what_a_section_is_given() -> None:
    section = Section()
    Path("etc").mkdir()
    found = load("channels: {a: , b.*: }\ndialects: {one: {words: [a]}}\n", {"one": section}, "etc/config.yaml")
    (given,) = section.given
    assert given.values == {"words": ("a",)}
    assert given.folder == Path("etc")
    assert given.channels == found.channels == (config.Channel("a"), config.Channel("b.*"))


def test_faults_have_their_place() -> None:
    section = Section()
    text = "dialects:\n  one:\n    words:\n      - a\n      - ${WORD}\n"
    assert faults(text, {"one": section}) == [
        "6:9: dialects.one.words[1]: is odd: remove it (from ${WORD})",
    ]


def test_faulty_values_and_channels_are_left_out() -> None:
    section = Section()
    text = "channels: {a: x}\ndialects: {one: {wait: never, words: [1, b, c]}}\n"
    lines = faults(text, {"one": section})
    assert [line.partition(": must be")[0] for line in lines] == [
        "2:12: channels.a", "3:18: dialects.one.wait", "3:39: dialects.one.words[0]",
        "3:45: dialects.one.words[2]: is odd: remove it",
    ]  # fmt: skip
    (given,) = section.given
    assert given.channels is None
    assert given.values == {"words": ("b", "c")}


@pytest.mark.parametrize(
    ("text", "sections", "expected"),
    [
        ("one: 1", ["one"], "dialects.one: must be true, false or a mapping (key: value), not a number"),
        ("one: {x: 1}", ["one"], "dialects.one.x: unknown key; known here: wait, words"),
        ("on: {x: 1}", ["one"], 'dialects.on: unknown key; did you mean "one"?'),
        ("xyz: ", ["one", "two"], "dialects.xyz: unknown key; known here: one, two"),
        ("one: ", [], "dialects.one: unknown key"),
    ],
)
def test_what_is_no_section(text: str, sections: list[str], expected: str) -> None:
    (fault,) = faults(f"dialects:\n  {text}\n", {name: Section() for name in sections})
    assert fault.partition(": ")[2] == expected


def test_the_schema_holds_those_that_there_are() -> None:
    made = schema.document({"one": {"type": "null"}})
    section = {**schema.definition("dialects"), "properties": {"one": {"type": "null"}}}
    assert made["properties"] == {**schema.DOCUMENT["properties"], "dialects": section}
    assert made["$defs"] == {**schema.DOCUMENT["$defs"], "dialects": section}
    assert {*made} == {*schema.DOCUMENT}


def test_values_are_of_the_kinds_that_a_section_names() -> None:
    """Also of a section that schemas/config.schema.json does not have."""
    section = Section()
    load("dialects: {one: {wait: 2m}}\n", {"one": section})
    assert section.given[0].values == {"wait": 120}


def test_a_key_that_moved_to_a_section() -> None:
    moved = Section({**Section().schema, "removedFrom": {"function": {"pause": "set dialects.one.wait"}}})
    text = "functions: {f: {pause: 1s}}\n"
    assert faults(text, {"one": moved}) == ["2:17: functions.f.pause: unknown key: set dialects.one.wait"]
    (line,) = faults(text, {"one": Section()})
    assert "dialects.one" not in line


def test_the_keys_of_channels_and_functions_name_no_section() -> None:
    definitions = json.dumps([rule for name, rule in schema.DOCUMENT["$defs"].items() if name != "dialects"])
    assert "dialects." not in definitions
