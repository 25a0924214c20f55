"""Who may open a socket: tokens good and bad on real sockets, and logs that hold none of them."""

import asyncio
import base64
import hmac
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pgrpc.demo import embedded
from tests.support import pgrpc_server, served_sql, token_issuer, ws_client
from tests.support.databases import Database

SECRET = "a-Secret-of-the-tests-that-no-log-may-hold"
PAGE = "https://app.example.com"
SQL = """
create role tokens_login login noinherit password 'tokens-Password-9';
create role tokens_anon nologin;
create role tokens_user nologin;
create role tokens_admin nologin;
create role tokens_other nologin;
create role tokens_super nologin superuser;
grant tokens_anon, tokens_user, tokens_admin to tokens_login;
create function whoami() returns json stable language sql as $$
    select json_build_object('role', current_user, 'claims', current_setting('request.jwt.claims')::json,
                             'headers', current_setting('request.headers')::json)
$$;
create function claims() returns text stable language sql as $$ select current_setting('request.jwt.claims') $$;
"""
ROLES = "tokens_login, tokens_anon, tokens_user, tokens_admin, tokens_other, tokens_super"
SURFACE = f"""
functions: {{whoami: , claims: }}
channels: {{news: }}
server: {{port: 0, allowed_origins: ["{PAGE}", "*"]}}
"""
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
GOOD = {"aud": "pgrpc", "iss": "https://issuer/"}


@pytest.fixture(scope="module")
def database(embedded_postgres: embedded.Server) -> Iterator[Database]:
    with served_sql.database(embedded_postgres, SQL, roles=ROLES) as made:
        yield made


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Tokens:
    """Makes tokens, and keeps them to be looked for."""

    def __init__(self) -> None:
        self.made: set[str] = set()

    def sign(self, key: Any = SECRET, algorithm: str = "HS256", header: Any = None, **claims: Any) -> str:
        return self.keep(jwt.encode({"role": "tokens_user", "sub": "ann", **claims}, key, algorithm, header))

    def raw(self, header: Any, claims: Any, secret: str | None = SECRET) -> str:
        """Put together by hand, as no library would; claims may be bytes. Without a secret there is no signature."""
        body = claims if isinstance(claims, bytes) else json.dumps({"role": "tokens_user", **GOOD, **claims}).encode()
        signed = f"{base64url(json.dumps(header).encode())}.{base64url(body)}"
        if secret is None:
            return self.keep(f"{signed}.")
        return self.keep(f"{signed}.{base64url(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}")

    def keep(self, token: str) -> str:
        self.made.add(token)
        return token


Guarded = tuple[pgrpc_server.Server, Tokens]


@contextmanager
def guarded(folder: Path, database: Database, auth: str, rest: str = "") -> Iterator[Guarded]:
    """A server with this section; afterwards its log is searched for every token, and for the secrets."""
    dsn = database.server.dsn(database.dsn.rpartition("/")[2], "tokens_login", "tokens-Password-9")
    tokens = Tokens()
    with pgrpc_server.serving(
        folder, dsn, f"auth:\n  roles: [tokens_user, tokens_admin]\n{auth}{SURFACE}{rest}"
    ) as server:
        yield server, tokens
    assert SECRET not in server.log
    assert "tokens-Password-9" not in server.log
    assert "PRIVATE" not in server.log
    for token in tokens.made:
        for part in (token, *token.split(".")):
            assert len(part) < 8 or part not in server.log


