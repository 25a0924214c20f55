"""A token -> an identity: what is remembered, for how long, and what changes of keys and roles do to it."""

from pathlib import Path
from typing import Any

import jwt
import pytest

from pgrpc import config, logs
from pgrpc.auth import authenticator, issuing, keys
from pgrpc.core.identity import identity
from pgrpc.core.wire import errors

SECRET = "s3cret" * 6
PEM = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"
AUTH = config.Auth(secret=SECRET, leeway=5.0)


async def nowhere(url: str) -> bytes:
    raise OSError("away")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(clock: Clock, auth: config.Auth = AUTH) -> authenticator.Authenticator:
    made = authenticator.Authenticator(auth, nowhere, lambda observation: None, clock)
    made.permit(["web", "", "none"])
    return made


def sign(secret: str = SECRET, **claims: Any) -> str:
    return jwt.encode({"role": "web", **claims}, secret)


async def reason(made: authenticator.Authenticator, token: str | None) -> str:
    with pytest.raises(errors.Unauthenticated) as caught:
        await made.authenticate(token)
    return caught.value.message


async def test_an_identity_holds_until_its_token_does(clock: Clock) -> None:
    made = make(clock)
    token = sign(sub="ann", exp=int(clock.now) + 10)
    found = await made.authenticate(token)
    assert (found.role, found.subject, found.expires) == ("web", "ann", clock.now + 15)
    assert found.settings == {"request.jwt.claims": '{"role":"web","sub":"ann","exp":1000010}'}
    clock.now += 14
    assert await made.authenticate(token) is found, "it was not verified again"
    clock.now += 1
    assert await reason(made, token) == "the token expired 5 s ago"


async def test_only_so_many_are_remembered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "_CACHE_SIZE", 2)
    made = make(clock)
    a, b, c = (sign(sub=name) for name in "abc")
    first = [await made.authenticate(token) for token in (a, b)]
    assert await made.authenticate(a) is first[0]
    await made.authenticate(c)
    assert await made.authenticate(a) is first[0]
    assert await made.authenticate(b) is not first[1], "the one that was not used for the longest time has gone"


async def test_roles_that_are_taken_back(clock: Clock) -> None:
    made = make(clock)
    token = sign()
    await made.authenticate(token)
    made.permit(["other"])
    assert await reason(made, token) == "the token's role is not allowed"
    for never in ("", "none"):
        assert await reason(make(clock), sign(role=never)) == "the token's role is not allowed"


async def test_no_token_is_taken_before_the_roles_are_known(clock: Clock) -> None:
    made = authenticator.Authenticator(AUTH, nowhere, lambda observation: None, clock)
    with pytest.raises(errors.Unavailable):
        await made.authenticate(sign())


async def test_nobody(clock: Clock) -> None:
    assert await reason(make(clock), None) == "a token is required"
    found = await make(clock, config.Auth(secret=SECRET, anonymous_role="anon")).authenticate(None)
    assert (found.role, found.settings) == ("anon", {"request.jwt.claims": '{"role":"anon"}'})


async def test_a_token_may_name_the_role_that_everybody_has(clock: Clock) -> None:
    made = make(clock, config.Auth(secret=SECRET, anonymous_role="anon"))
    assert (await made.authenticate(sign(role="anon"))).role == "anon"


async def test_another_secret_from_now_on(clock: Clock) -> None:
    made = make(clock)
    old, new = sign(), sign("t" * 32)
    await made.authenticate(old)
    await made.reload(config.Auth(secret="t" * 32))
    assert await reason(made, old) == "the token's signature is invalid"
    assert (await made.authenticate(new)).role == "web"
    for wrong in (config.Auth(jwks="https://x/"), config.Auth(public_key="-----BEGIN x")):
        with pytest.raises(keys.BadKey):
            await made.reload(wrong)
    assert (await made.authenticate(new)).role == "web"


async def test_a_key_set_stays_where_it_is(clock: Clock, tmp_path: Path) -> None:
    made = authenticator.Authenticator(config.Auth(jwks=tmp_path / "a"), nowhere, lambda observation: None, clock)
    with pytest.raises(keys.BadKey, match="restart the server"):
        await made.reload(config.Auth(jwks=tmp_path / "b"))


async def test_text_that_is_no_text(clock: Clock) -> None:
    assert "not a JSON Web Token" in await reason(make(clock), "\ud800")


async def test_faults_of_the_keys(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("{}")
    assert await authenticator.faults(AUTH) == []
    assert await authenticator.faults(config.Auth(jwks="https://x/")) == [], "nothing is fetched"
    for auth, fault in [
        (config.Auth(secret=PEM), "secret"),
        (config.Auth(public_key="x"), "public_key"),
        (config.Auth(jwks=tmp_path / "set"), "jwks"),
        (config.Auth(jwks="https://x/"), "jwks"),
    ]:
        ((place, words),) = await authenticator.faults(auth, nowhere)
        assert place == ("auth", fault)
        assert words


async def test_a_token_for_development_is_one_that_is_taken() -> None:
    auth = config.Auth(
        secret=SECRET * 2, algorithms=("HS512",), role_claim=("app", "role"), issuer="me", audience=("a",)
    )
    made = authenticator.Authenticator(auth, nowhere, logs.log)
    made.permit(["web"])
    found: identity.Identity = await made.authenticate(issuing.issue(auth, {"app": {"x": 1}}, "web", 60))
    assert (found.role, found.claims["app"]) == ("web", {"x": 1, "role": "web"})
    for claims in ({"app": 1}, {"app": None}):
        with pytest.raises(issuing.CannotIssue):
            issuing.issue(auth, claims, "web", 60)
