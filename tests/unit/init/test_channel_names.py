"""Which channels `pgrpc init` finds in the bodies of functions, and what it must not take for one."""

import pytest

from pgrpc.init import channel_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("begin perform pg_notify('people', to_json(new)::text); end", ["people"]),
        ("select PG_NOTIFY ( 'People' , '')", ["People"]),  # no folding: it is text
        ("select pg_catalog.pg_notify('a.b', '')", ["a.b"]),
        ("begin perform notify_json('orders', new); end", ["orders"]),  # a function of one's own around it
        ("select pg_notify('room.' || id, '')", ["room.*"]),
        ("select pg_notify('it''s', '')", ["it's"]),
        ("select pg_notify('user.{1}', '')", ["user.{{1}}"]),
        ("begin notify Refunds; end", ["refunds"]),  # as SQL folds it
        ("begin if x then notify \"Big Name\", 'payload'; end if; end", ["Big Name"]),
        ("notify a", ["a"]),
        ("begin notify b; notify a; notify b; end", ["a", "b"]),
        # Computed, or something else.
        ("begin perform pg_notify(channel, ''); end", []),
        ("-- pg_notify('old', '')\n/* notify older;\n*/ select 1", []),
        ("raise notice 'notify me'", []),
        ("begin insert into notify values (1); end", []),
        # What the file could not list.
        ("select pg_notify('a*b', ''), pg_notify('rpc.x', ''), pg_notify('', ''), pg_notify('a${b}', '')", []),
        (f"select pg_notify('{'x' * 64}', '')", []),
        (f"select pg_notify('{'é' * 32}', '')", []),
    ],
)
def test_of_one_body(text: str, names: list[str]) -> None:
    assert channel_names.guess([channel_names.Body(text)]) == names


def test_an_argument_of_triggers() -> None:
    text = "begin perform notify_row(tg_argv[1], new); return null; end"
    triggers = [["id", "people"], ["id", "orders"], ["id"], ["id", "people"]]
    assert channel_names.guess([channel_names.Body(text, triggers)]) == ["orders", "people"]
    assert channel_names.guess([channel_names.Body("begin return new; end", triggers)]) == []
