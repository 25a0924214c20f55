"""What one client hears: rules, questions to `authorize` functions, and what stays when the client is somebody else."""

from collections.abc import Sequence
from typing import Any

import pytest

from pgrpc.core.channels import rules
from pgrpc.core.functions import catalog
from pgrpc.core.session import calls, effects, subscriptions
from pgrpc.core.wire import errors
from tests.support import samples
from tests.support.samples import argument, somebody

ANN, BOB = somebody("web", sub="ann"), somebody("web", sub="bob")
ANON = somebody("anon")
LISTED = [
    rules.Entry("news"),
    rules.Entry("shut", roles=("web",)),
    rules.Entry("user.{sub}"),
    rules.Entry("room.*", authorize="may_listen"),
    rules.Entry("vip.*", roles=("web",), authorize="may_listen"),
    rules.Entry("odd", authorize="not_there"),
    rules.Entry("short", authorize="takes_a_number"),
]
UNAVAILABLE = "unavailable: the database could not check whether it is allowed; try again"
LEFT = "unsubscribed before it took effect"


def answered(ticket: effects.Ticket, results: dict[str, str], live: list[str]) -> list[effects.Effect]:
    return [effects.Subscribed(ticket, results), effects.Activate(live)]


def make(limit: int = 128) -> subscriptions.Subscriptions:
    functions = catalog.Catalog(())
    functions.predicates = {
        "may_listen": samples.function(samples.routine(argument("channel", samples.TEXT))),
        "takes_a_number": samples.function(samples.routine(argument("channel"))),
    }
    return subscriptions.Subscriptions(rules.Channels(LISTED), functions, limit, calls.Calls(100), answered)


def ticket() -> effects.Ticket:
    return effects.Ticket("1", 1, None)


def asked(steps: Sequence[effects.Effect]) -> dict[str, effects.Ticket]:
    """The questions among the steps: channel -> ticket."""
    found = [step for step in steps if isinstance(step, effects.Execute)]
    return {str(step.call.arguments[0]): step.ticket for step in found}


def wanted(steps: Sequence[effects.Effect]) -> list[str]:
    return [name for step in steps if isinstance(step, effects.Subscribe) for name in step.rules]


def answer(steps: Sequence[effects.Effect]) -> Any:
    (found,) = [step for step in steps if isinstance(step, effects.Subscribed)]
    return found.results


def denied(steps: Sequence[effects.Effect]) -> list[str]:
    return [step.reason for step in steps if isinstance(step, effects.Denied)]


def ended(steps: Sequence[effects.Effect]) -> list[tuple[list[str], str]]:
    """What the client is told; it was unsubscribed before."""
    for index, step in enumerate(steps):
        if isinstance(step, effects.SubscriptionsEnded):
            gone = steps[index - 1]
            assert isinstance(gone, effects.Unsubscribe)
            assert set(step.channels) <= set(gone.channels)
    return [(step.channels, step.reason) for step in steps if isinstance(step, effects.SubscriptionsEnded)]


def hear(of: subscriptions.Subscriptions, *names: str, client: Any = ANN) -> None:
    """Subscribe, all questions answered by yes."""
    mine = ticket()
    steps = of.on(mine, names, client)
    for question in asked(steps).values():
        of.checked(question, "true")
    assert answer(of.took_effect(mine, dict.fromkeys(names, "ok"))) == dict.fromkeys(names, "ok")


def held(of: subscriptions.Subscriptions) -> list[str]:
    return sorted(of.close())


def test_what_needs_no_question() -> None:
    of = make()
    mine = ticket()
    refused, steps = of.on(mine, ["news", "shut", "user.ann", "user.bob"], ANN)
    assert isinstance(refused, effects.Denied)
    assert refused.what == "channel 'user.bob'"
    assert isinstance(steps, effects.Subscribe)
    assert steps.ticket is mine
    assert {name: rule.name for name, rule in steps.rules.items()} == {
        "news": "news", "shut": "shut", "user.ann": "user.{sub}"
    }  # fmt: skip
    done = of.took_effect(mine, {"news": "ok", "shut": "unavailable", "user.ann": "ok"})
    assert done == [
        effects.Subscribed(mine, {"news": "ok", "shut": "unavailable", "user.ann": "ok", "user.bob": "not allowed"}),
        effects.Activate(["news", "user.ann"]),
    ]
    assert held(of) == ["news", "user.ann"]


def test_nothing_that_may_be_had_is_answered_at_once() -> None:
    assert answer(make().on(ticket(), ["shut", ""], ANON)) == {
        "shut": "not allowed",
        "": "a channel name cannot be empty",
    }


def test_a_question_is_a_call_of_the_client_with_the_channel() -> None:
    (step,) = make().on(ticket(), ["room.1"], ANN)
    assert isinstance(step, effects.Execute)
    assert step.caller is ANN
    assert step.call.arguments == ("room.1",)
    assert step.ticket.id is None


