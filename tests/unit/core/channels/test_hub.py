"""The hub: the answer first, then events; each batch encoded once; gaps told before anything else."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from pgrpc.core.channels import hub, rules
from pgrpc.core.channels.notification import Notification
from pgrpc.core.wire import ws_frames

AWAY = "unavailable: the database is away"


def jsonrpc_kind(name: str, rule: rules.Rule) -> hub.Encode:
    return lambda notification: framed({"channel": name, "payload": json.loads(rule.encode(notification.payload))})


def raw_kind(name: str, rule: rules.Rule) -> hub.Encode:
    return lambda notification: ws_frames.text(notification.payload)


def framed(params: Any) -> bytes:
    return ws_frames.text(json.dumps({"jsonrpc": "2.0", "method": params["channel"], "params": params}))


class Client:
    """A subscriber that writes down what happens to it, in order."""

    def __init__(self, log: list[Any], name: str = "client", raw: bool = False) -> None:
        self.log = log
        self.name = name
        self.kind: hub.Kind = raw_kind if raw else jsonrpc_kind
        self.runs: list[hub.Run] = []
        self.on_delivery: Callable[[], None] = lambda: None

    def deliver(self, run: hub.Run) -> None:
        self.runs.append(run)
        self.log.append((self.name, "run", run.channel))
        self.on_delivery()

    def gap(self, channels: Sequence[str], reason: str) -> None:
        self.log.append((self.name, "gap", list(channels), reason))

    @property
    def messages(self) -> list[Any]:
        """The texts of all frames so far; of JSON-RPC frames the values."""
        texts = [text for run in self.runs for text in unframed(run.data)]
        return texts if self.kind is raw_kind else [json.loads(text) for text in texts]


def unframed(data: bytes) -> list[str]:
    texts = []
    while data:
        assert data[0] == 0x81
        size, start = (data[1], 2) if data[1] < 126 else (int.from_bytes(data[2:4], "big"), 4)
        texts.append(data[start : start + size].decode())
        data = data[start + size :]
    return texts


def event(channel: str, payload: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": channel, "params": {"channel": channel, "payload": payload}}


class World:
    """A hub, and a listener that does as it is told. Answers activate what they grant, as a socket does."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.on_listen: Callable[[str], None] = lambda name: None
        self.hub = hub.Hub(self._listen, lambda name: self.log.append(("unlisten", name)))

    def _listen(self, name: str) -> None:
        self.log.append(("listen", name))
        self.on_listen(name)

    def client(self, name: str = "client", raw: bool = False) -> Client:
        return Client(self.log, name, raw)

    def subscribe(self, client: Client, *names: str, activate: bool = True, **rule: Any) -> None:
        def answer(results: dict[str, str]) -> None:
            self.log.append((client.name, "answer", dict(results)))
            if activate:
                self.hub.activate(client, [name for name in results if results[name] == "ok"])

        self.hub.subscribe(client, {name: rules.Rule(name, **rule) for name in names}, answer)

    def subscribed(self, *names: str, name: str = "client", raw: bool = False, **rule: Any) -> Client:
        """A client that hears these channels; what led to it is not in the log."""
        client = self.client(name, raw)
        self.subscribe(client, *names, **rule)
        self.hub.listen_active(names)
        self.log.clear()
        return client

    def publish(self, *batch: tuple[str, str]) -> None:
        self.hub.publish(Notification(*each) for each in batch)


@pytest.fixture
def world() -> World:
    return World()


# Subscribing


def test_the_answer_comes_when_listen_has_taken_effect_and_events_only_after_it(world: World) -> None:
    client = world.client()
    world.subscribe(client, "a")
    world.publish(("a", "too early"))
    assert world.log == [("listen", "a")]
    world.hub.listen_active(["a"])
    world.publish(("a", "x"))
    assert world.log == [("listen", "a"), ("client", "answer", {"a": "ok"}), ("client", "run", "a")]
    assert client.messages == [event("a", "x")]


def test_events_do_not_flow_before_they_are_activated(world: World) -> None:
    """The answer may wait in a batch: what comes before it is sent was never promised."""
    client = world.client()
    world.subscribe(client, "a", activate=False)
    world.hub.listen_active(["a"])
    world.publish(("a", "x"))
    assert client.runs == []
    world.hub.activate(client, ["a"])
    world.publish(("a", "y"))
    assert client.messages == [event("a", "y")]


@pytest.mark.parametrize("names", [["a"], ["nowhere"], []], ids=["not asked for", "no such channel", "none"])
def test_activate_gives_nothing_that_was_not_reserved(world: World, names: list[str]) -> None:
    world.subscribed("a", name="other")
    client = world.client()
    world.hub.activate(client, names)
    world.publish(("a", "x"), ("nowhere", "x"))
    assert client.runs == []


