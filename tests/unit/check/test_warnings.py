"""What is valid in the file, but probably not intended."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from pgrpc import config
from pgrpc.check import warnings

PLAIN = config.Config(Path("config.yaml"), config.Database("postgresql://"))
EVERYWHERE = replace(PLAIN, server=config.Server(host="0.0.0.0"))


def places(given: config.Config) -> list[Any]:
    return [place for place, _ in warnings.of_file(given)]


@pytest.mark.parametrize(
    ("host", "open_to_all"),
    [("0.0.0.0", True), ("::", True), ("", True), ("127.0.0.1", False), ("::1", False), ("10.0.0.1", False)],
)
def test_a_server_without_auth_on_every_interface(host: str, open_to_all: bool) -> None:
    found = places(replace(PLAIN, server=config.Server(host=host)))
    assert found == ([("server", "host")] if open_to_all else [])


def test_with_auth_every_interface_is_as_good() -> None:
    assert places(replace(EVERYWHERE, auth=config.Auth(secret="s" * 32))) == []


@pytest.mark.parametrize("section", ["auth", "server"])
def test_what_has_faults_is_not_judged(section: str) -> None:
    assert places(replace(EVERYWHERE, unknown=frozenset((section,)))) == []


def test_settings_of_other_servers_are_left_alone() -> None:
    marks = replace(PLAIN.marks, names=MappingProxyType({("server", "port"): "HttpPort"}))
    assert places(replace(EVERYWHERE, marks=marks)) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Refunds", 'NOTIFY Refunds notifies the channel refunds: write NOTIFY "Refunds"'),
        ("aB_1", "NOTIFY aB_1 notifies the channel ab_1"),
        ("Refunds_*", "NOTIFY without double quotes"),
        ("User_{sub}", "NOTIFY without double quotes"),
        ("refunds", None),
        ("user_{Sub}", None),
        ("Room.1", None),  # no identifier: SQL takes it in quotes only
        ("1A", None),
        ("*", None),
        ("Straße", None),
        ("", None),
    ],
)
def test_channels_whose_names_sql_would_fold(name: str, words: str | None) -> None:
    found = list(warnings.of_file(replace(PLAIN, channels=(config.Channel(name),))))
    assert [place for place, _ in found] == ([("channels", name)] if words else [])
    assert all(text.startswith(words or "") for _, text in found)