def test_listen_comes_when_the_last_question_is_answered() -> None:
    of = make()
    mine = ticket()
    steps = of.on(mine, ["news", "room.1", "room.2", "vip.1"], ANN)
    questions = asked(steps)
    assert list(questions) == ["room.1", "room.2", "vip.1"]
    assert wanted(steps) == []
    assert all(of.is_check(each) for each in questions.values())
    assert of.checked(questions["room.2"], "true") == []
    assert not of.is_check(questions["room.2"])
    assert denied(of.checked(questions["vip.1"], "false")) == ["may_listen, authorize of 'vip.*', returned false"]
    assert wanted(of.checked(questions["room.1"], "true")) == ["news", "room.1", "room.2"]
    done = of.took_effect(mine, dict.fromkeys(("news", "room.1", "room.2"), "ok"))
    assert answer(done) == {"news": "ok", "room.1": "ok", "room.2": "ok", "vip.1": "not allowed"}


@pytest.mark.parametrize(
    ("said", "words", "reason"),
    [
        ("false", "not allowed", "may_listen, authorize of 'room.*', returned false"),
        ("null", "not allowed", "may_listen, authorize of 'room.*', returned null"),
        ('"true"', "not allowed", "may_listen, authorize of 'room.*', returned \"true\""),
        (
            errors.DatabaseRefused({"sqlstate": "P0001", "message": "secret"}),
            "not allowed",
            "may_listen, authorize of 'room.*', failed: P0001",
        ),
        (errors.Timeout(2), "not allowed", "may_listen, authorize of 'room.*', failed: 57014"),
        (errors.InternalError(), "not allowed", "may_listen, authorize of 'room.*', failed: Internal error"),
        (
            errors.Unavailable(),
            UNAVAILABLE,
            "may_listen, authorize of 'room.*', could not be called: the database is unavailable, or too busy",
        ),
    ],
)
def test_what_is_not_a_yes(said: str | errors.RpcError, words: str, reason: str) -> None:
    of = make()
    (question,) = asked(of.on(ticket(), ["room.1"], ANN)).values()
    steps = of.checked(question, said)
    assert denied(steps) == [reason]
    assert answer(steps) == {"room.1": words}
    assert held(of) == []


def test_a_function_that_is_not_known_or_cannot_be_asked() -> None:
    of = make()
    mine = ticket()
    steps = of.on(mine, ["odd", "short", "news", "room.1"], ANN)
    assert denied(steps) == [
        "not_there, authorize of 'odd', could not be called: the database is unavailable, or too busy",
        "takes_a_number, authorize of 'short', failed: Invalid params",
    ]
    assert wanted(of.checked(asked(steps)["room.1"], "true")) == ["news", "room.1"]
    assert answer(of.took_effect(mine, {"news": "ok", "room.1": "ok"})) == {
        "odd": UNAVAILABLE,
        "short": "not allowed",
        "news": "ok",
        "room.1": "ok",
    }


def test_what_is_held_or_asked_about_counts_for_the_limit_and_what_was_refused_does_not() -> None:
    of = make(limit=2)
    full = "this connection has reached its limit of 2 subscriptions"
    (question,) = asked(of.on(ticket(), ["room.1"], ANN)).values()
    hear(of, "news")
    assert answer(of.on(ticket(), ["shut", "news"], ANN)) == {"shut": full, "news": "ok"}
    of.checked(question, "false")
    hear(of, "shut")


def test_what_is_on_its_way_is_counted_until_it_is_answered() -> None:
    of = make()
    (question,) = asked(of.on(ticket(), ["room.1", "news", "rpc.x"], ANN)).values()
    mine = ticket()
    of.on(mine, ["news"], ANN)
    of.off(["news"])
    assert of.requested == 4
    of.took_effect(mine, {"news": "ok"})
    assert of.requested == 3
    of.checked(question, "false")
    assert of.requested == 0


def test_given_up_while_it_is_asked_about() -> None:
    of = make()
    mine = ticket()
    steps = of.on(mine, ["room.1", "room.2"], ANN)
    questions = asked(steps)
    assert of.off(["room.1", "x"]) == (
        {"room.1": "ok", "x": "not subscribed"},
        [effects.Unsubscribe(["room.1"])],
    )
    assert of.checked(questions["room.1"], "true") == []
    assert wanted(of.checked(questions["room.2"], "true")) == ["room.2"]
    assert answer(of.took_effect(mine, {"room.2": "ok"})) == {"room.1": LEFT, "room.2": "ok"}


def test_given_up_while_it_is_asked_about_and_then_refused() -> None:
    of = make()
    (question,) = asked(of.on(ticket(), ["room.1"], ANN)).values()
    of.off(["room.1"])
    assert answer(of.checked(question, "false")) == {"room.1": LEFT}