def test_activating_twice_does_not_deliver_twice(world: World) -> None:
    client = world.subscribed("a")
    world.hub.activate(client, ["a", "a"])
    world.publish(("a", "x"))
    assert client.messages == [event("a", "x")]


def test_one_answer_for_all_channels_in_the_order_asked(world: World) -> None:
    client = world.client()
    world.subscribe(client, "b", "a")
    world.hub.listen_active(["a"])
    assert world.log == [("listen", "b"), ("listen", "a")]
    world.hub.listen_active(["b"])
    assert world.log[2:] == [("client", "answer", {"b": "ok", "a": "ok"})]
    assert list(world.log[2][2]) == ["b", "a"]


def test_two_wait_for_one_listen(world: World) -> None:
    one, other = world.client("one"), world.client("other")
    world.subscribe(one, "a")
    world.subscribe(other, "a")
    world.hub.listen_active(["a"])
    world.publish(("a", "x"))
    assert world.log == [
        ("listen", "a"),
        ("one", "answer", {"a": "ok"}),
        ("other", "answer", {"a": "ok"}),
        ("one", "run", "a"),
        ("other", "run", "a"),
    ]


def test_a_channel_that_is_heard_already_is_answered_at_once(world: World) -> None:
    world.subscribed("a", name="first")
    world.subscribe(world.client("second"), "a")
    assert world.log == [("second", "answer", {"a": "ok"})]


def test_a_channel_that_is_heard_already_beside_a_new_one(world: World) -> None:
    world.subscribed("a", name="first")
    world.subscribe(world.client("second"), "a", "b")
    assert world.log == [("listen", "b")]
    world.hub.listen_active(["b"])
    assert world.log[1:] == [("second", "answer", {"a": "ok", "b": "ok"})]


def test_listen_may_take_effect_at_once(world: World) -> None:
    world.on_listen = lambda name: world.hub.listen_active([name])
    client = world.client()
    world.subscribe(client, "a", "b")
    assert world.log == [("listen", "a"), ("listen", "b"), ("client", "answer", {"a": "ok", "b": "ok"})]
    world.publish(("b", "x"))
    assert client.messages == [event("b", "x")]


def test_listen_may_be_refused_at_once(world: World) -> None:
    world.on_listen = lambda name: world.hub.listen_refused(name, AWAY)
    world.subscribe(world.client(), "a", "b")
    assert [entry for entry in world.log if "answer" in entry] == [("client", "answer", {"a": AWAY, "b": AWAY})]
    assert sorted(entry for entry in world.log if "unlisten" in entry) == [("unlisten", "a"), ("unlisten", "b")]


def test_the_same_channel_asked_for_twice_while_waiting(world: World) -> None:
    client = world.client()
    world.subscribe(client, "a")
    world.subscribe(client, "a")
    world.hub.listen_active(["a"])
    assert world.log == [("listen", "a"), *[("client", "answer", {"a": "ok"})] * 2]
    world.publish(("a", "x"))
    assert client.messages == [event("a", "x")]


# Refused


def test_refused(world: World) -> None:
    client = world.client()
    world.subscribe(client, "a", "b")
    world.hub.listen_refused("a", "no")
    world.hub.listen_active(["b"])
    assert world.log == [
        ("listen", "a"),
        ("listen", "b"),
        ("unlisten", "a"),
        ("client", "answer", {"a": "no", "b": "ok"}),
    ]
    world.publish(("a", "x"), ("b", "x"))
    assert client.messages == [event("b", "x")]


def test_everyone_who_waits_is_refused(world: World) -> None:
    world.subscribe(world.client("one"), "a")
    world.subscribe(world.client("other", raw=True), "a")
    world.hub.listen_refused("a", "no")
    assert sorted(world.log[1:]) == sorted(
        [("one", "answer", {"a": "no"}), ("other", "answer", {"a": "no"}), ("unlisten", "a")]
    )


def test_after_a_refusal_the_next_one_tries_again(world: World) -> None:
    world.subscribe(world.client(), "a")
    world.hub.listen_refused("a", "no")
    world.log.clear()
    world.subscribe(world.client(), "a")
    assert world.log == [("listen", "a")]


def test_news_of_channels_that_nobody_wants_any_more(world: World) -> None:
    world.hub.listen_active(["a"], "gap")
    world.hub.listen_refused("a", "no")
    world.hub.unsubscribe(world.client(), ["a"])
    world.publish(("a", "x"))
    assert world.log == []


# Unsubscribing


