"""Formats: which there are, and that none takes long."""

import time
import warnings

import pytest

from pgrpc.core.validation import formats


def test_which_formats_there_are() -> None:
    """A package that happens to be installed adds none: a schema means the same on every machine."""
    assert sorted(formats.CHECKS) == [
        "date", "date-time", "email", "hostname", "idn-email", "ipv4", "ipv6", "regex", "time", "uri", "uri-reference",
        "uuid",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", ["2024-02-29"], ["2023-02-29", "20240229", ""]),
        ("date-time", ["2024-02-29T00:00:00Z", "2024-02-29t00:00:00.5+01:00"], ["2024-02-29", "2024-02-29T00:00:00"]),
        ("time", ["12:00:00Z", "12:00:00.5-01:00"], ["12:00:00", "25:00:00Z"]),
        ("uuid", ["01234567-89ab-cdef-0123-456789abcdef"], ["01234567", "0123456789abcdef0123456789abcdef"]),
        ("email", ["a@b"], ["a"]),
        ("idn-email", ["é@b"], ["é"]),
        ("hostname", ["a.example", "a"], ["-a", "a..b", "é", ""]),
        ("ipv4", ["127.0.0.1"], ["256.0.0.1", "127.1", "٣.0.0.1"]),
        ("ipv6", ["::1"], ["1.2.3.4", "::1%eth0"]),
        ("uri", ["http://a/b", "urn:x"], ["a b", "/a", "a"]),
        ("uri-reference", ["http://a/b", "/a", "a"], ["a b"]),
        ("regex", ["a", "(?=a)", "[[a]"], ["(", "a{" + "9" * 30 + "}", "(" * 1000]),
    ],
)
def test_formats(name: str, good: list[str], bad: list[str]) -> None:
    conforms = formats.CHECKS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [text for text in good if not conforms(text)] == []
        assert [text for text in [*bad, "\ud800\0"] if conforms(text) and name != "regex"] == []
        assert [text for text in bad if conforms(text)] == []


@pytest.mark.parametrize("name", sorted(formats.CHECKS))
@pytest.mark.parametrize("piece", ["a", "a.", "/", "{", "0", "²", "é", "[-", "(", "\ud800", "1:", "%", "a@", "P1", "~"])
def test_no_format_takes_long(name: str, piece: str) -> None:
    """Some take seconds for 64 KiB, and jsonschema's expect fewer kinds of errors than there are."""
    conforms = formats.CHECKS[name]
    begin = time.process_time()
    for start in ("", "a://", "P", "1970-01-01T00:00:00.", "{", "a{"):
        for length in (1000, 8000, 65_000):
            conforms((start + piece * length)[:length])
            conforms((start + piece * length)[: length - 1] + "!")
    assert time.process_time() - begin < 1.5  # of 36; alone 0.1


def test_a_text_that_is_too_long_has_no_format() -> None:
    assert formats.CHECKS["email"]("@" * 8192)
    assert not formats.CHECKS["email"]("@" * 8193)
    assert formats.CHECKS["regex"]("a" * 1024)
    assert not formats.CHECKS["regex"]("a" * 1025)


def test_the_price_of_a_text_has_a_bound_too() -> None:
    assert formats.work("email", "@" * 8192) == formats.work("email", "@" * 10**6) > formats.work("email", "@")
    assert formats.work("regex", "a" * 1024) == formats.work("regex", "a" * 10**6) > formats.work("regex", "a")
