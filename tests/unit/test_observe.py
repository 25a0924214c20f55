"""Every observation has a line, made of what it holds; of what happens to many clients there are few lines."""

import dataclasses
import logging
from typing import Any

import pytest

from pgrpc import logs, observe

VALUES: dict[str, Any] = {
    "str": "x", "str | None": None, "int": 2, "float": 2.5, "float | None": 0.05, "bool": True,
    "Sequence[str]": ("a", "b"), "BaseException": ValueError("x"),
}  # fmt: skip


def made(kind: type[Any]) -> observe.Observation:
    types = {f.name: f.type.__name__ if isinstance(f.type, type) else str(f.type) for f in dataclasses.fields(kind)}
    found: observe.Observation = kind(**{name: VALUES.get(of, VALUES["Sequence[str]"]) for name, of in types.items()})
    return found


@pytest.mark.parametrize("kind", observe.Observation.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_observation_has_a_line(kind: type[Any]) -> None:
    observation = made(kind)
    assert observation.line()
    assert "{" not in observation.line()
    assert observation.level in (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)


def test_what_a_client_wrote_is_no_part_of_the_template() -> None:
    assert "'{o.address}'" in observe.OriginRefused("192.0.2.1", "{o.address}").line()
    assert "%s {o.url}" in observe.Serving("http://h/", "%s {o.url}").line()


def test_of_many_clients_one_line_then_a_count(caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    log = logs.Log()
    for _ in range(3):
        log(observe.QueueFull(7))
    now[0] += 11
    log(observe.QueueFull(7))
    line = "refused a call: 7 calls are waiting for the database already (limits.queue)"
    more = f"{line} (and 2 more times since the last such line)"
    assert [record.getMessage() for record in caplog.records] == [line, more]


def test_a_second_origin_has_a_line_of_its_own_up_to_a_bound(caplog: pytest.LogCaptureFixture) -> None:
    log = logs.Log()
    for number in (1, 2, 1, 2):
        log(observe.OriginRefused("192.0.2.1", f"http://localhost:{number}"))
    assert len(caplog.records) == 2
    for number in range(1000):
        log(observe.OriginRefused("192.0.2.1", f"http://localhost:{number}"))
    assert len(caplog.records) < 110


def test_a_bug_has_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    logs.Log()(observe.Bug("a test", ValueError("x")))
    (record,) = caplog.records
    assert record.exc_info is not None
