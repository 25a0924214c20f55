"""`dialects.psqlisten2websocket` of config.yaml: its one channel, and each fault with its place and words."""

from pathlib import Path

import pytest

from pgrpc import config
from pgrpc.compat import registry
from pgrpc.compat.psqlisten2websocket.section import Psqlisten2websocket

HEAD = "database: {dsn: postgresql://h/d}\n"
AUTH = f"{HEAD}auth: {{secret: {'s3cret' * 6}, anonymous_role: anon}}\n"
NOT_FOR_EVERYONE = (
    "this channel is not listed under channels, or has roles or authorize there: list it for everyone, or name another"
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str) -> config.Config:
    Path("config.yaml").write_text(text)
    return config.load("config.yaml", {}, registry.dialects())


@pytest.mark.parametrize("on", ["", "true", "{}", "{channel: events}"])
def test_the_channel_that_it_has_by_default(on: str) -> None:
    found = load(f"{HEAD}channels: {{events: }}\ndialects: {{psqlisten2websocket: {on}}}\n")
    assert found.dialects == {"psqlisten2websocket": Psqlisten2websocket("events")}


def test_another_channel_may_be_one_of_a_glob() -> None:
    found = load(f"{HEAD}channels: {{e.*: }}\ndialects: {{psqlisten2websocket: {{channel: e.1}}}}\n")
    assert found.dialects["psqlisten2websocket"] == Psqlisten2websocket("e.1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{HEAD}dialects: {{psqlisten2websocket: }}\n",
            f"2:12: dialects.psqlisten2websocket.channel: {NOT_FOR_EVERYONE}",
        ),
        (
            f"{HEAD}channels: {{a: }}\ndialects:\n  psqlisten2websocket: {{channel: b}}\n",
            f"4:25: dialects.psqlisten2websocket.channel: {NOT_FOR_EVERYONE}",
        ),
        (
            f"{AUTH}channels: {{events: {{roles: [anon]}}}}\ndialects: {{psqlisten2websocket: }}\n",
            f"4:12: dialects.psqlisten2websocket.channel: {NOT_FOR_EVERYONE}",
        ),
        (
            f"{AUTH}channels: {{events: {{authorize: f}}}}\ndialects: {{psqlisten2websocket: }}\n",
            f"4:12: dialects.psqlisten2websocket.channel: {NOT_FOR_EVERYONE}",
        ),
        # Where the channels themselves have faults, whether this one is among them says nothing.
        (
            f"{HEAD}channels: {{a: x}}\ndialects: {{psqlisten2websocket: }}\n",
            "2:12: channels.a: must be a mapping (key: value), not text: write a: {payload: json}",
        ),
        (
            f"{HEAD}dialects: {{psqlisten2websocket: {{channel: ''}}}}\n",
            "2:34: dialects.psqlisten2websocket.channel: must not be empty",
        ),
    ],
)  # fmt: skip
def test_faults(text: str, expected: str) -> None:
    with pytest.raises(config.Invalid) as caught:
        load(text)
    assert caught.value.faults == (f"config.yaml:{expected}",)
