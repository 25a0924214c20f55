"""YAML text -> plain values with a position for each key and item.

Owns which YAML is accepted. The syntax is YAML 1.1's (PyYAML), the values are JSON's: only `true`, `false`, `null`,
nothing at all and decimal numbers are not text. Keys are always text. So `on:`, `no`, `1:30`, `010` and dates stay
what was typed. Must not know what the values mean.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from pgrpc.config import model

MAX_DEPTH = 32
MAX_REPEATED = 10_000
"""How many values aliases may repeat: a "billion laughs" ends here."""

_PLAIN = "pgrpc:plain"
_TEXT, _MAP, _LIST = (f"tag:yaml.org,2002:{name}" for name in ("str", "map", "seq"))
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


def plain(text: str) -> Any:
    """The value of a scalar that was written without quotes."""
    if text in _NULLS:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


class Unreadable(Exception):
    """Text that is not YAML, or YAML that is not accepted as a whole."""

    def __init__(self, position: model.Position, words: str) -> None:
        super().__init__(words)
        self.position = position
        self.words = words


@dataclass(slots=True)
class Tree:
    """value: dict, list, str, int, float, bool or None.

    faults: places with the position and what is wrong. invalid: those of them that have no value.
    """

    value: Any = None
    positions: dict[model.Place, model.Position] = field(default_factory=dict)
    faults: list[tuple[model.Place, model.Position, str]] = field(default_factory=list)
    invalid: set[model.Place] = field(default_factory=set)


class _Loader(yaml.SafeLoader):
    """Composes nodes only: what a scalar means is decided here."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return _MAP if kind is yaml.MappingNode else _LIST


def parse(data: bytes) -> Tree:
    """Raises Unreadable."""
    text = _decode(data)
    try:
        root = _Loader(text).get_single_node()
    except yaml.reader.ReaderError as error:
        raise Unreadable(
            _position(text, error.position), f"not YAML: it contains a character of code {error.character}"
        ) from None
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_at(error.problem_mark or error.context_mark), _words(error)) from None
    except RecursionError:
        raise Unreadable((1, 1), "nested too deeply") from None
    return _Builder().tree(root)


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise Unreadable(_position(before, len(before)), "not UTF-8: save the file as UTF-8") from None


def _position(text: str, index: int) -> model.Position:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _at(mark: yaml.Mark | None) -> model.Position:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _words(error: yaml.MarkedYAMLError) -> str:
    """What is wrong, without the text itself: it may contain a password."""
    problem, context = error.problem or "", error.context or ""
    if r"\t" in problem:
        return "YAML cannot be indented with tabs: use spaces"
    if problem.startswith("found undefined alias") or context == "while scanning an alias":
        return 'text that begins with * needs quotes, such as "*": without them YAML reads it as an alias'
    if context == "while scanning an anchor":
        return "text that begins with & needs quotes: without them YAML reads it as an anchor"
    if match := re.fullmatch(r"found character '(.)' that cannot start any token", problem):
        return f"text that begins with {match[1]} needs quotes"
    if problem == "but found another document":
        return "a second document (---) begins here: the configuration is one document"
    return "not YAML: " + ", ".join(part for part in (context, problem) if part)


class _Builder:
    """Nodes -> values. A node may be reached more than once, by its aliases, and may even hold itself."""

    def __init__(self) -> None:
        self._tree = Tree()
        self._seen: set[int] = set()
        self._repeated = 0

    def tree(self, root: yaml.Node | None) -> Tree:
        if root is not None:
            self._tree.value = self._value(root, ())
        return self._tree

    def _value(self, node: yaml.Node, place: model.Place) -> Any:
        self._bound(node, place)
        if node.tag not in (_PLAIN, _TEXT, _MAP, _LIST):
            self._fault(node, place, "tags (!name) are not supported: write the value itself")
            self._tree.invalid.add(place)
            return None
        match node:
            case yaml.MappingNode():
                return self._mapping(node, place)
            case yaml.SequenceNode():
                return [self._item(item, (*place, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, place)

    def _bound(self, node: yaml.Node, place: model.Place) -> None:
        if len(place) > MAX_DEPTH:
            raise Unreadable(_at(node.start_mark), f"nested deeper than {MAX_DEPTH} levels")
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        if self._repeated > MAX_REPEATED:
            words = f"aliases (*name) repeat more than {MAX_REPEATED} values: write them out"
            raise Unreadable(_at(node.start_mark), words)

    def _item(self, node: yaml.Node, place: model.Place) -> Any:
        self._tree.positions[place] = _at(node.start_mark)
        return self._value(node, place)

    def _mapping(self, node: yaml.MappingNode, place: model.Place) -> Mapping[str, Any]:
        built: dict[str, Any] = {}
        for key, value in node.value:
            name = self._key(key, place)
            if name is None:
                continue
            inner = (*place, name)
            if name in built:
                first = self._tree.positions[inner][0]
                self._fault(key, inner, f"given twice, first in line {first}: keep one of them")
                continue
            self._tree.positions[inner] = _at(key.start_mark)
            built[name] = self._value(value, inner)
        return built

    def _key(self, node: yaml.Node, place: model.Place) -> str | None:
        if not isinstance(node, yaml.ScalarNode) or node.tag not in (_PLAIN, _TEXT):
            self._fault(node, place, "a key must be text")
        elif node.tag == _PLAIN and node.value == "<<":
            self._fault(node, place, "merge keys (<<) are not supported: write the keys out")
        elif not _is_unicode(node.value):
            self._fault(node, place, "a key contains half a character (a lone surrogate): write the character itself")
        else:
            return str(node.value)
        return None

    def _scalar(self, node: yaml.Node, place: model.Place) -> Any:
        if not _is_unicode(node.value):
            self._fault(node, place, "contains half a character (a lone surrogate): write the character itself")
            self._tree.invalid.add(place)
            return None
        return plain(node.value) if node.tag == _PLAIN else node.value

    def _fault(self, node: yaml.Node, place: model.Place, words: str) -> None:
        self._tree.faults.append((place, _at(node.start_mark), words))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