def test_after_the_end_nothing_is_answered() -> None:
    of = make()
    mine, other = ticket(), ticket()
    of.on(mine, ["news"], ANN)
    (question,) = asked(of.on(other, ["room.1"], ANN)).values()
    assert sorted(of.close()) == ["news", "room.1"]
    assert of.took_effect(mine, {"news": "ok"}) == []
    assert not of.is_check(question)
    assert of.close() == []


# The client becomes somebody else


def test_what_the_new_one_may_have_stays_and_the_rest_ends() -> None:
    of = make()
    hear(of, "news", "shut", "user.ann")
    steps = of.renew(BOB)
    assert ended(steps) == [(["user.ann"], "not allowed")]
    assert denied(steps) == ["the token has another value for a claim in 'user.{sub}'"]
    assert not of.renewing
    steps = of.renew(ANON)
    assert ended(steps) == [(["shut"], "not allowed")]
    assert of.renew(ANON) == []
    assert held(of) == ["news"]


def test_the_function_is_asked_again_and_what_it_allows_stays() -> None:
    of = make()
    hear(of, "room.1", "room.2", "news")
    steps = of.renew(BOB)
    assert [step.caller for step in steps if isinstance(step, effects.Execute)] == [BOB, BOB]
    questions = asked(steps)
    assert of.renewing
    assert of.checked(questions["room.1"], "true") == []
    assert of.renewing
    steps = of.checked(questions["room.2"], "false")
    assert ended(steps) == [(["room.2"], "not allowed")]
    assert denied(steps) == ["may_listen, authorize of 'room.*', returned false"]
    assert not of.renewing
    assert held(of) == ["news", "room.1"]


def test_what_cannot_be_asked_ends() -> None:
    of = make()
    hear(of, "room.1")
    (question,) = asked(of.renew(BOB)).values()
    assert ended(of.checked(question, errors.Unavailable())) == [(["room.1"], UNAVAILABLE)]


def test_an_answer_about_somebody_that_the_client_is_no_more_counts_for_nothing() -> None:
    of = make()
    hear(of, "room.1")
    (about_bob,) = asked(of.renew(BOB)).values()
    (about_ann,) = asked(of.renew(ANN)).values()
    assert of.checked(about_bob, "false") == []
    assert of.renewing
    assert of.checked(about_ann, "true") == []
    assert held(of) == ["room.1"]


def test_what_was_given_up_meanwhile_is_not_told() -> None:
    of = make()
    hear(of, "room.1")
    (question,) = asked(of.renew(BOB)).values()
    of.off(["room.1"])
    assert ended(of.checked(question, "false")) == []


def test_what_is_on_its_way_is_refused_in_its_answer() -> None:
    of = make()
    mine = ticket()
    assert wanted(of.on(mine, ["news", "user.ann"], ANN)) == ["news", "user.ann"]
    steps = of.renew(BOB)
    assert effects.Unsubscribe(["user.ann"]) in steps
    assert ended(steps) == []
    done = of.took_effect(mine, {"news": "ok", "user.ann": LEFT})
    assert answer(done) == {"news": "ok", "user.ann": "not allowed"}
    assert held(of) == ["news"]


@pytest.mark.parametrize("new_one_first", [False, True])
@pytest.mark.parametrize("said", ["true", "false"])
def test_what_is_asked_about_is_asked_about_for_the_new_one_whose_answer_counts(said: str, new_one_first: bool) -> None:
    of = make()
    mine = ticket()
    (about_ann,) = asked(of.on(mine, ["room.1"], ANN)).items()
    (about_bob,) = asked(of.renew(BOB)).items()
    answers = [(about_ann[1], "false" if said == "true" else "true"), (about_bob[1], said)]
    first, second = reversed(answers) if new_one_first else answers
    assert wanted(of.checked(*first)) == []
    steps = of.checked(*second)
    if said == "true":
        assert wanted(steps) == ["room.1"]
    else:
        assert answer(steps) == {"room.1": "not allowed"}


def test_what_waits_for_listen_is_asked_about_as_what_is_heard() -> None:
    of = make()
    mine = ticket()
    (about_ann,) = asked(of.on(mine, ["room.1"], ANN)).values()
    assert wanted(of.checked(about_ann, "true")) == ["room.1"]
    (about_bob,) = asked(of.renew(BOB)).values()
    assert of.renewing
    assert of.checked(about_bob, "false")[1:] == [effects.Unsubscribe(["room.1"])]
    assert answer(of.took_effect(mine, {"room.1": LEFT})) == {"room.1": "not allowed"}


def test_a_function_that_is_not_known_ends_what_it_should_be_asked_about() -> None:
    of = make()
    hear(of, "room.1")
    of._functions.predicates = {}
    assert ended(of.renew(BOB)) == [(["room.1"], UNAVAILABLE)]
    assert not of.renewing
