"""The trigger functions of examples/demo.sql: what each sends, as pg_eventserv's clients hear it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgrpc.demo import embedded
from tests.support import served_sql
from tests.support.databases import Database
from tests.support.pgrpc_server import ROOT, Server, running, serving
from tests.support.ws_client import Client
from tests.support.ws_raw import Peer


@pytest.fixture(scope="module")
def database(embedded_postgres: embedded.Server) -> Iterator[Database]:
    with served_sql.database(embedded_postgres, (ROOT / "examples/demo.sql").read_text(encoding="utf-8")) as made:
        yield made


@pytest.fixture(scope="module")
def server(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """As pg_eventserv is started."""
    folder: Path = tmp_path_factory.mktemp("triggers")
    environ = {"DATABASE_URL": database.dsn, "ES_HTTPHOST": "127.0.0.1", "ES_HTTPPORT": "0"}
    with running(["eventserv"], folder=folder, environ=environ) as server:
        yield server


def heard(peer: Peer) -> Any:
    return json.loads(peer.text())


def test_people(server: Server, database: Database) -> None:
    with Peer(server, "/listen/people") as everybody, Peer(server, "/listen/tall_people") as tall:
        database.execute("insert into people (name, age, height) values ('Zoe', 30, 1.50)")
        database.execute("update people set height = 2.01 where name = 'Zoe'")
        first, second = heard(everybody), heard(everybody)
        assert {"name": "Zoe", "height": 1.5, "dml_action": "INSERT"}.items() <= first.items()
        assert {"pk": first["pk"], "height": 2.01, "dml_action": "UPDATE"}.items() <= second.items()
        assert heard(tall) == second  # and nothing before it: she was not tall

        database.execute("update people set name = repeat('é', 4000) where name = 'Zoe'")
        assert heard(everybody) == {"pk": first["pk"], "dml_action": "UPDATE", "truncated": True}


def test_table_update_notify(server: Server, database: Database) -> None:
    with Peer(server, "/listen/table_update_notify") as peer:
        database.execute("insert into tasks (title) values ('Water the plants')")
        database.execute("update tasks set done = true where title = 'Water the plants'")
        database.execute("delete from tasks where title = 'Water the plants'")
        for kind, done in (("INSERT", False), ("UPDATE", True), ("DELETE", True)):
            message = heard(peer)
            assert (message["table"], message["type"]) == ("tasks", kind)
            assert {"title": "Water the plants", "done": done}.items() <= message["row"].items()


async def test_record_changes(server: Server, database: Database, tmp_path: Path) -> None:
    with Peer(server, "/listen/record_changes") as peer:
        database.execute("insert into tasks (title) values ('Sweep')")
        database.execute("update tasks set title = title where title = 'Sweep'")  # which changes nothing
        database.execute("delete from tasks where title = 'Sweep'")
        entries = [heard(peer), heard(peer)]
    assert [entry["operation"] for entry in entries] == ["INSERT", "DELETE"]
    for entry in entries:
        assert entry == {"id": entry["id"], "table": "tasks", "operation": entry["operation"], "key": entries[0]["key"]}

    # What was sent is where to read on, for those who may.
    with serving(tmp_path, database.dsn, "functions: {list_changes: }\n") as native:
        async with Client(native.address()) as client:
            (inserted, *_) = await client.call("list_changes", entries[0]["id"] - 1)
    assert (inserted["id"], inserted["key"], inserted["before"]) == (entries[0]["id"], entries[0]["key"], None)
    assert inserted["after"]["title"] == "Sweep"
