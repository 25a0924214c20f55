"""The section `auth` of the configuration: what it takes, and each fault with its exact place and words."""

from pathlib import Path

import pytest

from pgrpc import config

DSN = "database: {dsn: postgresql://h/d}\n"
SECRET = "s3cret" * 6
PEM = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str, **environ: str) -> config.Auth:
    Path("config.yaml").write_text(DSN + text)
    found = config.load("config.yaml", environ).auth
    assert found is not None
    return found


def faults(text: str, **environ: str) -> list[str]:
    with pytest.raises(config.Invalid) as caught:
        load(text, **environ)
    return [line.removeprefix("config.yaml:") for line in caught.value.faults]


def test_everything() -> None:
    Path("jwt.secret").write_text(SECRET * 2 + "\n")
    found = load("""
server: {allowed_origins: [https://app.example.com]}
auth:
  secret: ${file:jwt.secret}
  algorithms: [HS256, HS512]
  audience: [a, b]
  issuer: https://issuer/
  leeway: 1ms
  role_claim: app.'it''s'."https://a.b/c".role
  roles: [web_user]
  anonymous_role: web_anon
  cookie: session
  query_parameter: access_token
  headers: [User-Agent, x-request-id]
  pre_request: auth.check
  expiring: 2m
  control_channel: pgrpc_control
""")
    assert found == config.Auth(
        secret=SECRET * 2,
        algorithms=("HS256", "HS512"),
        audience=("a", "b"),
        issuer="https://issuer/",
        leeway=0.001,
        role_claim=("app", "'it''s'", "https://a.b/c", "role"),
        roles=("web_user",),
        anonymous_role="web_anon",
        cookie="session",
        query_parameter="access_token",
        headers=("user-agent", "x-request-id"),
        pre_request="auth.check",
        expiring=120.0,
        control_channel="pgrpc_control",
    )


def test_one_audience_is_text() -> None:
    assert load(f"auth: {{secret: {SECRET}, audience: me}}").audience == ("me",)


def test_a_public_key_is_a_file_beside_the_configuration_or_its_text() -> None:
    Path("keys").mkdir()
    Path("keys/a.pem").write_text(PEM)
    assert load("auth: {public_key: keys/a.pem}") == config.Auth(public_key=PEM)
    assert load('auth: {public_key: "${PEM}"}', PEM=PEM) == config.Auth(public_key=PEM)


@pytest.mark.parametrize(
    "address",
    ["https://issuer.example.com/jwks", "http://127.0.0.1:8081/jwks?x=1", "http://localhost/j", "http://[::1]:1/"],
)
def test_a_key_set_by_address(address: str) -> None:
    assert load(f"auth: {{jwks: '{address}'}}").jwks == address


def test_a_key_set_by_file(tmp_path: Path) -> None:
    assert load("auth: {jwks: keys/set.json}").jwks == tmp_path / "keys/set.json"


