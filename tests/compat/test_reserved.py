"""Channels that pgrpc reserves for itself stay reserved, whatever a dialect lists."""

import json
import time
from pathlib import Path

import jwt

from pgrpc.demo import embedded
from tests.support import served_sql
from tests.support.pgrpc_server import serving
from tests.support.ws_raw import Peer

SECRET = "a-secret-of-the-tests-that-is-long-enough"
SQL = """
create role compat_login login noinherit password 'compat';
create role compat_user nologin;
grant compat_user to compat_login;
"""
REST = f"""
auth: {{secret: {SECRET}, roles: [compat_user], control_channel: control}}
dialects:
  eventserv: {{channels: ["*"]}}
  postgresql2websocket: {{channels: ["**"]}}
"""


def test_no_dialect_gives_the_control_channel_away(embedded_postgres: embedded.Server, tmp_path: Path) -> None:
    token = jwt.encode({"sub": "a", "role": "compat_user", "exp": time.time() + 600}, SECRET, "HS256")
    header = f"Authorization: Bearer {token}"
    with served_sql.database(embedded_postgres, SQL, roles="compat_login, compat_user") as database:
        dsn = database.server.dsn(database.dsn.rpartition("/")[2], "compat_login", "compat")
        with serving(tmp_path, dsn, REST) as server:
            for path, allowed in {
                "/listen/controls": True, "/listen/control": False, "/controls": True, "/control": False,
            }.items():  # fmt: skip
                with Peer(server, path, header) as peer:
                    assert peer.answer.status.split()[1] == ("101" if allowed else "403"), path
            with Peer(server, "/listen/controls", header) as peer:
                order = {"action": "end", "sub": "somebody"}
                database.execute("select pg_notify('control', %s)", json.dumps(order))
                database.execute("notify controls, 'x'")
                assert peer.text() == "x"
