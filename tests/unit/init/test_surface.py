"""Under which method `pgrpc init` lists a function, and how the file names it."""

from pgrpc.init import surface
from pgrpc.postgres import discover


def row(name: str, schema: str = "public", arguments: str = "", is_visible: bool = True) -> discover.Function:
    types = ",".join(argument.split()[-1] for argument in arguments.split(",")) if arguments else ""
    return discover.Function(schema, name, f"{name}({arguments})", types, is_visible, None)


def named(*rows: discover.Function) -> list[tuple[str, str]]:
    return [(each.method, each.function) for each in surface.named(rows)]


def test_what_is_found_without_its_schema_has_its_own_name() -> None:
    assert named(row("add")) == [("add", "add")]


def test_elsewhere_with_its_schema() -> None:
    assert named(row("bid", "auction", is_visible=False)) == [("bid", "auction.bid")]


def test_overloads_are_one_method() -> None:
    (found,) = surface.named([row("pick", arguments="a integer"), row("pick", arguments="b text")])
    assert found.signatures == ["pick(a integer)", "pick(b text)"]


def test_overloads_apart_are_a_method_each() -> None:
    rows = row("pick", arguments="a integer"), row("pick", arguments="a text"), row("pick_2"), row("other")
    assert [(each.method, each.function, each.signatures) for each in surface.named(rows, {"pick"})] == [
        ("pick", "pick(integer)", ["pick(a integer)"]),
        ("pick_2", "pick(text)", ["pick(a text)"]),
        ("public.pick_2", "pick_2", ["pick_2()"]),
        ("other", "other", ["other()"]),
    ]


def test_overloads_apart_in_a_schema_whose_name_is_taken() -> None:
    shop = [row("f", "shop", f"a {kind}", is_visible=False) for kind in ("integer", "text")]
    assert [(each.method, each.function) for each in surface.named([row("f"), *shop], {"shop.f"})] == [
        ("f", "f"),
        ("shop.f", "shop.f(integer)"),
        ("shop.f_2", "shop.f(text)"),
    ]


def test_quotes_where_sql_needs_them() -> None:
    assert named(row("MixedCase"), row('say "hi"', "Shop", is_visible=False)) == [
        ("MixedCase", '"MixedCase"'),
        ('say "hi"', '"Shop"."say ""hi"""'),
    ]


def test_no_method_twice() -> None:
    assert named(row("f"), row("f", "a", is_visible=False), row("f", "rpc", is_visible=False)) == [
        ("f", "f"),
        ("a.f", "a.f"),
        ("rpc_f", "rpc.f"),  # names that begin with rpc. are the protocol's
    ]
    assert named(row("${X}")) == [("function_2", '"${X}"')]  # it would look like a variable


def test_one_name_in_two_visible_schemas_is_not_left_to_the_search_path() -> None:
    rows = row("f", "a", "x integer"), row("f", "b", "x text")
    assert named(*rows) == [("f", "a.f"), ("b.f", "b.f")]