def test_the_last_one_to_leave_unlistens_once(world: World) -> None:
    one, other = world.subscribed("a", name="one"), world.subscribed("a", name="other")
    raw = world.subscribed("a", name="raw", raw=True)
    for client in (one, one, raw):
        world.hub.unsubscribe(client, ["a"])
        assert world.log == []
    world.hub.unsubscribe(other, ["a", "a"])
    world.hub.unsubscribe(other, ["a"])
    assert world.log == [("unlisten", "a")]
    world.publish(("a", "x"))
    assert (one.runs, other.runs, raw.runs) == ([], [], [])


def test_unsubscribing_while_waiting(world: World) -> None:
    client = world.client()
    world.subscribe(client, "a", "b")
    world.hub.unsubscribe(client, ["a"])
    assert world.log[2:] == [("unlisten", "a")]
    world.hub.listen_active(["a", "b"])
    assert world.log[3:] == [("client", "answer", {"a": "unsubscribed before it took effect", "b": "ok"})]
    world.publish(("a", "x"))
    assert client.runs == []


def test_unsubscribing_while_waiting_leaves_others_waiting(world: World) -> None:
    one, other = world.client("one"), world.client("other")
    world.subscribe(one, "a")
    world.subscribe(other, "a")
    world.hub.unsubscribe(one, ["a"])
    assert world.log[1:] == [("one", "answer", {"a": "unsubscribed before it took effect"})]
    world.hub.listen_active(["a"])
    assert world.log[2:] == [("other", "answer", {"a": "ok"})]


def test_unsubscribing_between_the_answer_and_its_activation(world: World) -> None:
    client = world.client()
    world.subscribe(client, "a", activate=False)
    world.hub.listen_active(["a"])
    world.hub.unsubscribe(client, ["a"])
    assert world.log[2:] == [("unlisten", "a")]
    world.hub.activate(client, ["a"])
    world.publish(("a", "x"))
    assert client.runs == []


def test_what_waits_for_its_activation_keeps_the_channel(world: World) -> None:
    world.subscribe(world.client("waits"), "a", activate=False)
    world.hub.listen_active(["a"])
    other = world.client("other")
    world.subscribe(other, "a")
    world.hub.unsubscribe(other, ["a"])
    assert ("unlisten", "a") not in world.log


# Lost and found again


def test_whoever_waits_is_answered_when_the_connection_is_lost(world: World) -> None:
    world.subscribe(world.client(), "a", "b")
    world.hub.listen_active(["a"])
    world.hub.listen_lost(AWAY)
    assert world.log[2:] == [("client", "answer", {"a": "ok", "b": AWAY}), ("unlisten", "b")]


def test_subscribers_stay_and_are_told_of_the_gap_before_anything_else(world: World) -> None:
    one, raw = world.subscribed("a", "b", name="one"), world.subscribed("b", name="raw", raw=True)
    world.hub.listen_lost(AWAY)
    assert world.log == []
    world.subscribe(world.client("new"), "a")
    world.log.clear()
    world.hub.listen_active(["a", "b", "gone"], "was away")
    world.publish(("b", "x"))
    assert world.log == [
        ("one", "gap", ["a", "b"], "was away"),
        ("raw", "gap", ["b"], "was away"),
        ("new", "answer", {"a": "ok"}),
        ("one", "run", "b"),
        ("raw", "run", "b"),
    ]
    assert (one.messages, raw.messages) == ([event("b", "x")], ["x"])


def test_no_gap_without_a_reason(world: World) -> None:
    world.subscribed("a")
    world.hub.listen_active(["a"])
    assert world.log == []


def test_who_only_waited_is_not_told_of_a_gap(world: World) -> None:
    world.subscribe(world.client(), "a")
    world.hub.listen_active(["a"], "was away")
    assert world.log[1:] == [("client", "answer", {"a": "ok"})]


def test_while_the_connection_is_lost_nobody_is_left_waiting_for_it(world: World) -> None:
    """Also where others have the channel: it is not in effect now, so the listener is asked again."""
    old = world.subscribed("a", name="old")
    world.hub.listen_lost(AWAY)
    world.on_listen = lambda name: world.hub.listen_refused(name, AWAY)
    world.subscribe(world.client("new"), "a")
    assert world.log == [("listen", "a"), ("new", "answer", {"a": AWAY})]
    world.log.clear()
    world.hub.listen_active(["a"], "was away")
    world.publish(("a", "x"))
    assert world.log == [("old", "gap", ["a"], "was away"), ("old", "run", "a")]
    assert old.messages == [event("a", "x")]


