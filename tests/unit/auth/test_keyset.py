"""When a key set is fetched, and what becomes of its keys while it cannot be."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pgrpc import observe
from pgrpc.auth import keyset
from tests.support import token_issuer

KEY = ec.generate_private_key(ec.SECP256R1())


class Source:
    """An issuer in this process. asked: how often; go: cleared, an answer waits."""

    def __init__(self) -> None:
        self.answer: bytes | Exception = OSError("away")
        self.asked = 0
        self.go = asyncio.Event()
        self.go.set()

    def publish(self, *kids: str) -> None:
        self.answer = json.dumps({"keys": [token_issuer.public_jwk(KEY, kid=kid) for kid in kids]}).encode()

    async def __call__(self) -> bytes:
        self.asked += 1
        await self.go.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Running:
    def __init__(self) -> None:
        self.source = Source()
        self.told: list[observe.Observation] = []
        self.changes = 0
        self.changed = asyncio.Event()
        self.set = keyset.KeySet(self.source, (), self.told.append, self._changed)

    def _changed(self) -> None:
        self.changes += 1
        self.changed.set()

    @property
    def kids(self) -> list[Any]:
        return [key.id for key in self.set.keys]


@asynccontextmanager
async def running(*kids: str) -> AsyncIterator[Running]:
    """One whose first try is over."""
    made = Running()
    if kids:
        made.source.publish(*kids)
    task = asyncio.create_task(made.set.run())
    await made.set.renew()
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_is_fetched_at_the_start() -> None:
    async with running("a") as made:
        assert (made.kids, made.changes, made.told) == (["a"], 1, [observe.KeysUp(1)])


async def test_who_asks_during_the_first_try_waits_for_it() -> None:
    made = Running()
    made.source.publish("a")
    made.source.go.clear()
    task = asyncio.create_task(made.set.run())
    asking = [asyncio.create_task(made.set.renewed()) for _ in range(3)]
    await asyncio.sleep(0)
    assert made.kids == []
    made.source.go.set()
    await asyncio.gather(*asking)
    assert (made.kids, made.source.asked) == (["a"], 1)
    task.cancel()


async def test_tokens_renew_it_once_in_a_while() -> None:
    async with running("a") as made:
        made.source.publish("a", "b")
        await asyncio.gather(*(made.set.renewed() for _ in range(5)))
        assert (made.kids, made.source.asked) == (["a", "b"], 2)
        made.source.publish("c")
        for _ in range(5):
            await made.set.renewed()
        assert (made.kids, made.source.asked) == (["a", "b"], 2)


async def test_an_operator_renews_it_at_once() -> None:
    async with running("a") as made:
        await made.set.renewed()
        made.source.publish("b")
        await made.set.renew()
        assert made.kids == ["b"]


async def test_the_last_good_keys_stay() -> None:
    async with running("a") as made:
        for answer in (OSError("away"), b"<html>", b'{"keys": []}'):
            made.source.answer = answer
            await made.set.renew()
            assert made.kids == ["a"]
        assert made.told == [observe.KeysUp(1), observe.KeysDown("away", 1)], "told once"
        made.source.publish("b")
        await made.set.renew()
        assert (made.kids, made.told[2:]) == (["b"], [observe.KeysUp(1)])


async def test_what_is_as_before_changes_nothing() -> None:
    async with running("a") as made:
        await made.set.renew()
        assert (made.source.asked, made.changes) == (2, 1)


async def test_it_is_tried_again_until_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "_FIRST_PAUSE", 0.001)
    async with running() as made:
        assert (made.kids, made.told) == ([], [observe.KeysDown("away", 0)])
        made.source.publish("a")
        await asyncio.wait_for(made.changed.wait(), 10)
        assert made.kids == ["a"]


async def test_it_is_fetched_anew_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "_REFRESH", 0.001)
    async with running("a") as made:
        made.changed.clear()
        made.source.publish("b")
        await asyncio.wait_for(made.changed.wait(), 10)
        assert made.kids == ["b"]


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "_TIMEOUT", 0.001)
    async with running("a") as made:
        made.source.go.clear()
        await made.set.renew()
        await made.set.renew()
        assert made.kids == ["a"]


async def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_bytes(b"{}")
    assert await keyset.source(path)() == b"{}"
    path.write_bytes(b" " * 300_000)
    for wrong, words in [
        (path, "is longer than 262144 bytes"),
        (tmp_path / "none", "cannot be read: No such file or directory"),
        (Path("a\0b"), "a file name cannot hold the character NUL"),
    ]:
        with pytest.raises(OSError, match=words):
            await keyset.source(wrong)()
