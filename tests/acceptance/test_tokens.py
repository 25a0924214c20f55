"""Who may open a socket: tokens good and bad on real sockets, and logs that hold none of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pgrpc import embedded
from tests import serving
from tests.conftest import Database
from tests.integration import calling

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
"""
ROLES = "tokens_login, tokens_anon, tokens_user, tokens_admin, tokens_other, tokens_super"
SURFACE = f"""
functions: {{whoami: }}
channels: {{news: }}
server: {{port: 0, allowed_origins: ["{PAGE}"]}}
limits: {{handshake_timeout: 1s}}
"""
RSA_KEY = rsa.generate_private_key(65537, 2048)


def public(key: Any) -> str:
    """PEM text."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    text: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    return text.decode()


@pytest.fixture(scope="module")
def database(embedded_postgres: embedded.Server) -> Iterator[Database]:
    with calling.database(embedded_postgres, SQL) as made:
        try:
            yield made
        finally:
            made.execute(f"drop owned by {ROLES}; drop role {ROLES}")


class Tokens:
    """Makes tokens, and keeps them to be looked for."""

    def __init__(self) -> None:
        self.made: set[str] = set()

    def sign(self, key: Any = SECRET, algorithm: str = "HS256", header: Any = None, **claims: Any) -> str:
        return self.keep(jwt.encode({"role": "tokens_user", "sub": "ann", **claims}, key, algorithm, header))

    def keep(self, token: str) -> str:
        self.made.add(token)
        return token


@contextmanager
def guarded(folder: Path, database: Database, auth: str) -> Iterator[tuple[serving.Server, Tokens]]:
    """A server with this section; afterwards its log is searched for every token, and for the secrets."""
    dsn = database.server.dsn(database.dsn.rpartition("/")[2], "tokens_login", "tokens-Password-9")
    tokens = Tokens()
    with serving.serving(folder, dsn, f"auth:\n  roles: [tokens_user, tokens_admin]\n{auth}{SURFACE}") as server:
        yield server, tokens
    assert SECRET not in server.log
    assert "tokens-Password-9" not in server.log
    for token in tokens.made:
        for part in (token, *token.split(".")):
            assert len(part) < 8 or part not in server.log


@pytest.fixture(scope="module")
def by_secret(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[tuple[serving.Server, Tokens]]:
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
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with serving.Client(address, additional_headers=headers, **options) as client:
        return await client.call("whoami")


GOOD = {"aud": "pgrpc", "iss": "https://issuer/"}


async def test_nobody_is_anonymous(by_secret: tuple[serving.Server, Tokens]) -> None:
    server, _ = by_secret
    found = await whoami(server.address())
    assert (found["role"], found["claims"]) == ("tokens_anon", {"role": "tokens_anon"})


async def test_a_token_gives_role_and_claims(by_secret: tuple[serving.Server, Tokens]) -> None:
    server, tokens = by_secret
    token = tokens.sign(**GOOD, exp=time.time() + 60)
    found = await whoami(server.address(), token, user_agent_header="tests")
    assert found["role"] == "tokens_user"
    assert found["claims"]["sub"] == "ann"
    assert found["headers"] == {"user-agent": "tests", "x-real-ip": "127.0.0.1"}