@pytest.fixture(scope="module")
def by_secret(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[Guarded]:
    auth = f"""\
  secret: {SECRET}
  anonymous_role: tokens_anon
  audience: [pgrpc, other]
  issuer: https://issuer/
  leeway: 2s
  cookie: session
  query_parameter: access_token
  headers: [User-Agent]
"""
    with guarded(tmp_path_factory.mktemp("secret"), database, auth) as made:
        yield made


async def whoami(address: str, token: str | None = None, **options: Any) -> Any:
    headers = {**options.pop("headers", {}), **({} if token is None else {"Authorization": f"Bearer {token}"})}
    async with ws_client.Client(address, additional_headers=headers, **options) as client:
        return await client.call("whoami")


async def refused(address: str, token: str | None = None, **options: Any) -> tuple[int, str, Any]:
    """Status, reason and headers of a handshake that is refused before the upgrade."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        await whoami(address, token, **options)
    response = caught.value.response
    return response.status_code, (response.body or b"").decode(), response.headers


# What is taken, and where from


async def test_nobody_is_anonymous(by_secret: Guarded) -> None:
    server, _ = by_secret
    found = await whoami(server.address())
    assert (found["role"], found["claims"]) == ("tokens_anon", {"role": "tokens_anon"})


async def test_a_token_gives_role_claims_and_headers(by_secret: Guarded) -> None:
    server, tokens = by_secret
    found = await whoami(
        server.address(),
        tokens.sign(**GOOD, exp=time.time() + 60),
        user_agent_header="tests",
        headers={"X-Other": "no"},
    )
    assert found["role"] == "tokens_user"
    assert (found["claims"]["sub"], found["claims"]["role"]) == ("ann", "tokens_user")
    assert found["headers"] == {"user-agent": "tests", "x-real-ip": "127.0.0.1"}


async def test_a_token_that_names_no_role_is_anonymous_with_its_claims(by_secret: Guarded) -> None:
    server, tokens = by_secret
    token = tokens.keep(jwt.encode({"sub": "ann", **GOOD}, SECRET))
    found = await whoami(server.address(), token)
    assert (found["role"], found["claims"]["sub"], found["claims"]["role"]) == ("tokens_anon", "ann", "tokens_anon")


@pytest.mark.parametrize("offered", [["pgrpc", "bearer.TOKEN"], ["bearer.TOKEN", "other", "pgrpc"]])
async def test_a_token_as_subprotocol_is_answered_without_it(by_secret: Guarded, offered: list[str]) -> None:
    server, tokens = by_secret
    token = tokens.sign(**GOOD)
    protocols: Any = [name.replace("TOKEN", token) for name in offered]
    async with ws_client.Client(server.address(), subprotocols=protocols) as client:
        assert client.socket.subprotocol == "pgrpc"
        assert (await client.call("whoami"))["role"] == "tokens_user"


async def test_the_subprotocol_alone_is_no_token(by_secret: Guarded) -> None:
    server, _ = by_secret
    protocols: Any = ["pgrpc"]
    async with ws_client.Client(server.address(), subprotocols=protocols) as client:
        assert client.socket.subprotocol == "pgrpc"
        assert (await client.call("whoami"))["role"] == "tokens_anon"


async def test_a_cookie_speaks_for_pages_listed_by_name_only(by_secret: Guarded) -> None:
    server, tokens = by_secret
    cookie = {"Cookie": f"a=b; session={tokens.sign(**GOOD)}; c"}
    assert (await whoami(server.address(), headers=cookie, origin=PAGE))["role"] == "tokens_user"
    own = server.url.rstrip("/")
    for origin in (None, own, "https://evil.example"):
        status, _, _ = await refused(server.address(), headers=cookie, origin=origin)
        assert status == 403, origin


async def test_the_address_may_hold_it_where_there_is_no_other_way(by_secret: Guarded) -> None:
    server, tokens = by_secret
    good, bad = tokens.sign(**GOOD), tokens.sign("x" * 32, **GOOD)
    async with websockets.connect(f"{server.address('listen/news')}?access_token={good}"):
        pass
    status, _, _ = await refused(f"{server.address('listen/news')}?access_token={bad}")
    assert status == 401
    assert (await whoami(f"{server.address()}?access_token={good}"))["role"] == "tokens_anon", "not at /rpc"


@pytest.mark.parametrize("second", ["header", "subprotocol", "cookie"])
async def test_two_tokens_are_one_too_many(by_secret: Guarded, second: str) -> None:
    server, tokens = by_secret
    one, other = tokens.sign(**GOOD), tokens.sign(**GOOD, sub="bob")
    ways: dict[str, dict[str, Any]] = {
        "header": {"headers": {"authorization": f"bearer {other}"}},
        "subprotocol": {"subprotocols": ["pgrpc", f"bearer.{other}"]},
        "cookie": {"headers": {"Cookie": f"session={other}"}, "origin": PAGE},
    }
    status, reason, _ = await refused(server.address(), one, **ways[second])
    assert (status, reason) == (401, "the request has more than one token: send one\n")
    if second == "cookie":
        both = {"Cookie": f"session={one}; session={other}"}
        assert (await refused(server.address(), headers=both, origin=PAGE))[0] == 401


HARD: dict[str, Any] = {
    "quotes": 'O\'Hara "the" \\ $$; drop table x; --',
    "newlines": "a\nb\r\n\tc\u2028",
    "unicode": "\U0001f418 é \x7f",
    "percent": "%s %(a)s :a {b}",
    "nested": {"a": [1, None, True, {"b": ""}]},
}


async def test_claims_arrive_as_they_were(by_secret: Guarded) -> None:
    server, tokens = by_secret
    found = await whoami(server.address(), tokens.sign(**GOOD, **HARD, long="x" * 4500))
    assert {key: found["claims"][key] for key in HARD} == HARD
    assert found["claims"]["long"] == "x" * 4500


async def test_numbers_in_claims_keep_their_digits(by_secret: Guarded) -> None:
    server, tokens = by_secret
    good = json.dumps(GOOD)[1:-1]
    token = tokens.raw(
        {"alg": "HS256"},
        f'{{"role":"tokens_user",{good},"n":12345678901234567890.50,"m":98765432109876543210}}'.encode(),
    )
    async with ws_client.Client(server.address(), additional_headers={"Authorization": f"Bearer {token}"}) as client:
        text = await client.call("claims")
    assert '"n":12345678901234567890.50,"m":98765432109876543210' in text


# Attacks


def hs(**claims: Any) -> Any:
    return lambda tokens: tokens.sign(**{**GOOD, **claims})


def raw(header: Any, claims: Any = None, secret: str | None = SECRET) -> Any:
    return lambda tokens: tokens.raw(header, {} if claims is None else claims, secret)


def tampered(tokens: Tokens) -> str:
    header, _, signature = tokens.sign(**GOOD).split(".")
    claims = base64url(json.dumps({**GOOD, "role": "tokens_admin"}).encode())
    return tokens.keep(f"{header}.{claims}.{signature}")


def self_signed(tokens: Tokens) -> str:
    """With a key that the token brings along."""
    header = {
        "jwk": token_issuer.public_jwk(RSA_KEY),
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example",
    }
    return tokens.sign(RSA_KEY, "RS256", header, **GOOD)


ALGORITHM = "algorithm is not accepted"
SIGNATURE = "signature is invalid"
ROLE = "role is not allowed"
HEADER = "header is malformed"
FORM = "not a JSON Web Token"
TIME = "is not a time"
UNSTORABLE = "cannot store"

ATTACKS = {
    "alg none": (raw({"alg": "none"}, secret=None), ALGORITHM),
    "alg None": (raw({"alg": "None"}, secret=None), ALGORITHM),
    "alg none, signed": (raw({"alg": "none"}), ALGORITHM),
    "alg empty": (raw({"alg": ""}), ALGORITHM),
    "alg missing": (raw({"typ": "JWT"}), ALGORITHM),
    "alg a list": (raw({"alg": ["HS256"]}), ALGORITHM),
    "alg not pinned": (lambda tokens: tokens.sign(SECRET * 2, "HS512", **GOOD), ALGORITHM),
    "a key of its own": (self_signed, ALGORITHM),
    "another secret": (lambda tokens: tokens.sign("x" * 32, **GOOD), SIGNATURE),
    "an empty secret": (raw({"alg": "HS256"}, secret=""), SIGNATURE),
    "no signature": (raw({"alg": "HS256"}, secret=None), SIGNATURE),
    "tampered claims": (tampered, SIGNATURE),
    "crit": (raw({"alg": "HS256", "crit": ["exp2"], "exp2": 1}), HEADER),
    "kid a number": (raw({"alg": "HS256", "kid": 7}), HEADER),
    "header no object": (raw(["HS256"]), HEADER),
    "header too deep": (lambda tokens: tokens.keep(base64url(b"[" * 4000) + ".e30.e30"), HEADER),
    "expired": (hs(exp=time.time() - 3600), r"expired \d{4,5} s ago"),
    "not valid yet": (hs(nbf=time.time() + 36_000), "not valid yet, only in 3"),
    "issued in the future": (hs(iat=time.time() + 36_000), "not valid yet, only in 3"),
    "exp is text": (raw({"alg": "HS256"}, {"exp": "tomorrow"}), TIME),
    "exp is true": (raw({"alg": "HS256"}, {"exp": True}), TIME),
    "exp is endless": (raw({"alg": "HS256"}, b'{"role":"tokens_user","exp":1e999}'), TIME),
    "exp is negative": (raw({"alg": "HS256"}, {"exp": -1}), TIME),
    "another audience": (hs(aud="elsewhere"), "another audience"),
    "no audience": (raw({"alg": "HS256"}, {"aud": None}), "has no audience"),
    "audiences of others": (hs(aud=["elsewhere", "pgrp", {}]), "another audience"),
    "another issuer": (hs(iss="https://evil.example/"), "another issuer"),
    "an issuer that only begins so": (hs(iss="https://issuer/x"), "another issuer"),
    "a superuser": (hs(role="tokens_super"), ROLE),
    "a role of another group": (hs(role="tokens_other"), ROLE),
    "the login role": (hs(role="tokens_login"), ROLE),
    "the role none": (hs(role="none"), ROLE),
    "an empty role": (hs(role=""), ROLE),
    "a role in other letters": (hs(role="TOKENS_USER"), ROLE),
    "a role with SQL": (hs(role='tokens_user"; reset role; --'), ROLE),
    "a list of roles": (hs(role=["tokens_user"]), ROLE),
    "NUL in a claim": (hs(sub="a\0b"), UNSTORABLE),
    "NUL in a key": (hs(**{"a\0b": {"c\0": 1}}), UNSTORABLE),
    "half a character": (raw({"alg": "HS256"}, {"sub": "\ud800"}), UNSTORABLE),
    "oversized": (hs(sub="x" * 8192), "the limit is 8192"),
    "claims no object": (raw({"alg": "HS256"}, b"[]"), "not a JSON object"),
    "claims no JSON": (raw({"alg": "HS256"}, b'{"role": NaN}'), "not a JSON object"),
    "claims no UTF-8": (raw({"alg": "HS256"}, b'{"role": "\xff"}'), "not a JSON object"),
    "claims too deep": (raw({"alg": "HS256"}, b"[" * 5000), "not a JSON object"),
    "no token at all": (lambda tokens: tokens.keep("not-a-token-at-all"), FORM),
    "two parts": (lambda tokens: tokens.keep(tokens.sign(**GOOD).rpartition(".")[0]), FORM),
    "encrypted": (lambda tokens: tokens.keep(tokens.sign(**GOOD) + ".AAAA.AAAA"), FORM),
    "spaces": (lambda tokens: tokens.keep(tokens.sign(**GOOD).replace(".", " . ", 1)), FORM),
    "empty": (lambda tokens: "", FORM),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_is_refused_before_the_upgrade(by_secret: Guarded, attack: str) -> None:
    server, tokens = by_secret
    make, words = ATTACKS[attack]
    token = make(tokens)
    status, reason, headers = await refused(server.address(), token)
    assert (status, headers["WWW-Authenticate"].partition(",")[0]) == (401, 'Bearer realm="pgrpc"')
    assert re.search(words, reason), reason
    for part in filter(None, token.split(".")):
        assert part not in reason + str(headers)
    assert (await refused(server.address("listen/news"), token))[0] == 401
    assert (await whoami(server.address(), tokens.sign(**GOOD)))["role"] == "tokens_user", "nothing is broken by it"


async def test_a_key_id_is_only_a_name(by_secret: Guarded) -> None:
    """The file's secret has no name, so that any will do; none is a path or SQL."""
    server, tokens = by_secret
    for kid in ("../../../../dev/null", "' or 1=1; --", "https://evil.example/key", "x" * 1000):
        token = tokens.sign(header={"kid": kid}, **GOOD)
        assert (await whoami(server.address(), token))["role"] == "tokens_user"


async def test_a_storm_of_bad_tokens_is_a_line_or_two(by_secret: Guarded) -> None:
    server, tokens = by_secret
    begin = len(server.log)

    async def attempt(number: int) -> int:
        return (await refused(server.address(), tokens.sign("x" * 32, sub=str(number), **GOOD)))[0]

    for _ in range(4):
        assert set(await asyncio.gather(*(attempt(number) for number in range(50)))) == {401}
    assert (await whoami(server.address()))["role"] == "tokens_anon"
    assert server.log.count("signature is invalid", begin) < 20


# Public keys, and no anonymous role


@pytest.fixture(scope="module")
def by_key(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("key")
    (folder / "issuer.pem").write_text(token_issuer.pem(RSA_KEY))
    auth = '  public_key: issuer.pem\n  role_claim: app."https://example.com/role"\n'
    with guarded(folder, database, auth, "limits: {handshake_timeout: 3s}\n") as made:
        yield made


NESTED = {"app": {"https://example.com/role": "tokens_admin"}, "role": "tokens_super"}


async def test_a_public_key_verifies(by_key: Guarded) -> None:
    server, tokens = by_key
    found = await whoami(server.address(), tokens.sign(RSA_KEY, "RS256", **NESTED))
    assert (found["role"], found["claims"]["role"]) == ("tokens_admin", "tokens_admin")


async def test_a_public_key_is_no_secret(by_key: Guarded) -> None:
    server, tokens = by_key
    for secret in (token_issuer.pem(RSA_KEY), token_issuer.pem(RSA_KEY).strip()):
        token = tokens.raw({"alg": "HS256"}, NESTED, secret)
        assert ALGORITHM in (await refused(server.address(), token))[1]


async def test_a_token_for_somebody_else_is_refused_by_who_has_no_name(by_key: Guarded) -> None:
    server, tokens = by_key
    token = tokens.sign(RSA_KEY, "RS256", **NESTED, aud="elsewhere")
    assert "another audience" in (await refused(server.address(), token))[1]


async def test_a_token_that_names_no_role_is_refused_where_nobody_is_anonymous(by_key: Guarded) -> None:
    server, tokens = by_key
    assert "has no role" in (await refused(server.address(), tokens.sign(RSA_KEY, "RS256")))[1]
    token = tokens.sign(RSA_KEY, "RS256", app=["https://example.com/role"])
    assert "has no role" in (await refused(server.address(), token))[1]


async def test_who_brings_no_token_must_log_in_soon(by_key: Guarded) -> None:
    server, _ = by_key
    async with ws_client.Client(server.address()) as client:
        for method, params in (("whoami", []), ("rpc.on", ["news"]), ("unknown", [])):
            assert (await client.request(method, params))["error"]["code"] == -32004
        assert await client.closed() == 4401
    status, reason, headers = await refused(server.address("listen/news"))
    assert (status, reason, headers["WWW-Authenticate"]) == (401, "a token is required\n", 'Bearer realm="pgrpc"')


async def test_the_surface_is_shown_to_whom_it_serves(by_key: Guarded, by_secret: Guarded) -> None:
    def get(server: pgrpc_server.Server, token: str | None = None) -> int:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"{server.url}surface.json", headers=headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    server, tokens = by_key
    good, bad = tokens.sign(RSA_KEY, "RS256", **NESTED), tokens.sign(EC_KEY, "ES256", **NESTED)
    assert [await asyncio.to_thread(get, server, token) for token in (None, bad, good)] == [401, 401, 200]
    assert await asyncio.to_thread(get, by_secret[0]) == 200, "as for the anonymous role"


# Key sets


async def test_a_key_set_is_fetched_and_renewed_for_a_new_key(database: Database, tmp_path: Path) -> None:
    with token_issuer.Issuer(first=RSA_KEY) as source, guarded(tmp_path, database, f"  jwks: {source.url}\n") as made:
        server, tokens = made
        old = tokens.sign(RSA_KEY, "RS256", {"kid": "first"})
        assert (await whoami(server.address(), old))["role"] == "tokens_user"

        source.publish(second=EC_KEY)
        new = tokens.sign(EC_KEY, "ES256", {"kid": "second"})
        assert (await whoami(server.address(), new))["role"] == "tokens_user"
        assert "signed with an unknown key" in (await refused(server.address(), old))[1], "it was taken back"

        source.status = 500
        assert "signed with an unknown key" in (await refused(server.address(), old))[1]
        assert (await whoami(server.address(), new))["role"] == "tokens_user", "the last good keys stay"


async def test_made_up_key_ids_do_not_hammer_the_issuer(database: Database, tmp_path: Path) -> None:
    with token_issuer.Issuer(first=RSA_KEY) as source, guarded(tmp_path, database, f"  jwks: {source.url}\n") as made:
        server, tokens = made
        begin = time.monotonic()

        async def attempt(kid: str) -> str:
            return (await refused(server.address(), tokens.sign(RSA_KEY, "RS256", {"kid": kid})))[1]

        for number in range(5):
            kids = [f"../{number}/{index}" for index in range(20)]
            assert all("signed with an unknown key" in said for said in await asyncio.gather(*map(attempt, kids)))
        assert source.asked <= 2 + (time.monotonic() - begin) / 10
        confused = tokens.raw({"alg": "HS256", "kid": "first"}, {}, source.body.decode())
        assert ALGORITHM in (await refused(server.address(), confused))[1]


async def test_an_issuer_that_answers_badly_at_first(database: Database, tmp_path: Path) -> None:
    with token_issuer.Issuer(first=RSA_KEY) as source:
        good, source.body = source.body, b"<html>"
        with guarded(tmp_path, database, f"  jwks: {source.url}\n") as made:
            server, tokens = made
            token = tokens.sign(RSA_KEY, "RS256", {"kid": "first"})
            status, reason, headers = await refused(server.address(), token)
            assert (status, headers["Retry-After"]) == (503, "1")
            assert "the keys that verify tokens" in reason
            server.wait_for(
                "the key set is unavailable, no token is accepted until it is available; retrying: is not JSON"
            )

            source.body = good
            await asyncio.to_thread(server.wait_for, "the key set is available")
            assert (await whoami(server.address(), token))["role"] == "tokens_user"


async def test_an_issuer_that_does_not_answer(database: Database, tmp_path: Path) -> None:
    with token_issuer.Issuer(first=RSA_KEY) as source:
        source.go.clear()
        auth = f"  jwks: {source.url}\n  anonymous_role: tokens_anon\n"
        with guarded(tmp_path, database, auth) as made:
            server, tokens = made
            token = tokens.sign(RSA_KEY, "RS256", {"kid": "first"})
            waits = asyncio.create_task(whoami(server.address(), token))
            gone = asyncio.create_task(whoami(server.address("listen/news"), token))
            assert (await whoami(server.address()))["role"] == "tokens_anon", "others are served meanwhile"
            gone.cancel()
            source.go.set()
            assert (await waits)["role"] == "tokens_user"


# The command line


def run(folder: Path, auth: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    (folder / "config.yaml").write_text(f"database: {{dsn: 'postgresql://127.0.0.1:1/x'}}\nserver: {{port: 0}}\n{auth}")
    return subprocess.run(
        [sys.executable, pgrpc_server.ROOT / "server.py", *arguments, "--config", "config.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=20,
    )


async def test_a_token_for_development(by_secret: Guarded, tmp_path: Path) -> None:
    server, tokens = by_secret
    auth = f"auth: {{secret: {SECRET}, audience: [pgrpc], issuer: https://issuer/, roles: [tokens_user]}}\n"
    made = run(tmp_path, auth, "token", "--role", "tokens_user", "--sub", "ann", "--ttl", "10m", "--claim", "n=[1]")
    assert (made.returncode, made.stderr) == (0, "")
    found = await whoami(server.address(), tokens.keep(made.stdout.removesuffix("\n")))
    claims = found["claims"]
    assert (found["role"], claims["sub"], claims["n"], claims["exp"] - claims["iat"]) == (
        "tokens_user",
        "ann",
        [1],
        600,
    )
    assert (
        run(tmp_path, auth, "token", "--role", "x").stderr
        == "config.yaml:3:1: auth: the role 'x' is not in auth.roles\n"
    )


def test_what_no_token_can_be_made_from(tmp_path: Path) -> None:
    (tmp_path / "issuer.pem").write_text(token_issuer.pem(EC_KEY))
    for auth, words in [
        ("", "config.yaml:1:1: auth: is missing: there are no tokens without it\n"),
        (
            "auth: {public_key: issuer.pem}\n",
            "config.yaml:3:1: auth: requires auth.secret: with a public key only its issuer can sign tokens\n",
        ),
    ]:
        made = run(tmp_path, auth, "token", "--role", "a")
        assert (made.returncode, made.stdout, made.stderr) == (78, "", words)
    assert run(tmp_path, "", "token", "--ttl", "soon").returncode == 2
    assert run(tmp_path, "", "token", "--claim", "x").returncode == 2


def test_keys_that_are_none_are_told_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "private.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (tmp_path / "set.json").write_text('{"keys": [{"kty": "oct", "k": "AAAA"}]}')
    for auth, words in [
        (
            "public_key: private.pem",
            "public_key: is a private key: use the public key",
        ),
        ("jwks: set.json", "jwks: has no usable key for RS256, ES256"),
        ("jwks: nowhere.json", "jwks: cannot be read: No such file or directory"),
        ("jwks: 'http://127.0.0.1:1/'", "jwks: cannot be reached: Connection refused"),
    ]:
        checked = run(tmp_path, f"auth:\n  {auth}\n", "check")
        assert checked.returncode == 78
        assert f"config.yaml:4:3: auth.{words}" in checked.stderr
