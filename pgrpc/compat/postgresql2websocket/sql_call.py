"""SQL text -> the one function call in it, or an error. The text is read, never run.

Owns which nodes sqlglot's tree may have: only the kinds that are named here, with only the parts that are named here.
The result is a name and plain values. Must not know which functions there are.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from pgrpc.compat.postgresql2websocket import sql_grammar
from pgrpc.core.wire import errors


@dataclass(frozen=True, slots=True)
class Query:
    """One call. method: the function's name as it is written, unquoted parts in lower case, joined by dots.

    params: as in JSON-RPC; numbers are int or Decimal, quoted constants are str. column: PostgreSQL's name for the
    result. spread: `select * from`, so a composite result becomes columns.
    """

    method: str
    params: list[Any] | dict[str, Any]
    column: str
    spread: bool


def read(text: str) -> Query:
    """Raises ParseError (the text cannot be parsed) and InvalidRequest (it has another form)."""
    try:
        (statement,) = sql_grammar.parse(text)
        return _query(statement)
    except errors.RpcError:
        raise
    except Exception as error:  # sqlglot may raise anything for a text that is not SQL
        raise errors.ParseError("Parse error: the text cannot be parsed as SQL") from error


def _query(statement: Any) -> Query:
    select = _node(statement, exp.Select, "the statement", "expressions", "from_")
    if len(select.expressions) != 1:
        sql_grammar.refuse("exactly one call must be selected")
    (selected,) = select.expressions
    source = select.args.get("from_")
    if source is None:
        names, call = _selected(selected)
    else:
        _node(selected, exp.Star, "what is selected")
        names, call = _from(source)
    method = [*map(_name, names), _name(call.this)]
    return Query(".".join(method), _params(call.expressions), method[-1], source is not None)


def _selected(selected: Any) -> tuple[list[Any], exp.Anonymous]:
    """The schema, if there is one, and the call."""
    schema = []
    if isinstance(selected, exp.Dot):
        dot = _node(selected, exp.Dot, "what is selected", "this", "expression")
        schema = [dot.this]
        selected = dot.expression
    return schema, _node(selected, exp.Anonymous, "what is selected", "this", "expressions")


def _from(source: Any) -> tuple[list[Any], exp.Anonymous]:
    table = _node(
        _node(source, exp.From, "what follows from", "this").this, exp.Table, "what follows from", "this", "db"
    )
    call = _node(table.this, exp.Anonymous, "what follows from", "this", "expressions")
    return [table.args["db"]] if table.args.get("db") else [], call


def _params(arguments: list[Any]) -> list[Any] | dict[str, Any]:
    named = [argument for argument in arguments if isinstance(argument, exp.PropertyEQ)]
    if not named:
        return [_constant(argument) for argument in arguments]
    if len(named) < len(arguments):
        sql_grammar.refuse("all arguments must be given by name, or none")
    params: dict[str, Any] = {}
    for argument in named:
        name = _name(_node(argument, exp.PropertyEQ, "an argument", "this", "expression").this)
        if name in params:
            sql_grammar.refuse(f"the argument {name!r} is given twice")
        params[name] = _constant(argument.expression)
    return params


def _constant(node: Any) -> Any:
    match node:
        case exp.Null():
            _node(node, exp.Null, "null")
            return None
        case exp.Boolean():
            return bool(_node(node, exp.Boolean, "a boolean", "this").this)
        case exp.Literal():
            text: str = _node(node, exp.Literal, "a constant", "this", "is_string").this
            return text if node.args["is_string"] else _number(text)
        case exp.ByteString() | exp.RawString():
            return str(_node(node, type(node), "a string", "this").this)
        case exp.Neg(this=exp.Literal() | exp.Cast()):
            return _negated(_constant(_node(node, exp.Neg, "a number", "this").this))
        case exp.Cast():
            value = _constant(_node(node, exp.Cast, "a cast", "this", "to", "_type").this)
            _check_cast(value, node.args["to"])
            return value
        case exp.Array():
            return [_constant(item) for item in _node(node, exp.Array, "an array", "expressions").expressions]
    sql_grammar.refuse("an argument is not a constant")


def _negated(value: Any) -> int | Decimal:
    if type(value) is int:
        return -value
    if isinstance(value, Decimal):
        return value.copy_negate()  # `-` would round it
    sql_grammar.refuse("an argument is not a constant")


_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _number(text: str) -> int | Decimal:
    if not _NUMBER.fullmatch(text):
        sql_grammar.refuse("a number is written in an unsupported way")
    try:
        return int(text) if text.isdigit() else Decimal(text)
    except (ValueError, ArithmeticError):
        sql_grammar.refuse("a number is out of range")


def _check_cast(value: Any, to: Any) -> None:
    """A cast is not performed: the constant is passed on unchanged, and the argument's type decides. So a cast may only
    be to a type that would not change the constant.
    """
    what = "the type of a cast"
    if type(to) is exp.DataType and to.this is exp.DType.ARRAY and (value is None or isinstance(value, list)):
        while to.this is exp.DType.ARRAY:
            (to,) = _node(to, exp.DataType, what, "this", "expressions", "nested").expressions
        values = list(_leaves(value))
    else:
        values = [value]
    kind = TokenType[_node(to, exp.DataType, what, "this").this.value]
    if kind not in sql_grammar.TYPES.values() or not all(kind in _keeping(each) for each in values):
        sql_grammar.refuse("a cast would change its constant, or its type is not supported")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


_WHOLE = {
    TokenType.DATE: re.compile(r"[0-9-]+"),
    TokenType.TIME: re.compile(r"[0-9:.]+"),
    TokenType.TIMESTAMP: re.compile(r"[0-9-]+(?:[ T][0-9:.]+)?"),
}
"""Types that drop a part of some texts (the time or the time zone) -> the texts that they keep whole."""


def _keeping(value: Any) -> Collection[TokenType]:
    """The types to which a cast does not change this constant."""
    match value:
        case bool():
            return sql_grammar.BOOLEANS.values()
        case int():
            return {*sql_grammar.INTEGERS.values(), *sql_grammar.FRACTIONS.values()}
        case Decimal():
            return sql_grammar.FRACTIONS.values()
        case list():
            return ()
        case str():
            losing = {kind for kind, whole in _WHOLE.items() if not whole.fullmatch(value)}
            return {*sql_grammar.TYPES.values()} - losing
    return sql_grammar.TYPES.values()


def _name(node: Any) -> str:
    """As PostgreSQL has it: exact where it is quoted, else with ASCII letters in lower case.

    https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
    """
    if isinstance(node, str):
        return _folded(node)
    identifier = _node(node, exp.Identifier, "a name", "this", "quoted")
    return str(identifier.this) if identifier.args["quoted"] else _folded(identifier.this)


def _folded(name: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in name)


def _node(node: Any, kind: Any, what: str, *known: str) -> Any:
    """The node, if it is exactly of this kind and has nothing beyond these arguments."""
    if type(node) is not kind:
        sql_grammar.refuse(f"{what} has another form")
    if extra := [name for name, value in node.args.items() if name not in known and value]:
        sql_grammar.refuse(f"{what} has an unsupported part, {extra[0].strip('_')!r}")
    return node
