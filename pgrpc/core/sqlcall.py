"""SQL text -> the one function call in it, or an error. The text is read, never run.

Owns what of SQL is understood: `select f(constants)` and `select * from f(constants)`. The reading is sqlglot's, whose
tree is taken for hostile: it is lenient, and made for all of SQL in thirty dialects. So its tokenizer gets only the
words that such a statement can hold (every other word is a name), its parser gets only few and shallow tokens and no
function that it would know better than we do, and of its tree only nodes that are listed here are looked at. What comes
out is a name and plain values. Must not know which functions there are, nor their types.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, NoReturn

import sqlglot
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import Token, TokenType

from pgrpc.core import errors

MAX_CHARACTERS = 16 * 1024
MAX_TOKENS = 1000
MAX_DEPTH = 5
"""Of brackets. sqlglot tries a nested text in several ways at each level, so its time grows as a power of the depth."""

_FORMS = "only `select function(constants)` and `select * from function(constants)` are taken here"


@dataclass(frozen=True, slots=True)
class Query:
    """One call. method: the function's name as it is written, unquoted parts in lower case, joined by dots.

    params: as in JSON-RPC; numbers int or Decimal, what was quoted is str. column: what PostgreSQL would call the
    result. spread: `select * from`, so a composite result becomes columns.
    """

    method: str
    params: list[Any] | dict[str, Any]
    column: str
    spread: bool


def read(text: str) -> Query:
    """Raises ParseError (not SQL, or not to be read) and InvalidRequest (SQL, but of another form)."""
    if len(text) > MAX_CHARACTERS:
        _refuse(f"the text has {len(text)} characters, the limit is {MAX_CHARACTERS}")
    try:
        tokens = _DIALECT.tokenize(text)
        _check(tokens)
        statements = _Parser(error_level=sqlglot.ErrorLevel.IMMEDIATE, dialect=_DIALECT).parse(tokens, text)
        return _query(statements)
    except errors.RpcError:
        raise
    except Exception as error:  # text that is not SQL may end in any of the parser's own errors
        raise errors.ParseError("Parse error: this cannot be read as SQL") from error


_SIGNS = {
    "(": TokenType.L_PAREN,
    ")": TokenType.R_PAREN,
    "[": TokenType.L_BRACKET,
    "]": TokenType.R_BRACKET,
    ",": TokenType.COMMA,
    ".": TokenType.DOT,
    ";": TokenType.SEMICOLON,
    "*": TokenType.STAR,
    "-": TokenType.DASH,
    "::": TokenType.DCOLON,
    "=>": TokenType.FARROW,
    ":=": TokenType.COLON_EQ,
}
_WORDS = {
    "SELECT": TokenType.SELECT,
    "FROM": TokenType.FROM,
    "AS": TokenType.ALIAS,
    "NULL": TokenType.NULL,
    "TRUE": TokenType.TRUE,
    "FALSE": TokenType.FALSE,
    "ARRAY": TokenType.ARRAY,
}
# A cast is not performed: the constant goes on as it is, and the function's own types decide. So only to types that
# keep what they are given, and a number only where it stays the number it is.
_INTEGERS = {
    "SMALLINT": TokenType.SMALLINT,
    "INT2": TokenType.SMALLINT,
    "INT": TokenType.INT,
    "INTEGER": TokenType.INT,
    "INT4": TokenType.INT,
    "BIGINT": TokenType.BIGINT,
    "INT8": TokenType.BIGINT,
}
_FRACTIONS = {
    "NUMERIC": TokenType.DECIMAL,
    "DECIMAL": TokenType.DECIMAL,
    "REAL": TokenType.FLOAT,
    "FLOAT4": TokenType.FLOAT,
    "FLOAT8": TokenType.DOUBLE,
    "DOUBLE PRECISION": TokenType.DOUBLE,
}
_BOOLEANS = {"BOOLEAN": TokenType.BOOLEAN, "BOOL": TokenType.BOOLEAN}
_OTHERS = {
    "TEXT": TokenType.TEXT,
    "VARCHAR": TokenType.VARCHAR,
    "CHARACTER VARYING": TokenType.VARCHAR,
    "DATE": TokenType.DATE,
    "TIME": TokenType.TIME,
    "TIMETZ": TokenType.TIMETZ,
    "TIMESTAMP": TokenType.TIMESTAMP,
    "TIMESTAMPTZ": TokenType.TIMESTAMPTZ,
    "INTERVAL": TokenType.INTERVAL,
    "UUID": TokenType.UUID,
    "JSON": TokenType.JSON,
    "JSONB": TokenType.JSONB,
    "BYTEA": TokenType.VARBINARY,
}
_TYPES = _INTEGERS | _FRACTIONS | _BOOLEANS | _OTHERS
_KEYWORDS = _SIGNS | _WORDS | _TYPES
_STRINGS = {TokenType.STRING, TokenType.BYTE_STRING, TokenType.HEREDOC_STRING}  # '', E'', $$
_TOKENS = {*_KEYWORDS.values(), *_STRINGS, TokenType.NUMBER, TokenType.VAR, TokenType.IDENTIFIER}


class _Dialect(Postgres):
    class Tokenizer(Postgres.Tokenizer):
        KEYWORDS: ClassVar[dict[str, TokenType]] = _KEYWORDS
        COMMANDS: ClassVar[set[TokenType]] = set()
        COMMENTS: ClassVar[list[str | tuple[str, str]]] = ["--", ("/*", "*/")]


class _Parser(PostgresParser):
    # No name is special: `format`, `now` or `date_add` may be a function that is listed.
    FUNCTIONS: ClassVar[dict[str, Any]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CAST": PostgresParser.FUNCTION_PARSERS["CAST"]}
    NO_PAREN_FUNCTIONS: ClassVar[dict[TokenType, Any]] = {}
    NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {}
    # `name => value` as `name := value`: its own way forgets whether the name was quoted.
    LAMBDAS: ClassVar[dict[TokenType, Any]] = {
        TokenType.FARROW: lambda self, names: self.expression(
            exp.PropertyEQ(this=names[0], expression=self._parse_unary())
        )
    }


_DIALECT = _Dialect()

_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET}
_NAMES = {TokenType.VAR, TokenType.IDENTIFIER, *_TYPES.values()}
_NAMING = {TokenType.FARROW, TokenType.COLON_EQ}
_BETWEEN = _NAMING | {TokenType.COMMA, TokenType.DCOLON, TokenType.ALIAS, TokenType.FROM}
"""What stands between two things: where one is missing sqlglot may not mind."""


def _check(tokens: list[Token]) -> None:
    """What sqlglot must not see: it would take long over it, or overlook it."""
    if not tokens or tokens[0].token_type is not TokenType.SELECT:
        _refuse("it does not begin with select")
    if len(tokens) > MAX_TOKENS:
        _refuse(f"it has {len(tokens)} words and signs, the limit is {MAX_TOKENS}")
    kinds = [token.token_type for token in tokens]
    if kinds[-1] is TokenType.SEMICOLON:
        kinds.pop()
    depth = 0
    for before, kind, token in zip(kinds, [*kinds[1:], TokenType.SEMICOLON], [*tokens[1:], tokens[-1]], strict=False):
        if kind not in _TOKENS:
            _refuse(f"{token.text[:20]!r} in line {token.line} is none of its words and signs")
        if kind is TokenType.SELECT:
            _refuse("it has a second select")
        if before is TokenType.SEMICOLON:
            _refuse("it goes on after the semicolon")
        ends = kind in _CLOSING or kind is TokenType.SEMICOLON
        if (before in _BETWEEN and (ends or kind in _BETWEEN)) or (before in _OPENING and kind in _BETWEEN):
            _refuse(f"something is missing before {token.text[:20]!r} in line {token.line}")
        if kind is TokenType.STAR and before is not TokenType.SELECT:
            _refuse("a * stands elsewhere than after select")
        if kind in _NAMING and before not in _NAMES:
            _refuse("an argument's name is no name")
        depth += (kind in _OPENING) - (kind in _CLOSING)
        if depth > MAX_DEPTH:
            _refuse(f"brackets are nested deeper than {MAX_DEPTH}")


# The tree


def _query(statements: list[Any]) -> Query:
    (statement,) = statements
    select = _node(statement, exp.Select, "the statement", "expressions", "from_")
    if len(select.expressions) != 1:
        _refuse("it selects more or less than one call")
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
        _refuse("either all arguments are given by name or none")
    params: dict[str, Any] = {}
    for argument in named:
        name = _name(_node(argument, exp.PropertyEQ, "an argument", "this", "expression").this)
        if name in params:
            _refuse(f"the argument {name!r} is given twice")
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
            value = _constant(_node(node, exp.Neg, "a number", "this").this)
            if type(value) is int:
                return -value
            if isinstance(value, Decimal):
                return value.copy_negate()  # `-` would round it
        case exp.Cast():
            value = _constant(_node(node, exp.Cast, "a cast", "this", "to", "_type").this)
            _check_cast(value, node.args["to"])
            return value
        case exp.Array():
            return [_constant(item) for item in _node(node, exp.Array, "an array", "expressions").expressions]
    _refuse("an argument is no constant")


_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _number(text: str) -> int | Decimal:
    if not _NUMBER.fullmatch(text):
        _refuse("a number is written in a way that is not taken here")
    try:
        return int(text) if text.isdigit() else Decimal(text)
    except (ValueError, ArithmeticError):
        _refuse("a number is out of range")


def _check_cast(value: Any, to: Any) -> None:
    what = "the type of a cast"
    if type(to) is exp.DataType and to.this is exp.DType.ARRAY and (value is None or isinstance(value, list)):
        while to.this is exp.DType.ARRAY:
            (to,) = _node(to, exp.DataType, what, "this", "expressions", "nested").expressions
        values = list(_leaves(value))
    else:
        values = [value]
    kind = TokenType[_node(to, exp.DataType, what, "this").this.value]
    if kind not in _TYPES.values() or not all(kind in _keeping(each) for each in values):
        _refuse("a cast would change its constant, or is to a type that is not taken here")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _keeping(value: Any) -> Collection[TokenType]:
    """The types to which a cast leaves this constant what it is."""
    match value:
        case bool():
            return _BOOLEANS.values()
        case int():
            return {*_INTEGERS.values(), *_FRACTIONS.values()}
        case Decimal():
            return _FRACTIONS.values()
        case list():
            return ()
    return _TYPES.values()


def _name(node: Any) -> str:
    """As PostgreSQL has it: quoted to the letter, else in lower case, of ASCII's letters only.

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
        _refuse(f"{what} is something else than that")
    if extra := [name for name, value in node.args.items() if name not in known and value]:
        _refuse(f"{what} has {extra[0].strip('_')!r} as well")
    return node


def _refuse(why: str) -> NoReturn:
    raise errors.InvalidRequest(f"Invalid Request: {_FORMS}: {why}")
