"""Loads a certificate and its key for TLS.

Owns the reading of the two files, and the TLS version. Must not know the server, nor when they are loaded again.
"""

import ssl
from pathlib import Path
from typing import Literal


class Unusable(Exception):
    """str() says why. file: which of the two is at fault."""

    def __init__(self, file: Literal["certificate", "key"], message: str) -> None:
        super().__init__(message)
        self.file = file


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context from PEM files: the certificate followed by its intermediate ones, and its key without a passphrase.

    TLS 1.2 and later (RFC 8996). Raises Unusable.
    """
    _check(certificate, "certificate", "CERTIFICATE-----")
    _check(key, "key", "PRIVATE KEY-----")
    loaded = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    loaded.minimum_version = ssl.TLSVersion.TLSv1_2
    loaded.options |= ssl.OP_NO_RENEGOTIATION
    loaded.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        loaded.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise _unusable(error.reason or "") from error
    except OSError as error:  # removed or changed since it was checked
        raise Unusable("certificate", f"cannot be read: {error.strerror}") from error
    return loaded


def _check(path: Path, file: Literal["certificate", "key"], mark: str) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unusable(file, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Unusable(file, "a file name cannot hold the character NUL") from error
    if b"ENCRYPTED" in content and file == "key":
        raise Unusable(file, "is encrypted with a passphrase: store the key without one")
    if mark.encode() not in content:
        raise Unusable(file, f"contains no {'certificate' if file == 'certificate' else 'private key'} in PEM")


def _unusable(reason: str) -> Unusable:
    """reason: OpenSSL's name for it, such as KEY_VALUES_MISMATCH."""
    if "MISMATCH" in reason or reason == "NO_CERTIFICATE_ASSIGNED":
        return Unusable("key", "does not match the certificate, which must be the first one in its file")
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        return Unusable("certificate", f"is too weak for OpenSSL: {reason.replace('_', ' ').lower()}")
    return Unusable("certificate", "is not valid PEM, or its key is not")
