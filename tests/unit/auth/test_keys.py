"""Which key may verify what: each key is bound to its own kind."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from pgrpc import config
from pgrpc.auth import keys
from tests.support import token_issuer

RSA = rsa.generate_private_key(65537, 2048)
SHORT = rsa.generate_private_key(65537, 1024)
P256, P384, P521, KOBLITZ = map(
    ec.generate_private_key, (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1())
)
ED = ed25519.Ed25519PrivateKey.generate()
SECRET = "s3cret" * 6


def algorithms(found: Any) -> set[str]:
    return set().union(*(key.algorithms for key in found))


def of_set(*listed: Any, pinned: Any = ()) -> Any:
    return keys.key_set(json.dumps({"keys": listed}).encode(), pinned)


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (config.Auth(secret=SECRET), {"HS256"}),
        (config.Auth(secret=SECRET, algorithms=("HS256", "HS384")), {"HS256", "HS384"}),
        (config.Auth(public_key=token_issuer.pem(RSA)), {"RS256"}),
        (config.Auth(public_key=token_issuer.pem(RSA), algorithms=("PS512", "ES256")), {"PS512"}),
        (config.Auth(public_key=token_issuer.pem(P256)), {"ES256"}),
        (config.Auth(public_key=token_issuer.pem(P384)), {"ES384"}),
        (config.Auth(public_key=token_issuer.pem(P521)), {"ES512"}),
        (config.Auth(public_key=token_issuer.pem(ED)), {"EdDSA"}),
        (config.Auth(jwks="https://x/"), set()),
    ],
)
def test_a_key_is_for_its_own_kind(auth: config.Auth, expected: set[str]) -> None:
    found = keys.configured(auth)
    assert algorithms(found) == expected
    assert keys.accepted_algorithms(auth, found) == (expected or {"RS256", "ES256"})
    assert "s3cret" not in repr(found)


PRIVATE = RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        (
            config.Auth(secret=token_issuer.pem(RSA)),
            "looks like a public key, not a secret: set auth.public_key instead",
        ),
        (config.Auth(public_key=PRIVATE), "is a private key: use the public key"),
        (config.Auth(public_key="-----BEGIN x"), "is not a public key or certificate in PEM"),
        (config.Auth(public_key="-----BEGIN CERTIFICATE-----"), "is not a public key or certificate in PEM"),
        (config.Auth(public_key=token_issuer.pem(SHORT)), "is an RSA key of 1024 bits; at least 2048 are required"),
        (
            config.Auth(public_key=token_issuer.pem(P256), algorithms=("RS256",)),
            "is for ES256, and auth.algorithms lists none of these",
        ),
        *(
            (
                config.Auth(public_key=token_issuer.pem(odd)),
                "is of an unsupported kind: use RSA, EC (P-256, P-384, P-521) or Ed25519",
            )
            for odd in (KOBLITZ, dsa.generate_private_key(1024))
        ),
    ],
)
def test_bad_keys(auth: config.Auth, words: str) -> None:
    with pytest.raises(keys.BadKey) as caught:
        keys.configured(auth)
    assert str(caught.value) == words


def test_a_certificate_holds_a_public_key() -> None:
    assert algorithms(keys.configured(config.Auth(public_key=CERTIFICATE))) == {"ES256"}


def test_a_set_gives_the_keys_that_are_of_use() -> None:
    rsa_key, ec_key = token_issuer.public_jwk(RSA, kid="a"), token_issuer.public_jwk(P256, kid="b")
    found = of_set(
        rsa_key,
        ec_key,
        "nothing",
        {**rsa_key, "use": "enc"},
        {**rsa_key, "key_ops": ["encrypt"]},
        {**rsa_key, "key_ops": 1},
        {**rsa_key, "alg": "RS512"},
        {**rsa_key, "alg": 5},
        {**rsa_key, "n": "!"},
        {**ec_key, "crv": "P-521"},
        {**ec_key, "kty": []},
        {"kty": "oct", "k": "c2VjcmV0"},
        token_issuer.public_jwk(SHORT),
        token_issuer.public_jwk(P384),
    )
    assert [(set(key.algorithms), key.id) for key in found] == [({"RS256"}, "a"), ({"ES256"}, "b")]


def test_a_private_key_in_a_set_verifies_and_cannot_sign() -> None:
    private = {**token_issuer.public_jwk(P256), "d": "AAAA"}
    (found,) = of_set(private)
    assert isinstance(found.material, ec.EllipticCurvePublicKey)


def test_a_set_is_pinned_to_the_algorithms_of_the_file() -> None:
    listed = [
        token_issuer.public_jwk(RSA, alg="RS256"),
        token_issuer.public_jwk(RSA),
        token_issuer.public_jwk(ED, kid=7),
    ]
    assert [set(key.algorithms) for key in of_set(*listed, pinned=("PS256", "EdDSA"))] == [{"PS256"}, {"EdDSA"}]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", 'is not a key set: it has no list "keys"'),
        (b'{"keys": {}}', 'is not a key set: it has no list "keys"'),
        (b'{"keys": []}', "has no usable key for RS256, ES256"),
        (b'{"keys": [' + b"1," * 100 + b"1]}", "has 101 keys; the limit is 100"),
    ],
)
def test_bad_sets(data: bytes, words: str) -> None:
    with pytest.raises(keys.BadKey) as caught:
        keys.key_set(data, ())
    assert str(caught.value) == words


def test_a_key_is_found_by_its_name_and_kind() -> None:
    a, b = keys.Key(frozenset(["RS256"]), 1, "a"), keys.Key(frozenset(["RS256"]), 2, "b")
    other, nameless = keys.Key(frozenset(["ES256"]), 3, "a"), keys.Key(frozenset(["RS256"]), 4)
    listed = [a, b, other, nameless]
    assert keys.candidates(listed, "RS256", "a") == [a, nameless]
    assert keys.candidates(listed, "RS256", None) == [a, b, nameless]
    assert keys.candidates(listed, "RS256", "c") == [nameless]
    assert keys.candidates(listed, "HS256", "a") == []


CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUT7NBSiDjiRs/2MZaDj/qCa1mSBMwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGaXNzdWVyMCAXDTI2MTEyMTE0NTQ0M1oYDzIxMjYxMDI4MTQ1
NDQzWjARMQ8wDQYDVQQDDAZpc3N1ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQv/G8YwwcrbQHPm5xWaoAg2aVQLCXf5LTqnmLlpCn/T1aWmeIPx0ooFUSRxWkh
JlNhO+7GV5DvojADsZvnjV4Xo1MwUTAdBgNVHQ4EFgQUeBH6TvQ7EhVDpxzd/qWu
eSiu9lgwHwYDVR0jBBgwFoAUeBH6TvQ7EhVDpxzd/qWueSiu9lgwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAgSh8sKVrHbhALIse8xGfDUv/VDKi
EZwfcjUSt8AyXrcCIBTX+Ue3U3rlDkMIRfaz1kz0ch2N5oeWKIhk5UEv3xZl
-----END CERTIFICATE-----
"""
