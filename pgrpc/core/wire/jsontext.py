"""JSON text (RFC 8259) in and out without losing anything: exact numbers, strict grammar, source spelling.

Owns the one decoder and the one encoder for what clients send. Numbers with a fraction or an exponent become
Decimal, so that no value passes through a float. Must not know what a message means.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import accumulate
from typing import Any, NoReturn

MAX_DEPTH = 256
"""How many arrays and objects may be inside each other. Pythons differ in how deep they parse: 1,000 levels on 3.11,
over 30,000 on 3.14, where looking at such a value can then take half a second."""


class TooDeep(ValueError):
    """JSON text that is nested deeper than MAX_DEPTH."""

    def __init__(self) -> None:
        super().__init__(f"nested deeper than {MAX_DEPTH} levels")


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _encoder_kept(encoder: json.JSONEncoder) -> Callable[[Any, int], Iterable[str]]:
    """What `encoder.encode` makes anew for each value, and joins: that is half of the time of a small one.

    Where Python has no such thing (it is CPython's, in C, and not documented), what is documented does.
    """
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, level: (encoder.encode(value),)
    escape = json.encoder.encode_basestring
    made: Callable[[Any, int], Iterable[str]] = make(
        None, encoder.default, escape, None, encoder.key_separator, encoder.item_separator, False, False, False
    )
    return made


_decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=_reject_constant)
# `len` stands for "read over it": the text is only checked, no number is made, however many digits it has.
_checker = json.JSONDecoder(parse_float=len, parse_int=len, parse_constant=_reject_constant)
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_chunks = _encoder_kept(_encoder)
_space = re.compile(r"[ \t\n\r]*")
_separator = re.compile(r"[ \t\n\r]*[,:]?[ \t\n\r]*")
_token = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^ \t\n\r{}\[\],:"]+')
_STEPS = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")
"""What each bracket adds to the depth, as a signed byte."""
_NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)) - set(b'[{]}"'))


def check_depth(text: str) -> None:
    """Raises TooDeep, before anything recurses into the text. It need not be JSON."""
    # JSON that is too deep has at least two brackets for each level. Most messages have fewer: they cost 0.06 us.
    if len(text) <= 2 * MAX_DEPTH or text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    marks = text.encode("utf-8", "replace").translate(None, _NEITHER_BRACKET_NOR_QUOTE)
    outside = b"".join(marks.split(b'"')[::2])  # of strings
    if max(accumulate(memoryview(outside.translate(_STEPS)).cast("b")), default=0) > MAX_DEPTH:
        raise TooDeep


def parse(text: str) -> Any:
    """The value of a JSON text: dict, list, str, int, Decimal, bool or None.

    Raises TooDeep, and ValueError for anything else: NaN, a number that Python cannot hold (an integer over 4,300
    digits, an exponent over 18 digits).
    """
    check_depth(text)
    try:
        return _whole(text)
    except ArithmeticError as error:
        raise ValueError("a number out of range") from error


def _whole(text: str) -> Any:
    if text[:1].isspace():
        return _decoder.decode(text)
    # What nearly every client sends has no white space around it; looking for that takes `decode` half of its time.
    value, end = _decoder.raw_decode(text)
    if end != len(text) and _skip(text, end) != len(text):
        raise ValueError("more than one value")
    return value


def is_valid(text: str) -> bool:
    """Whether the text is strictly valid JSON, of any kind, and not nested deeper than MAX_DEPTH."""
    try:
        check_depth(text)
        _checker.decode(text)
    except ValueError:
        return False
    return True


def dump(value: Any) -> str:
    """The JSON text of a value from `parse`, numbers exact. Raises RecursionError where it is nested too deep."""
    try:
        return "".join(_chunks(value, 0))
    except TypeError:  # a Decimal is inside: the standard encoder cannot write one as a number
        return _dump_exact(value)


def _dump_exact(value: Any) -> str:
    match value:
        case Decimal():
            return str(value)
        case dict():
            return "{" + ",".join(f"{_encoder.encode(k)}:{_dump_exact(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_dump_exact, value)) + "]"
    return _encoder.encode(value)


def indent(text: str) -> str:
    """The same JSON text, one member or element a line, indented with tabs; everything but the white space untouched.

    Raises ValueError where it is not JSON, or nested deeper than MAX_DEPTH: each level costs a tab in every line.
    """
    if not is_valid(text):
        raise ValueError(f"not JSON, or nested deeper than {MAX_DEPTH} levels")
    written: list[str] = []
    depth = 0
    tokens = _token.findall(text)
    for before, token in zip(["", *tokens], tokens, strict=False):
        closes = token in ("}", "]")
        depth -= closes
        if (before in ("{", "[") and not closes) or (closes and before not in ("{", "[")) or before == ",":
            written.append("\n" + "\t" * depth)
        written.append(": " if token == ":" else token)
        depth += token in ("{", "[")
    return "".join(written)


def elements(text: str) -> Iterator[str]:
    """The source text of each element of a JSON array. `text` must be valid JSON.

    Results of the database may be nested deeper than MAX_DEPTH. Raises RecursionError where Python cannot follow.
    """
    for start, end in _items(text, text.index("[")):
        yield text[start:end]


def member(text: str, name: str) -> str:
    """The source text of a member of a JSON object; of several of that name the last, as `parse` takes it.

    `text` must be a valid JSON object that has the member.
    """
    source = None
    plain = f'"{name}"'
    key_span: tuple[int, int] | None = None
    for span in _items(text, text.index("{")):
        if key_span is None:
            key_span = span
        else:
            key = text[slice(*key_span)]
            if key == plain or ("\\" in key and _decoder.decode(key) == name):
                source = text[slice(*span)]
            key_span = None
    if source is None:
        raise AssertionError("the caller has seen the member in the parsed value")
    return source


def members(text: str) -> Iterator[tuple[str, str]]:
    """The source texts of name and value of each member of a JSON object. `text` must be valid JSON.

    Raises RecursionError where it is nested too deep for Python.
    """
    spans = _items(text, text.index("{"))
    for key, value in zip(spans, spans, strict=True):
        yield text[slice(*key)], text[slice(*value)]


def _items(text: str, opening: int) -> Iterator[tuple[int, int]]:
    """Start and end of each value in the array, or of each key and value in the object, that begins at `opening`."""
    index = _skip(text, opening + 1)
    while text[index] not in "]}":
        _, end = _checker.raw_decode(text, index)
        yield index, end
        match = _separator.match(text, end)
        assert match is not None  # the pattern matches the empty string
        index = match.end()


def _skip(text: str, index: int) -> int:
    match = _space.match(text, index)
    assert match is not None  # the pattern matches the empty string
    return match.end()