NONE = '"none" is not a role: SET ROLE none would give clients the login role'
HTTPS = "must be an https address (http only for 127.0.0.1, ::1 and localhost), or a file"
HOST = "must be an address with a host, without a user or a fragment"
NO_FILE = "cannot be read: No such file or directory"
NUMBER = "must be text or a list, not a number: put it in quotes"
PATH = (
    "must be claims with dots between them, such as app_metadata.role; "
    "one with a dot in its name stands in double quotes"
)
MARKS = 'must be letters, digits, "_", "." and "-"'
CONTROL = "auth.control_channel"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auth:\n", "2:1: auth: needs a key that verifies tokens: add secret, public_key or jwks"),
        ("auth: {leeway: 1s}\n", "2:1: auth: needs a key that verifies tokens: add secret, public_key or jwks"),
        ("auth: {secret: S, jwks: a}\n", "2:1: auth: has secret and jwks: keep one of them"),
        (
            "auth: []\n",
            '2:1: auth: must be a mapping (key: value), not a list: write auth: {secret: "${file:jwt.secret}"}',
        ),
        ("auth: {secret: S, secrets: 1}\n", '2:54: auth.secrets: unknown key; did you mean "secret"?'),
        ("auth: {secret: short}\n", "2:8: auth.secret: has 5 bytes; HS256 needs at least 32 (openssl rand -base64 48)"),
        (
            "auth:\n  secret: S\n  algorithms: [HS512]\n",
            "3:3: auth.secret: has 36 bytes; HS512 needs at least 64 (openssl rand -base64 96)",
        ),
        ("auth: {secret: ''}\n", "2:8: auth.secret: must not be empty"),
        (
            "auth: {algorithms: [none], secret: S}\n",
            "2:21: auth.algorithms[0]: must be one of: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, "
            "ES256, ES384, ES512, EdDSA",
        ),
        (
            "auth: {algorithms: [HS256, RS256], secret: S}\n",
            "2:28: auth.algorithms[1]: RS256 needs a public key, not a secret: choose another, or remove algorithms",
        ),
        (
            "auth: {algorithms: [RS256, HS256], jwks: a}\n",
            "2:28: auth.algorithms[1]: HS256 needs a secret, not a public key: choose another, or remove algorithms",
        ),
        ("auth: {public_key: no.pem}\n", f"2:8: auth.public_key: no.pem: {NO_FILE}"),
        ("auth: {public_key: '${X}'}\n", f"2:8: auth.public_key: {NO_FILE} (from ${{X}})"),
        ("auth: {public_key: key.der}\n", "2:8: auth.public_key: key.der: is not PEM text"),
        ('auth: {public_key: "a\\0"}\n', "2:8: auth.public_key: a file name cannot hold the character NUL"),
        ("auth: {jwks: 'http://issuer/jwks'}\n", f"2:8: auth.jwks: {HTTPS}"),
        ("auth: {jwks: 'file:///etc/passwd'}\n", f"2:8: auth.jwks: {HTTPS}"),
        (
            "auth: {jwks: 'https://me:pw@issuer/jwks'}\n",
            f"2:8: auth.jwks: {HOST}",
        ),
        ("auth: {jwks: 'https:///jwks'}\n", f"2:8: auth.jwks: {HOST}"),
        ("auth: {jwks: 'https://a:b/'}\n", "2:8: auth.jwks: must have a valid host, and a port of at most 65535"),
        ("auth: {secret: S, audience: 5}\n", f"2:54: auth.audience: {NUMBER}"),
        (
            "auth: {secret: S, role_claim: a..b}\n",
            f"2:54: auth.role_claim: {PATH}",
        ),
        ("auth: {secret: S, roles: [none]}\n", f"2:62: auth.roles[0]: {NONE}"),
        ("auth: {secret: S, roles: ['']}\n", "2:62: auth.roles[0]: must not be empty"),
        ("auth: {secret: S, anonymous_role: none}\n", f"2:54: auth.anonymous_role: {NONE}"),
        (
            "auth: {secret: S, cookie: session}\n",
            "2:54: auth.cookie: needs server.allowed_origins to list the pages that may use the cookie, without *",
        ),
        (
            "auth: {secret: S, cookie: session}\nserver: {allowed_origins: ['*']}\n",
            "2:54: auth.cookie: needs server.allowed_origins to list the pages that may use the cookie, without *",
        ),
        ("auth: {secret: S, query_parameter: a&b}\n", f"2:54: auth.query_parameter: {MARKS}"),
        (
            "auth: {secret: S, headers: [a, Cookie]}\n",
            "2:67: auth.headers[1]: contains credentials, which functions never receive: remove it",
        ),
        (
            "auth: {secret: S, pre_request: ' '}\n",
            "2:54: auth.pre_request: must not be blank: write the function's name",
        ),
        (
            "auth: {secret: S, control_channel: a}\nchannels: {b: , a: }\n",
            "3:17: channels.a: is auth.control_channel, which no client may subscribe to: remove one of the two",
        ),
        ("auth: {secret: S, control_channel: 'a*'}\n", f"2:54: {CONTROL}: must be the name of one channel, without *"),
        (
            'auth: {secret: S, control_channel: "a\\0"}\n',
            f"2:54: {CONTROL}: a channel's name cannot hold the character NUL",
        ),
        (
            f"auth: {{secret: S, control_channel: {'a' * 64}}}\n",
            f"2:54: {CONTROL}: has 64 bytes in UTF-8; PostgreSQL's limit for a channel's name is 63",
        ),
    ],
)  # fmt: skip
def test_faults(text: str, expected: str) -> None:
    Path("key.der").write_bytes(b"\xff\x00")
    assert faults(text.replace("secret: S", f"secret: {SECRET}"), X="hidden.pem") == [expected]


def test_keys_are_in_no_repr_and_no_fault() -> None:
    for found in (load(f"auth: {{secret: {SECRET}}}"), load("auth: {public_key: '${PEM}'}", PEM=PEM)):
        assert "s3cret" not in repr(found)
        assert "BEGIN" not in repr(found)
    (told,) = faults("auth: {secret: '${S}', algorithms: [HS512]}", S=SECRET)
    assert "s3cret" not in told


def test_a_faulty_section_is_not_asked_further() -> None:
    with pytest.raises(config.Invalid) as caught:
        load("auth: {public_key: none.pem}\n")
    assert caught.value.sound is not None
    assert caught.value.sound.auth is None
