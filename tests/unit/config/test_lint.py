"""What the file may say but probably does not mean."""

from pathlib import Path

import pytest

from pgrpc import config

DSN = "database: {dsn: postgresql://h/d}\n"
LISTED = "functions: {f: }\n"
AUTH = f"auth: {{secret: {'s3cret' * 6}, control_channel: Orders}}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines(text: str) -> list[str]:
    Path("config.yaml").write_text(DSN + text + LISTED)
    loaded = config.load("config.yaml", {})
    return [f"{loaded.where(place)}: {words}" for place, words in config.warnings(loaded)]


def test_a_file_that_means_what_it_says() -> None:
    assert lines("channels: {refunds: , 'room.*': }\n") == []


@pytest.mark.parametrize(("text", "is_nothing"), [("", True), ("channels:\n", True), ("channels: {a: }\n", False)])
def test_nothing_is_listed(text: str, *, is_nothing: bool) -> None:
    Path("config.yaml").write_text(DSN + text)
    loaded = config.load("config.yaml", {})
    words = "nothing is listed, so clients can call and receive nothing: list functions or channels"
    assert config.warnings(loaded) == ([((), words)] if is_nothing else [])


def test_nothing_is_listed_but_an_entry_that_is_faulty() -> None:
    Path("config.yaml").write_text(DSN + "functions: {f: {timeout: soon}}\n")
    with pytest.raises(config.Invalid) as caught:
        config.load("config.yaml", {})
    assert caught.value.sound is not None
    assert config.warnings(caught.value.sound) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "'::'", "'0:0:0:0:0:0:0:0'"])
def test_every_interface_without_auth(host: str) -> None:
    (line,) = lines(f"server:\n  host: {host}\n")
    assert line == (
        f"config.yaml:3:3: server.host: {host.strip(chr(39))} accepts connections from every network, and without the "
        "section auth every client may call the listed functions: add auth, or write host: 127.0.0.1 and put a proxy "
        "in front"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "'::1'", "10.1.2.3", "app.example.com"])
def test_other_interfaces(host: str) -> None:
    assert lines(f"server: {{host: {host}}}\n") == []


def test_every_interface_with_auth() -> None:
    assert lines("server: {host: 0.0.0.0}\n" + AUTH.replace("Orders", "orders")) == []


def test_every_interface_where_auth_is_faulty() -> None:
    Path("config.yaml").write_text(DSN + "server: {host: 0.0.0.0}\nauth: {secret: short}\n" + LISTED)
    with pytest.raises(config.Invalid) as caught:
        config.load("config.yaml", {})
    assert caught.value.sound is not None
    assert config.warnings(caught.value.sound) == []


def test_a_channel_that_postgresql_would_fold() -> None:
    assert lines("channels:\n  Refunds:\n") == [
        "config.yaml:3:3: channels.Refunds: has capital letters, but NOTIFY Refunds without quotes sends to refunds: "
        "rename the channel to refunds, or always write NOTIFY \"Refunds\" or pg_notify('Refunds', ...)"
    ]


@pytest.mark.parametrize("name", ["Room*", "A_{sub}", "éA1$", "*X"])
def test_names_that_are_folded_in_part(name: str) -> None:
    (line,) = [line for line in lines(f"{AUTH}channels: {{'{name}': }}\n") if ": channels." in line]
    assert "has capital letters" in line


@pytest.mark.parametrize("name", ["refunds", "Room.7", "Room-1", "1A", "a b C", "ÉTÉ".lower() + "É", "{Sub}"])
def test_names_that_are_not_folded(name: str) -> None:
    """PostgreSQL takes some of them in quotes only, and folds ASCII only."""
    entry, _, keys = name.partition(":")
    assert lines(f"{AUTH.replace('Orders', 'orders')}channels: {{'{entry}': {keys}}}\n") == []


def test_the_control_channel_too() -> None:
    (line,) = lines(AUTH)
    assert line.startswith("config.yaml:2:")
    assert ": auth.control_channel: has capital letters, but NOTIFY Orders without quotes sends to orders" in line
