"""What is said where no connection can be opened: never a part of the password."""

import asyncio
import random
import sys
from urllib.parse import quote

import pytest

from pgrpc.demo import embedded
from pgrpc.postgres import connect, dsn
from tests.unit.postgres import test_dsn

PATIENCE = 30.0


async def reason(text: str) -> str:
    with pytest.raises(connect.CannotConnect) as caught:
        await asyncio.wait_for(connect.Connector(text, 5).connect(), PATIENCE)
    return str(caught.value)


async def test_odd_passwords_are_in_no_reason(embedded_postgres: embedded.Server) -> None:
    seed = random.randrange(1 << 32)
    sys.stdout.write(f"seed {seed}\n")
    refused = embedded_postgres.dsn(password="PASSWORD")
    tried = 0
    for password in test_dsn.odd_passwords(seed, 60):
        for text in (refused.replace("PASSWORD", password), refused.replace("PASSWORD", quote(password, safe=""))):
            try:
                dsn.parse(text)
            except dsn.BadDsn:
                continue
            said = await reason(text)
            tried += 1
            assert "authentication failed" in said, (password, said)
            assert not [secret for secret in test_dsn.SECRETS if secret in said], (password, said)
    assert tried >= 60


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
async def test_what_cannot_be_a_host_name(host: str) -> None:
    assert await reason(f"postgresql://web:s3cr@{host}/db") == f"{host}: not a host name"
