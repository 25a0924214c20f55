"""Owns the PostgreSQL that these tests may kill, and the table of what they found."""

from collections.abc import Iterator

import pytest

from pgrpc.demo import embedded
from tests.support import breakable, ledger


@pytest.fixture(scope="package")
def postgres_to_break() -> Iterator[embedded.Server]:
    with breakable.postgres_of_our_own() as server:
        yield server


@pytest.fixture
def here(postgres_to_break: embedded.Server) -> Iterator[breakable.World]:
    """A database of a PostgreSQL that this test may stop, freeze and kill."""
    with breakable.database_of(postgres_to_break) as made:
        yield made


@pytest.fixture(scope="package")
def table() -> Iterator[ledger.Table]:
    """What was sent, got and told, written to the file that PGRPC_FAULT_TABLE names, if it does."""
    made = ledger.Table()
    yield made
    made.write()
