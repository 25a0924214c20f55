"""Owns making certificates for tests, with the openssl of this machine."""

import shutil
import subprocess
from pathlib import Path

import pytest


def make(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate for localhost and 127.0.0.1 that signs itself, and its key: name.pem and name.key in the folder."""
    if shutil.which("openssl") is None:
        pytest.skip("TLS IS NOT TESTED: there is no openssl to make a certificate with")
    made = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2",
         "-out", made[0], "-keyout", made[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return made
