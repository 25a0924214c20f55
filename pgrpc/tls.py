"""A certificate and its key -> what a server needs to speak TLS with them.

Owns the reading of the two files, and which TLS is spoken. Must not know who serves, nor when they are read again.
"""

import ssl
from pathlib import Path
from typing import Literal


class Unusable(Exception):
    """str() says why in words; `file`: which of the two it is about."""

    def __init__(self, file: Literal["certificate", "key"], words: str) -> None:
        super().__init__(words)
        self.file = file


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Of PEM files: the certificate with those between it and its root, and its key, which has no passphrase.

    TLS 1.2 and later (RFC 8996). Raises Unusable.
    """
    _look(certificate, "certificate", "CERTIFICATE-----")
    _look(key, "key", "PRIVATE KEY-----")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        made.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise _unusable(error.reason or "") from error
    except OSError as error:  # gone, or changed, since it was looked at
        raise Unusable("certificate", f"cannot be read: {error.strerror}") from error
    return made


def _look(path: Path, file: Literal["certificate", "key"], mark: str) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unusable(file, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Unusable(file, "a file name cannot hold the character NUL") from error
    if b"ENCRYPTED" in content and file == "key":
        raise Unusable(file, "has a passphrase, and nobody is there to type it: store the key without one")
    if mark.encode() not in content:
        raise Unusable(file, f"holds no {'certificate' if file == 'certificate' else 'private key'} in PEM")


def _unusable(reason: str) -> Unusable:
    """reason: OpenSSL's name for it, such as KEY_VALUES_MISMATCH."""
    if "MISMATCH" in reason or reason == "NO_CERTIFICATE_ASSIGNED":
        return Unusable("key", "is not the key of the certificate, which must be the first one in its file")
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        return Unusable("certificate", f"is too weak for OpenSSL: {reason.replace('_', ' ').lower()}")
    return Unusable("certificate", "cannot be read as PEM, or its key cannot")
