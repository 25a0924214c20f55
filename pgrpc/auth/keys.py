"""Keys that tokens are verified with: a secret, a PEM text, or what a JSON Web Key Set holds.

Owns which key may verify which algorithm: a key is bound to its own kind, so that a public key never passes for a
secret, whatever a token's header says. Must not know claims, nor where a key set comes from.
"""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import algorithms

from pgrpc import config
from pgrpc.core.wire import jsontext

MAX_KEYS = 100
_RSA_BITS = 2048
"""At least: https://www.rfc-editor.org/rfc/rfc7518#section-3.3"""
_RSA = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_BY_ITSELF = {"RS256", "ES256", "ES384", "ES512", "EdDSA"}
"""Of those that a public key could be for, where the file names none."""
_OF_SET = ("RS256", "ES256")
_PUBLIC = ("kty", "n", "e", "crv", "x", "y")
_READERS: dict[Any, Any] = {
    "RSA": algorithms.RSAAlgorithm,
    "EC": algorithms.ECAlgorithm,
    "OKP": algorithms.OKPAlgorithm,
}


class BadKey(Exception):
    """str() says what is wrong with a key, and shows nothing of it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """id: of a key of a set; None where any `kid` will do."""

    algorithms: frozenset[str]
    material: Any = dataclasses.field(repr=False)
    id: str | None = None


def taken(auth: config.Auth, given: Iterable[Key]) -> frozenset[str]:
    """The algorithms that a token may be signed by, whatever keys a set has just now."""
    if auth.jwks is not None:
        return frozenset(auth.algorithms or _OF_SET)
    return frozenset().union(*(key.algorithms for key in given))


def fitting(keys: Iterable[Key], algorithm: str, kid: str | None) -> list[Key]:
    """Those that may have signed a token with this header."""
    return [key for key in keys if algorithm in key.algorithms and (kid is None or key.id in (kid, None))]


def given(auth: config.Auth) -> Sequence[Key]:
    """The key that the file gives; () where it names a key set. Raises BadKey."""
    if auth.secret is not None:
        return (_secret(auth.secret, auth.algorithms or ("HS256",)),)
    if auth.public_key is not None:
        return (_pem(auth.public_key, auth.algorithms),)
    return ()


def _secret(text: str, pinned: Collection[str]) -> Key:
    try:
        material = algorithms.HMACAlgorithm(algorithms.HMACAlgorithm.SHA256).prepare_key(text)
    except jwt.InvalidKeyError:
        raise BadKey("looks like a public key, which is no secret: write it as public_key") from None
    return Key(frozenset(pinned), material)


def _pem(text: str, pinned: Collection[str]) -> Key:
    data = text.encode()
    if "PRIVATE KEY-----" in text:
        raise BadKey("is a private key, which the server has no use for: give the public one")
    try:
        if "-----BEGIN CERTIFICATE-----" in text:
            material: Any = x509.load_pem_x509_certificate(data).public_key()
        else:
            material = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("is not the PEM text of a public key or certificate") from None
    able = _able(material)
    found = able & set(pinned or _BY_ITSELF)
    if not found:
        raise BadKey(f"is for {', '.join(sorted(able))}: none of them is in auth.algorithms")
    return Key(found, material)


def key_set(data: bytes, pinned: Collection[str]) -> Sequence[Key]:
    """The usable keys of a JSON Web Key Set (RFC 7517 section 5); others in it are left out. Raises BadKey."""
    try:
        document = jsontext.parse(data.decode())
    except ValueError:
        raise BadKey("is not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise BadKey('is no key set: it has no list "keys"')
    if len(listed) > MAX_KEYS:
        raise BadKey(f"has {len(listed)} keys; at most {MAX_KEYS} are taken")
    found = [key for each in listed if (key := _of_set(each, pinned or _OF_SET)) is not None]
    if not found:
        raise BadKey(f"has no key for {', '.join(pinned or _OF_SET)}")
    return found


def _of_set(given: Any, pinned: Collection[str]) -> Key | None:
    if not isinstance(given, dict) or given.get("use", "sig") != "sig":
        return None
    kty, kid, operations = given.get("kty"), given.get("kid"), given.get("key_ops", ["verify"])
    reader = _READERS.get(kty) if isinstance(kty, str) else None
    if reader is None or not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        # Of a private key only the public part; a symmetric one has no place in a set that others may read.
        material = reader.from_jwk({name: given[name] for name in _PUBLIC if name in given})
        able = _able(material) & set(pinned)
    except (jwt.PyJWTError, BadKey, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    if "alg" in given:
        able &= {given["alg"]} if isinstance(given["alg"], str) else set()
    return Key(able, material, kid if isinstance(kid, str) else None) if able else None


def _able(material: Any) -> frozenset[str]:
    """The algorithms that a public key can be for. Raises BadKey."""
    match material:
        case rsa.RSAPublicKey():
            if material.key_size < _RSA_BITS:
                raise BadKey(f"is an RSA key of {material.key_size} bits; at least {_RSA_BITS} are needed")
            return _RSA
        case ec.EllipticCurvePublicKey() if material.curve.name in _CURVES:
            return frozenset((_CURVES[material.curve.name],))
        case ed25519.Ed25519PublicKey():
            return frozenset(("EdDSA",))
    raise BadKey("is of a kind that tokens are not signed with: RSA, EC (P-256, P-384, P-521) or Ed25519 is needed")
