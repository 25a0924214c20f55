"""Owns the demo as a running process: what the tests of the page and of the wire talk to; and their way to it."""

from collections.abc import Iterator

import pytest

from tests.support import demo_process


@pytest.fixture(scope="session", autouse=True)
def _no_http_proxy() -> Iterator[None]:
    """What is asked of this machine is asked directly."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def demo_server() -> Iterator[demo_process.Demo]:
    """`python server.py demo` on a free port, with a database of its own."""
    with demo_process.folder() as data, demo_process.running(data) as demo:
        yield demo
