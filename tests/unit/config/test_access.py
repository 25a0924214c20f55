"""Roles, claims in names and rates in the configuration: what they mean, and each fault with its place and words."""

from pathlib import Path

import pytest

from pgrpc import config
from pgrpc.core.limits import ratelimit

DSN = "database: {dsn: postgresql://h/d}\n"
AUTH = f"auth: {{secret: {'s3cret' * 6}, roles: [web, admin], anonymous_role: anon}}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str) -> config.Config:
    Path("config.yaml").write_text(DSN + text)
    return config.load("config.yaml", {})


def faults(text: str) -> list[str]:
    with pytest.raises(config.Invalid) as caught:
        load(text)
    return [line.removeprefix("config.yaml:") for line in caught.value.faults]


def test_everything() -> None:
    found = load(
        AUTH
        + """
limits:
  rates:
    address: {calls: 100/s, subscriptions: 50/min, logins: }
    identity: {logins: 5/min}
functions:
  bid: {roles: [web, anon], rate: 10/s}
channels:
  "user.{sub}": {roles: [web], authorize: auth.may_listen}
  'org.{"https://a.b/claims".organisation_of_the_client}.{app_metadata.team}.**':
  "a{{b}}":
"""
    )
    assert found.limits.rates == {
        ("address", "calls"): ratelimit.Rate(100, 1),
        ("address", "subscriptions"): ratelimit.Rate(50, 60),
        ("identity", "logins"): ratelimit.Rate(5, 60),
    }
    roles = ("web", "anon")
    assert found.functions == (config.Function("bid", "bid", roles=roles, rate=ratelimit.Rate(10)),)
    assert found.channels[0] == config.Channel("user.{sub}", roles=("web",), authorize="auth.may_listen")
    assert len(found.channels) == 3


@pytest.mark.parametrize("text", ["limits: {rates: }\n", "limits: {rates: {address: , identity: }}\n"])
def test_no_rates(text: str) -> None:
    assert load(text).limits == config.Limits()


RATE = "must be a rate: a whole number in a second or a minute, such as 10/s or 100/min"
QUOTE = "must be text, not a number: put it in quotes"
BLANK = "must not be blank: write the function's name"
NO_CLAIM = "is not a claim: write {sub} or {app_metadata.org}, or {{ for a brace"
CLAIM = "contains a claim, so it needs the section auth; write {{ and }} for literal braces"
NO_AUTH = "needs the section auth: without it clients have no roles"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("functions: {f: {roles: [web]}}\n", f"2:17: functions.f.roles: {NO_AUTH}"),
        ("channels: {c: {roles: []}}\n", f"2:16: channels.c.roles: {NO_AUTH}"),
        ("functions: {f: {roles: web}}\n", "2:17: functions.f.roles: must be a list, not text: put it in brackets"),
        (AUTH + "functions: {f: {roles: [1]}}\n", f"3:25: functions.f.roles[0]: {QUOTE}"),
        ("functions: {f: {rate: 10}}\n", f"2:17: functions.f.rate: {RATE}"),
        ("functions: {f: {rate: 0.5}}\n", f"2:17: functions.f.rate: {RATE}"),
        ("functions: {f: {rate: true}}\n", f"2:17: functions.f.rate: {RATE}"),
        (
            "functions: {f: {rate: [10]}}\n",
            "2:17: functions.f.rate: must be text, not a list: write for example rate: 10/s",
        ),
        (
            AUTH + "functions: {f: {roles: [true]}}\n",
            "3:25: functions.f.roles[0]: must be text, not a boolean: put it in quotes",
        ),
        ("functions: {f: {rate: 10/h}}\n", f"2:17: functions.f.rate: {RATE}"),
        ("functions: {f: {rate: 0/s}}\n", f"2:17: functions.f.rate: {RATE}"),
        ("limits: {rates: {address: {calls: 1.5/s}}}\n", f"2:28: limits.rates.address.calls: {RATE}"),
        (
            "limits: {rates: {user: {calls: 1/s}}}\n",
            "2:18: limits.rates.user: unknown key; known here: address, identity",
        ),
        (
            "limits: {rates: {address: {call: 1/s}}}\n",
            '2:28: limits.rates.address.call: unknown key; did you mean "calls"?',
        ),
        ("channels: {c: {authorize: ' '}}\n", f"2:16: channels.c.authorize: {BLANK}"),
        (
            'channels: {"user.{sub}": }\n',
            f'2:12: channels."user.{{sub}}": {CLAIM}',
        ),
        (AUTH + 'channels: {"a{b": }\n', '3:12: channels."a{b": unmatched {: write {{ for a brace'),
        (
            AUTH + 'channels: {"{a..b}*": }\n',
            '3:12: channels."{a..b}*": {a..b} ' + NO_CLAIM,
        ),
        (
            f'channels: {{"{{{{{"a" * 63}": }}\n',
            f'2:12: channels."{{{{{"a" * 63}": has 64 bytes in UTF-8; PostgreSQL\'s limit for a channel\'s name is 63',
        ),
    ],
)  # fmt: skip
def test_faults(text: str, expected: str) -> None:
    assert faults(text) == [expected]
