"""The keys of `server` that say how clients reach it."""

import ipaddress
import subprocess
from pathlib import Path

import pytest

from pgrpc import config
from tests.support import certificates

DSN = "database: {dsn: x}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(server: str, environ: dict[str, str] | None = None) -> config.Server:
    Path("config.yaml").write_text(f"{DSN}server:\n  {server}\n")
    return config.load("config.yaml", environ or {}).server


def fault(server: str, environ: dict[str, str] | None = None) -> str:
    """Without its line and column: the one fault there is."""
    with pytest.raises(config.Invalid) as caught:
        load(server, environ)
    (found,) = caught.value.faults
    return found.split(": ", 1)[1]


def test_origins_are_spelled_as_browsers_do() -> None:
    spelled = {
        "*": "*",
        "https://*.Example.com": "https://*.example.com",
        "https://a.example:443": "https://a.example",
        "http://a.example:443": "http://a.example:443",
        "http://[0:0:0:0:0:0:0:1]:5173": "http://[::1]:5173",
        "http://[2001:DB8::0001]": "http://[2001:db8::1]",
    }
    for given, made in spelled.items():
        assert load(f'allowed_origins: ["{given}"]').allowed_origins == (made,)


def test_hosts() -> None:
    found = load('allowed_hosts: [App.example., "*.app.example", "*"]').allowed_hosts
    assert found == ("app.example", "*.app.example", "*")
    words = 'must be a host\'s name in ASCII without a port, such as app.example.com or *.example.com; or "*" for any'
    assert fault("allowed_hosts: ['app.example:80']") == f"server.allowed_hosts[0]: {words}"
    assert fault("allowed_hosts: ['https://app.example']") == f"server.allowed_hosts[0]: {words}"


def test_proxies() -> None:
    found = load('trusted_proxies: [10.0.0.0/8, 192.0.2.1, "::1", "fd00::/8"]').trusted_proxies
    assert found == tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "192.0.2.1/32", "::1/128", "fd00::/8")))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("proxy.example", "must be an address or a network, such as 10.1.2.3, 10.0.0.0/8 or fd00::/8"),
        ("10.0.0.0/33", "must be an address or a network, such as 10.1.2.3, 10.0.0.0/8 or fd00::/8"),
        ("10.0.0.1/8", "must begin with the first address of its network, such as 10.0.0.0/8"),
    ],
)
def test_what_is_no_proxy(given: str, words: str) -> None:
    assert fault(f"trusted_proxies: ['{given}']") == f"server.trusted_proxies[0]: {words}"


def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = certificates.make(tmp_path)
    found = load("tls: {certificate: localhost.pem, key: localhost.key}").tls
    assert found == config.Tls(certificate, key)
    assert load("tls:").tls is None
    beside = load("tls: {certificate: localhost.pem, key: localhost.key, port: 8443}").tls
    assert found is not None
    assert beside == config.Tls(found.certificate, found.key, 8443)
    text = Path("config.yaml")
    text.write_text(f"{DSN}server: {{tls: {{certificate: localhost.pem, key: {key}}}}}\n")
    monkeypatch.chdir("/")
    assert config.load(tmp_path / "config.yaml", {}).server.tls == found


ANOTHERS = "does not match the certificate, which must be the first one in its file"
LOCKED = "is encrypted with a passphrase: store the key without one"


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        ("none", "localhost.key", "server.tls.certificate: none: cannot be read: No such file or directory"),
        ("localhost.pem", "none", "server.tls.key: none: cannot be read: No such file or directory"),
        ('"x\\0"', "localhost.key", "server.tls.certificate: x\0: a file name cannot hold the character NUL"),
        ("localhost.key", "localhost.key", "server.tls.certificate: localhost.key: contains no certificate in PEM"),
        ("localhost.pem", "localhost.pem", "server.tls.key: localhost.pem: contains no private key in PEM"),
        ("localhost.pem", "other.key", f"server.tls.key: other.key: {ANOTHERS}"),
        ("localhost.pem", "rsa.key", f"server.tls.key: rsa.key: {ANOTHERS}"),
        ("localhost.pem", "locked.key", f"server.tls.key: locked.key: {LOCKED}"),
        (
            "torn.pem",
            "localhost.key",
            "server.tls.certificate: torn.pem: is not valid PEM, or its key is not",
        ),
    ],
)
def test_what_cannot_serve(tmp_path: Path, certificate: str, key: str, words: str) -> None:
    made, its_key = certificates.make(tmp_path)
    certificates.make(tmp_path, "other")
    for command in (
        ["genrsa", "-out", "rsa.key", "2048"],
        ["pkcs8", "-topk8", "-in", str(its_key), "-out", "locked.key", "-passout", "pass:x"],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    Path("torn.pem").write_text(made.read_text()[:200])
    assert fault(f"tls: {{certificate: {certificate}, key: {key}}}") == words


def test_a_certificate_that_is_too_weak(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:512", "-nodes", "-subj", "/CN=x", "-days", "2",
         "-out", "weak.pem", "-keyout", "weak.key"],
        check=True, capture_output=True,
    )  # fmt: skip
    words = "server.tls.certificate: weak.pem: is too weak for OpenSSL: ee key too small"
    assert fault("tls: {certificate: weak.pem, key: weak.key}").endswith(words)


def test_what_is_missing_of_it() -> None:
    words = "server.tls.certificate: is missing: write for example certificate: certificate.pem"
    assert fault("tls: {key: k}") == words


def test_no_fault_tells_a_key(tmp_path: Path) -> None:
    certificates.make(tmp_path)
    found = fault('tls: {certificate: localhost.pem, key: "${file:localhost.key}"}')
    assert found == "server.tls.key: must be the name of a file, not its content (from ${file:localhost.key})"
    found = fault('tls: {certificate: localhost.pem, key: "${KEY}"}', {"KEY": "s3cret"})
    assert found == "server.tls.key: cannot be read: No such file or directory (from ${KEY})"
