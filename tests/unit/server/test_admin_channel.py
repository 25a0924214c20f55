from collections.abc import Sequence
from typing import Any

import pytest

from pgrpc.core.channels.notification import Notification
from pgrpc.server import admin_channel


@pytest.mark.parametrize(
    ("payload", "order"),
    [
        ('{"end": {"sub": "ann"}}', admin_channel.Disconnect("ann")),
        ('{"end": {"sub": ""}}', admin_channel.Disconnect("")),
        ('{"end": {"sub": "a\\"b*é"}}', admin_channel.Disconnect('a"b*é')),
        (' {"reload": "keys"} ', admin_channel.Reload()),
    ],
)
def test_orders(payload: str, order: admin_channel.Command) -> None:
    assert admin_channel.read(payload) == order


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "end",
        "{",
        "null",
        "[]",
        "{}",
        '"reload"',
        '{"end": "ann"}',
        '{"end": {}}',
        '{"end": {"sub": 7}}',
        '{"end": {"sub": "ann", "role": "x"}}',
        '{"end": {"sub": "ann"}, "reload": "keys"}',
        '{"reload": "certificates"}',
        '{"reload": "keys", "x": 1}',
        "\0",
        "[" * 100_000,
    ],
)
def test_anything_else_is_unclear_and_not_told(payload: str) -> None:
    found = admin_channel.read(payload)
    assert isinstance(found, admin_channel.BadCommand)
    assert "ann" not in found.reason


class Events:
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def listen_active(self, names: Sequence[str], gap: str | None = None) -> None:
        self.told.append(("listening", list(names), gap))

    def listen_refused(self, name: str, reason: str) -> None:
        self.told.append(("refused", name, reason))

    def listen_lost(self, reason: str) -> None:
        self.told.append(("lost", reason))

    def publish(self, batch: list[Notification]) -> None:
        self.told.append(("publish", batch))


def batch(*written: str) -> list[Notification]:
    return [Notification(channel, payload) for channel, _, payload in (each.partition(" ") for each in written)]


def test_only_its_own_channel_is_taken_out() -> None:
    events = Events()
    orders: list[admin_channel.Command] = []
    stands_between = admin_channel.AdminChannel("c", events, orders.append)
    stands_between.publish(batch("a 1", 'c {"end": {"sub": "x"}}', "b 2", 'c {"reload": "keys"}'))
    stands_between.publish(batch("a 3"))
    stands_between.publish(batch("c ?"))
    stands_between.listen_refused("a", "why")
    stands_between.listen_lost("gone")
    assert events.told == [
        ("publish", [("a", "1"), ("b", "2")]),
        ("publish", [("a", "3")]),
        ("refused", "a", "why"),
        ("lost", "gone"),
    ]
    assert orders[:2] == [admin_channel.Disconnect("x"), admin_channel.Reload()]
    assert [type(each) for each in orders[2:]] == [admin_channel.BadCommand]


def test_after_a_gap_orders_may_have_been_missed() -> None:
    events = Events()
    orders: list[admin_channel.Command] = []
    stands_between = admin_channel.AdminChannel("c", events, orders.append)
    stands_between.listen_active(["a", "c"])
    stands_between.listen_active(["a"], "lost")
    assert orders == []
    stands_between.listen_active(["a", "c"], "lost")
    assert orders == [admin_channel.CommandsMissed()]
    assert events.told[-1] == ("listening", ["a", "c"], "lost")
