"""One document from another server: what is bounded, and what is said where there is none."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgrpc.web import http_client
from tests.support import certificates, token_issuer
from tests.support.free_ports import free_port


@pytest.fixture
def source() -> Iterator[token_issuer.Issuer]:
    with token_issuer.Issuer() as made:
        yield made


async def why_not(url: str) -> str:
    with pytest.raises(OSError) as caught:  # noqa: PT011, the words are what is tested
        await http_client.fetch(url)
    return str(caught.value)


async def test_a_document(source: token_issuer.Issuer) -> None:
    source.body = b"x" * 262_144
    assert await http_client.fetch(source.url) == source.body


async def test_one_byte_more_is_too_much(source: token_issuer.Issuer) -> None:
    source.body = b"x" * 262_145
    assert (await why_not(source.url)).startswith("no complete answer within 4 s and 262144 bytes")


async def test_what_is_packed_is_not_unpacked(source: token_issuer.Issuer) -> None:
    source.body, source.headers = gzip.compress(b"x" * 10_000_000), {"Content-Encoding": "gzip"}
    assert await http_client.fetch(source.url) == source.body


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_another_answer(source: token_issuer.Issuer, status: int) -> None:
    source.status, source.headers = status, {"Location": source.url}
    more = "; redirects are not followed" if status == 302 else ""
    assert await why_not(source.url) == f"the answer has status {status}{more}"
    assert source.asked == 1


async def test_one_that_does_not_answer(source: token_issuer.Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "_TIMEOUT", 0.1)
    source.go.clear()
    assert (await why_not(source.url)).startswith("no complete answer within 0.1 s")


async def test_nobody_there() -> None:
    assert await why_not(f"http://127.0.0.1:{free_port()}/a?secret=s3cret") == "cannot be reached: Connection refused"


async def test_a_server_that_speaks_no_tls(source: token_issuer.Issuer) -> None:
    assert "cannot be reached" in await why_not(source.url.replace("http:", "https:"))


async def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    with token_issuer.Issuer(certificates.make(tmp_path)) as source:
        assert "certificate verify failed" in await why_not(source.url)
        assert source.asked == 0