def test_a_gap_may_end_a_subscription(world: World) -> None:
    class Leaver(Client):
        def gap(self, channels: Sequence[str], reason: str) -> None:
            super().gap(channels, reason)
            world.hub.unsubscribe(self, channels)

    leaver = Leaver(world.log, "leaver", raw=True)
    world.subscribe(leaver, "a", "b")
    world.hub.listen_active(["a", "b"])
    world.hub.listen_lost(AWAY)
    world.log.clear()
    world.hub.listen_active(["a", "b"], "was away")
    assert world.log == [("leaver", "gap", ["a", "b"], "was away"), ("unlisten", "a"), ("unlisten", "b")]


# Events


def test_runs_are_of_consecutive_notifications_on_one_channel(world: World) -> None:
    client = world.subscribed("a", "b")
    world.publish(("a", "1"), ("a", "2"), ("b", "3"), ("other", "4"), ("a", "5"))
    assert [(run.channel, len(unframed(run.data))) for run in client.runs] == [("a", 2), ("b", 1), ("a", 1)]
    assert client.messages == [event("a", "1"), event("a", "2"), event("b", "3"), event("a", "5")]


def test_the_last_of_a_run_is_there_alone(world: World) -> None:
    client = world.subscribed("a", slow_consumer="latest")
    world.publish(("a", "1"), ("a", "2"))
    (run,) = client.runs
    assert json.loads(unframed(run.last)[0]) == event("a", "2")
    assert run.data.endswith(run.last)
    assert run.slow_consumer == "latest"


def test_a_run_is_encoded_once_for_everyone(world: World) -> None:
    clients = [world.subscribed("a", name=str(i)) for i in range(3)]
    raws = [world.subscribed("a", name=f"raw {i}", raw=True) for i in range(2)]
    world.publish(("a", '{"x":1}'), ("a", "y"))
    assert len({id(client.runs[0].data) for client in clients}) == 1
    assert len({id(raw.runs[0].data) for raw in raws}) == 1
    assert clients[0].messages == [event("a", {"x": 1}), event("a", "y")]
    assert raws[0].messages == ['{"x":1}', "y"]
    assert raws[0].runs[0].data == ws_frames.text('{"x":1}') + ws_frames.text("y")


@pytest.mark.parametrize("raw", [False, True], ids=["JSON-RPC", "raw"])
def test_a_delivery_may_end_subscriptions(world: World, raw: bool) -> None:
    """Its own, and the one of a client that is yet to be served; whoever stays hears everything."""
    one, other, last = (world.subscribed("a", name=name, raw=raw) for name in ("one", "other", "last"))

    def leave(clients: Iterable[Client]) -> Callable[[], None]:
        def leaving() -> None:
            for client in clients:
                world.hub.unsubscribe(client, ["a"])

        return leaving

    one.on_delivery = leave([one, other])
    world.publish(("a", "1"), ("b", "x"), ("a", "2"))
    assert len(one.runs) == 1
    assert len(other.runs) <= 1
    assert len(last.runs) == 2
    last.on_delivery = leave([last])
    world.publish(("a", "3"), ("b", "x"), ("a", "4"))
    assert len(last.runs) == 3
    assert world.log[-1] == ("unlisten", "a")


def test_a_delivery_to_the_last_json_rpc_client_may_end_the_channel(world: World) -> None:
    client = world.subscribed("a")
    client.on_delivery = lambda: world.hub.unsubscribe(client, ["a"])
    world.publish(("a", "1"), ("a", "2"))
    assert len(client.messages) == 2
    assert world.log == [("client", "run", "a"), ("unlisten", "a")]


def test_what_a_kind_of_ones_own_makes_is_made_once_for_all_and_may_leave_events_out(world: World) -> None:
    made: list[str] = []

    def longer(name: str, rule: rules.Rule) -> hub.Encode:
        def encode(notification: Notification) -> bytes | None:
            payload = notification.payload
            made.append(payload)
            return ws_frames.text(f"{name}/{rule.name}: {payload}") if payload else None

        return encode

    clients = []
    for number in range(2):
        client = world.client(str(number), raw=True)
        client.kind = longer
        world.subscribe(client, "a")
        clients.append(client)
    raw = world.client("raw", raw=True)
    world.subscribe(raw, "a")
    world.hub.listen_active(["a"])
    world.publish(("a", "1"), ("a", ""), ("a", "2"))
    world.publish(("a", ""))
    assert made == ["1", "", "2", ""]
    for client in clients:
        assert [text for run in client.runs for text in unframed(run.data)] == ["a/a: 1", "a/a: 2"]
        assert len(client.runs) == 1
    assert raw.messages == ["1", "", "2", ""]
