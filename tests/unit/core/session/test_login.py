"""Who a client is, as time goes by."""

import pytest

from pgrpc.core.identity import identity
from pgrpc.core.session import effects, login
from pgrpc.core.wire import errors
from tests.support.samples import somebody

TERMS = identity.LoginPolicy(warn_before=60, timeout=10)
ANN = somebody("web", expires=1000.0, sub="ann")
ANON = somebody("anon")


def ticket() -> effects.Ticket:
    return effects.Ticket("7", 7, None)


def make(client: identity.Identity | None = ANN, now: float = 0.0) -> login.LoginState:
    of = login.LoginState(client, TERMS)
    of.begin(now)
    return of


def fallen(of: login.LoginState, now: float = 1000.0) -> effects.Ticket:
    """The ticket of the fallback that the end of an identity leads to."""
    (login,) = of.tick(now)
    assert isinstance(login, effects.Login)
    assert login.token is None
    assert of.client is None
    return login.ticket


def notice(done: list[effects.Effect]) -> int:
    (told,) = [effect for effect in done if isinstance(effect, effects.Expiring)]
    return told.seconds


def test_one_whose_identity_has_no_end() -> None:
    for terms in (None, TERMS):
        of = login.LoginState(ANON, terms)
        assert of.begin(0.0) == of.tick(1e12) == []
        assert of.client is ANON


def test_the_end_is_announced_once() -> None:
    of = login.LoginState(ANN, TERMS)
    assert of.begin(900.0) == [effects.SetTimer(940.0)]
    assert of.tick(939.9) == [effects.SetTimer(940.0)]  # a clock that was put back, or a timer that came early
    send, wake = of.tick(940.2)
    assert notice([send]) == 60
    assert wake == effects.SetTimer(1000.0)
    assert of.tick(999.9) == [effects.SetTimer(1000.0)]
    assert of.client is ANN


def test_one_that_ends_sooner_than_it_would_be_announced() -> None:
    of = login.LoginState(ANN, TERMS)
    assert notice(of.begin(970.0)) == 30


def test_an_end_without_terms_comes_unannounced() -> None:
    of = login.LoginState(ANN, None)
    assert of.begin(970.0) == [effects.SetTimer(1000.0)]
    fallen(of)


def test_after_the_end_one_is_what_a_client_without_a_token_is() -> None:
    of = make()
    login = fallen(of)
    assert of.awaits(login)
    assert of.logged_in(ANON, 1000.0) == []
    assert of.client is ANON
    assert of.answered() is None
    assert of.tick(2000.0) == []


def test_after_the_end_the_connection_ends_where_that_is_nobody() -> None:
    of = make()
    fallen(of)
    (close,) = of.failed()
    assert isinstance(close, effects.Close)
    assert close.code == errors.CloseCode.UNAUTHENTICATED
    assert len(close.reason.encode()) <= 123  # RFC 6455 section 5.5


def test_logging_in() -> None:
    of = make()
    mine = ticket()
    (login,) = of.log_in(mine, "token")
    assert login == effects.Login(mine, "token")
    assert of.awaits(mine)
    assert not of.awaits(ticket())
    bob = somebody("web", expires=2000.0, sub="bob")
    assert of.logged_in(bob, 950.0) == [effects.SetTimer(1940.0)]
    assert of.client is bob
    assert of.answered() is mine
    assert of.answered() is None
    assert notice(of.tick(1950.0)) == 50  # of the new one again


def test_one_login_at_a_time() -> None:
    of = make()
    of.log_in(ticket(), "token")
    with pytest.raises(errors.LimitReached):
        of.log_in(ticket(), "token")
    of.logged_in(ANN, 0.0)
    with pytest.raises(errors.LimitReached):  # what it ends has not ended yet
        of.log_in(ticket(), "token")
    of.answered()
    of.log_in(ticket(), "token")


def test_a_login_that_fails_leaves_the_client_who_it_is() -> None:
    of = make()
    of.log_in(ticket(), "token")
    assert of.failed() == []
    assert of.client is ANN
    of.log_in(ticket(), "token")


def test_the_end_while_a_login_is_on_its_way_waits_for_it() -> None:
    of = make()
    of.log_in(ticket(), "token")
    assert of.tick(1000.0) == []
    assert of.client is None
    of.logged_in(ANON, 1001.0)
    assert of.client is ANON
    assert of.answered() is not None


def test_the_end_while_a_login_is_on_its_way_that_fails() -> None:
    of = make()
    of.log_in(ticket(), "token")
    of.tick(1000.0)
    (login,) = of.failed()
    assert isinstance(login, effects.Login)
    assert login.token is None


def test_the_end_of_what_a_login_brought_before_it_is_answered() -> None:
    of = make()
    mine = ticket()
    of.log_in(mine, "token")
    of.logged_in(ANN, 990.0)
    fallen(of)
    of.logged_in(ANON, 1000.0)
    assert of.answered() is mine


def test_one_who_must_log_in_first() -> None:
    of = login.LoginState(None, TERMS)
    assert of.begin(100.0) == [effects.SetTimer(110.0)]
    assert of.tick(109.0) == [effects.SetTimer(110.0)]
    of.log_in(ticket(), "wrong")
    assert of.failed() == []  # there is time left to try again
    of.log_in(ticket(), "token")
    assert of.logged_in(ANN, 109.0) == [effects.SetTimer(940.0)]
    assert of.client is ANN


def test_one_who_does_not_log_in_in_time() -> None:
    of = login.LoginState(None, TERMS)
    of.begin(100.0)
    fallen(of, 110.0)
    assert [type(effect) for effect in of.failed()] == [effects.Close]


def test_nobody_logs_in_where_there_are_no_terms() -> None:
    of = login.LoginState(None, None)
    assert of.begin(0.0) == []
    with pytest.raises(errors.MethodNotFound, match="accepts no tokens"):
        of.log_in(ticket(), "token")


def test_after_the_connection_nothing_is_awaited() -> None:
    of = make()
    mine = ticket()
    of.log_in(mine, "token")
    of.close()
    assert not of.awaits(mine)
    assert of.tick(5000.0) == []


def test_the_token_is_not_shown() -> None:
    (login,) = make().log_in(ticket(), "eyJ")
    assert "eyJ" not in repr(login)


def test_whether_the_client_asked_for_the_login_in_flight() -> None:
    of = make()
    assert not of.was_requested
    of.log_in(ticket(), "token")
    assert of.was_requested
    of = login.LoginState(ANN, TERMS)
    of.begin(0.0)
    fallen(of)
    assert not of.was_requested
