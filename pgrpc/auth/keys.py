"""Keys that verify tokens: a secret, a public key in PEM, or the keys of a JSON Web Key Set.

Owns which key may verify which algorithm: a key is bound to its own kind, so that a public key is never used as a
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
"""The minimum: https://www.rfc-editor.org/rfc/rfc7518#section-3.3"""
_RSA = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_DEFAULT_OF_PEM = {"RS256", "ES256", "ES384", "ES512", "EdDSA"}
"""The default for `auth.algorithms` with a public key; the kind of the key selects from these."""
_DEFAULT_OF_SET = ("RS256", "ES256")
_PUBLIC = ("kty", "n", "e", "crv", "x", "y")
_READERS: dict[Any, Any] = {
    "RSA": algorithms.RSAAlgorithm,
    "EC": algorithms.ECAlgorithm,
    "OKP": algorithms.OKPAlgorithm,
}


class BadKey(Exception):
    """str() says what is wrong with a key, and contains no part of it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """id: its `kid` in a key set; None: it matches every `kid`."""

    algorithms: frozenset[str]
    material: Any = dataclasses.field(repr=False)
    id: str | None = None


def accepted_algorithms(auth: config.Auth, keys: Iterable[Key]) -> frozenset[str]:
    """The algorithms that tokens may be signed with; for a key set those do not depend on its present keys."""
    if auth.jwks is not None:
        return frozenset(auth.algorithms or _DEFAULT_OF_SET)
    return frozenset().union(*(key.algorithms for key in keys))


def candidates(keys: Iterable[Key], algorithm: str, kid: str | None) -> list[Key]:
    """The keys that may verify a token with this header."""
    return [key for key in keys if algorithm in key.algorithms and (kid is None or key.id in (kid, None))]


def configured(auth: config.Auth) -> Sequence[Key]:
    """The key in the file; () where the file names a key set. Raises BadKey."""
    if auth.secret is not None:
        return (_secret(auth.secret, auth.algorithms or ("HS256",)),)
    if auth.public_key is not None:
        return (_pem(auth.public_key, auth.algorithms),)
    return ()


def _secret(text: str, pinned: Collection[str]) -> Key:
    try:
        material = algorithms.HMACAlgorithm(algorithms.HMACAlgorithm.SHA256).prepare_key(text)
    except jwt.InvalidKeyError:
        raise BadKey("looks like a public key, not a secret: set auth.public_key instead") from None
    return Key(frozenset(pinned), material)


def _pem(text: str, pinned: Collection[str]) -> Key:
    data = text.encode()
    if "PRIVATE KEY-----" in text:
        raise BadKey("is a private key: use the public key")
    try:
        if "-----BEGIN CERTIFICATE-----" in text:
            material: Any = x509.load_pem_x509_certificate(data).public_key()
        else:
            material = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("is not a public key or certificate in PEM") from None
    supported = _supported(material)
    accepted = supported & set(pinned or _DEFAULT_OF_PEM)
    if not accepted:
        raise BadKey(f"is for {', '.join(sorted(supported))}, and auth.algorithms lists none of these")
    return Key(accepted, material)


def key_set(data: bytes, pinned: Collection[str]) -> Sequence[Key]:
    """The usable keys of a JSON Web Key Set (RFC 7517 section 5); others are ignored. Raises BadKey."""
    try:
        document = jsontext.parse(data.decode())
    except ValueError:
        raise BadKey("is not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise BadKey('is not a key set: it has no list "keys"')
    if len(listed) > MAX_KEYS:
        raise BadKey(f"has {len(listed)} keys; the limit is {MAX_KEYS}")
    accepted = pinned or _DEFAULT_OF_SET
    usable = [key for each in listed if (key := _of_set(each, accepted)) is not None]
    if not usable:
        raise BadKey(f"has no usable key for {', '.join(accepted)}")
    return usable


def _of_set(jwk: Any, pinned: Collection[str]) -> Key | None:
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    kty, kid, operations = jwk.get("kty"), jwk.get("kid"), jwk.get("key_ops", ["verify"])
    reader = _READERS.get(kty) if isinstance(kty, str) else None
    if reader is None or not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        # Only the public part of a private key. Symmetric keys are ignored: a key set is public.
        material = reader.from_jwk({name: jwk[name] for name in _PUBLIC if name in jwk})
        accepted = _supported(material) & set(pinned)
    except (jwt.PyJWTError, BadKey, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    if "alg" in jwk:
        accepted &= {jwk["alg"]} if isinstance(jwk["alg"], str) else set()
    return Key(accepted, material, kid if isinstance(kid, str) else None) if accepted else None


def _supported(material: Any) -> frozenset[str]:
    """The algorithms that a public key can verify. Raises BadKey."""
    match material:
        case rsa.RSAPublicKey():
            if material.key_size < _RSA_BITS:
                raise BadKey(f"is an RSA key of {material.key_size} bits; at least {_RSA_BITS} are required")
            return _RSA
        case ec.EllipticCurvePublicKey() if material.curve.name in _CURVES:
            return frozenset((_CURVES[material.curve.name],))
        case ed25519.Ed25519PublicKey():
            return frozenset(("EdDSA",))
    raise BadKey("is of an unsupported kind: use RSA, EC (P-256, P-384, P-521) or Ed25519")
