"""`dialects.eventserv` of config.yaml: what it says, and each fault with its place and words."""

from pathlib import Path

import pytest

from pgrpc import config
from pgrpc.compat import registry
from pgrpc.compat.eventserv.section import Eventserv

DSN = "database: {dsn: postgresql://h/d}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str) -> config.Config:
    Path("config.yaml").write_text(DSN + text)
    return config.load("config.yaml", {}, registry.dialects())


@pytest.mark.parametrize("on", ["", "true", "{}", "{channels: , assets: }"])
def test_nothing_is_said(on: str) -> None:
    assert load(f"dialects:\n  eventserv: {on}\n").dialects == {"eventserv": Eventserv()}


def test_all_is_said() -> None:
    Path("pages").mkdir()
    Path("pages/index.html").write_text("")
    found = load("""
channels: {people: }
dialects:
  eventserv:
    url_base: https://h/x
    assets: pages
    channels: [people, "room-[0-9]*", error, rpc.x, "rpc.*", "a{b}"]
""")
    listed = ("people", "room-[0-9]*", "error", "rpc.x", "rpc.*", "a{b}")
    assert found.dialects == {"eventserv": Eventserv("https://h/x", Path("pages"), listed)}
    assert found.channels == (config.Channel("people"),)
    assert load("dialects: {eventserv: {channels: []}}\n").dialects["eventserv"].channels == ()


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("1", "12: dialects.eventserv: must be true, false or a mapping (key: value), not a number"),
        ("{x: 1}", "24: dialects.eventserv.x: unknown key; known here: url_base, assets, channels"),
        (
            "{url_base: h}",
            "24: dialects.eventserv.url_base: must be a URL such as https://events.example.com, or empty",
        ),
        (
            "{assets: none}",
            "24: dialects.eventserv.assets: this folder has no index.html: name one that has, relative to this file",
        ),
        ("{channels: people}", "24: dialects.eventserv.channels: must be a list, not text: put it in brackets"),
        ("{channels: [a, 1]}", "38: dialects.eventserv.channels[1]: must be text, not a number: put it in quotes"),
        ("{channels: ['']}", "35: dialects.eventserv.channels[0]: must not be empty"),
        ("{channels: ['[']}", "35: dialects.eventserv.channels[0]: is not a POSIX pattern: a [ without its ]"),
        (
            f"{{channels: [{'é' * 32}]}}",
            "35: dialects.eventserv.channels[0]: the name has 64 bytes; PostgreSQL's limit is 63",
        ),
        (
            '{channels: ["a\\0"]}',
            "35: dialects.eventserv.channels[0]: a channel name cannot hold the character NUL",
        ),
    ],
)
def test_faults(section: str, expected: str) -> None:
    with pytest.raises(config.Invalid) as caught:
        load(f"dialects: {{eventserv: {section}}}\n")
    assert caught.value.faults == (f"config.yaml:2:{expected}",)


def test_native_channels_keep_their_own_rules() -> None:
    with pytest.raises(config.Invalid) as caught:
        load("channels: {error: }\ndialects: {eventserv: }\n")
    (fault,) = caught.value.faults
    assert fault.startswith("config.yaml:2:12: channels.error: client libraries use this name")


def test_a_key_that_channels_had_moved_here() -> None:
    with pytest.raises(config.Invalid) as caught:
        load("channels:\n  c:\n    glob: posix\n")
    words = "unknown key: remove it, and list POSIX patterns in dialects.eventserv.channels"
    assert caught.value.faults == (f"config.yaml:4:5: channels.c.glob: {words}",)
