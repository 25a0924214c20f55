"""`dialects.postgresql2websocket` of config.yaml: what it says, and each fault with its place and words."""

from pathlib import Path

import pytest

from pgrpc import config
from pgrpc.compat import registry
from pgrpc.compat.postgresql2websocket.section import Postgresql2websocket

DSN = "database: {dsn: postgresql://h/d}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(section: str) -> config.Config:
    Path("config.yaml").write_text(f"{DSN}dialects: {{postgresql2websocket: {section}}}\n")
    return config.load("config.yaml", {}, registry.dialects())


@pytest.mark.parametrize("on", ["", "true", "{}", "{channels: }"])
def test_nothing_is_said(on: str) -> None:
    assert load(on).dialects == {"postgresql2websocket": Postgresql2websocket()}


def test_its_own_channels() -> None:
    found = load("{channels: [people, room.*, open, 'a{b}']}")
    assert found.dialects["postgresql2websocket"].channels == ("people", "room.*", "open", "a{b}")
    assert found.channels == ()


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("7", "must be true, false or a mapping (key: value), not a number"),
        (
            "{channels: {}}",
            'channels: must be a list, not a mapping: write for example channels: [people, "room.*"]',
        ),
        ("{channels: [7]}", "channels[0]: must be text, not a number: put it in quotes"),
        (f"{{channels: [a, {'a' * 64}]}}", "channels[1]: the name has 64 bytes; PostgreSQL's limit is 63"),
        ("{channel: a}", 'channel: unknown key; did you mean "channels"?'),
    ],
)
def test_faults(section: str, expected: str) -> None:
    with pytest.raises(config.Invalid) as caught:
        load(section)
    (fault,) = caught.value.faults
    assert fault.partition("dialects.postgresql2websocket")[2].lstrip(".: ") == expected
