"""Owns the demo as a running process: what the tests of the page and of the wire talk to."""

from collections.abc import Iterator

import pytest

from tests.acceptance import demos


@pytest.fixture(scope="session")
def demo_server() -> Iterator[demos.Demo]:
    """`python server.py demo` on a free port, with a database of its own."""
    with demos.folder() as data, demos.running(data) as demo:
        yield demo
