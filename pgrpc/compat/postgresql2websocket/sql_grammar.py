"""SQL text -> sqlglot's tree, for the two supported forms: `select f(constants)`, `select * from f(constants)`.

Owns what sqlglot gets to see, and so how long it can take. sqlglot is lenient, and knows all of SQL in thirty dialects.
Here its tokenizer knows only the keywords of these two forms (every other word is a name), its parser gets a bounded
number of tokens with bounded nesting, and no function has a meaning of its own. Must not know how the tree is used.
"""

import re
from typing import Any, ClassVar, NoReturn

import sqlglot
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import Token, TokenType

from pgrpc.core.wire import errors

MAX_CHARACTERS = 16 * 1024
MAX_TOKENS = 1000
MAX_DEPTH = 5
"""Of brackets. sqlglot tries several readings at each level of nesting, so its time is exponential in the depth."""


def parse(text: str) -> list[Any]:
    """The statements. Raises InvalidRequest for what surely has another form, else whatever sqlglot raises, which may
    be any of its own errors where the text is not SQL.
    """
    if len(text) > MAX_CHARACTERS:
        refuse(f"the text has {len(text)} characters; the limit is {MAX_CHARACTERS}")
    tokens = _DIALECT.tokenize(text)
    _check(tokens)
    _check_blanks(tokens, text)
    if tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()  # a comment after it would make a second statement, of nothing
    return _Parser(error_level=sqlglot.ErrorLevel.IMMEDIATE, dialect=_DIALECT).parse(tokens, text)


def refuse(why: str) -> NoReturn:
    """Raises InvalidRequest with the two forms that are supported."""
    forms = "write `select function(constants)` or `select * from function(constants)`"
    raise errors.InvalidRequest(f"Invalid Request: {forms}: {why}")


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
# The types to which a constant may be cast. Not `real`, which rounds: a double precision argument would get the rest.
INTEGERS = {
    "SMALLINT": TokenType.SMALLINT,
    "INT2": TokenType.SMALLINT,
    "INT": TokenType.INT,
    "INTEGER": TokenType.INT,
    "INT4": TokenType.INT,
    "BIGINT": TokenType.BIGINT,
    "INT8": TokenType.BIGINT,
}
FRACTIONS = {
    "NUMERIC": TokenType.DECIMAL,
    "DECIMAL": TokenType.DECIMAL,
    "FLOAT8": TokenType.DOUBLE,
    "DOUBLE PRECISION": TokenType.DOUBLE,
}
BOOLEANS = {"BOOLEAN": TokenType.BOOLEAN, "BOOL": TokenType.BOOLEAN}
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
TYPES = INTEGERS | FRACTIONS | BOOLEANS | _OTHERS
_KEYWORDS = _SIGNS | _WORDS | TYPES
_STRINGS = {TokenType.STRING, TokenType.BYTE_STRING, TokenType.HEREDOC_STRING}  # '', E'', $$
_TOKENS = {*_KEYWORDS.values(), *_STRINGS, TokenType.NUMBER, TokenType.VAR, TokenType.IDENTIFIER}


class _Dialect(Postgres):
    class Tokenizer(Postgres.Tokenizer):
        KEYWORDS: ClassVar[dict[str, TokenType]] = _KEYWORDS
        COMMANDS: ClassVar[set[TokenType]] = set()
        COMMENTS: ClassVar[list[str | tuple[str, str]]] = ["--", ("/*", "*/")]


class _Parser(PostgresParser):
    # No name is special: `format`, `now` and `date_add` may be listed functions.
    FUNCTIONS: ClassVar[dict[str, Any]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CAST": PostgresParser.FUNCTION_PARSERS["CAST"]}
    NO_PAREN_FUNCTIONS: ClassVar[dict[TokenType, Any]] = {}
    NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {}
    # `name => value` as `name := value`: sqlglot's own handling loses whether the name was quoted.
    LAMBDAS: ClassVar[dict[TokenType, Any]] = {
        TokenType.FARROW: lambda self, names: self.expression(
            exp.PropertyEQ(this=names[0], expression=self._parse_unary())
        )
    }


_DIALECT = _Dialect()

_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET}
_BEGINNING = _OPENING | {TokenType.SELECT}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET}
_NAMES = {TokenType.VAR, TokenType.IDENTIFIER, *TYPES.values()}
_NAMING = {TokenType.FARROW, TokenType.COLON_EQ}
_BETWEEN = _NAMING | {TokenType.COMMA, TokenType.DCOLON, TokenType.ALIAS, TokenType.FROM}
"""Tokens between two operands: sqlglot may accept them where one operand is missing."""
_NAMED_ARRAY = (TokenType.DOT, TokenType.ARRAY)


def _check(tokens: list[Token]) -> None:
    """Refuse what sqlglot must not see: it would need long for it, or overlook it."""
    if not tokens or tokens[0].token_type is not TokenType.SELECT:
        refuse("the statement does not begin with select")
    if len(tokens) > MAX_TOKENS:
        refuse(f"the statement has {len(tokens)} tokens; the limit is {MAX_TOKENS}")
    kinds = [token.token_type for token in tokens]
    if kinds[-1] is TokenType.SEMICOLON:
        kinds.pop()
    depth = 0
    for before, kind, token in zip(kinds, [*kinds[1:], TokenType.SEMICOLON], [*tokens[1:], tokens[-1]], strict=False):
        if kind not in _TOKENS:
            refuse(f"{token.text[:20]!r} in line {token.line} is not supported")
        if kind is TokenType.SELECT:
            refuse("only one select is allowed")
        if before is TokenType.SEMICOLON:
            refuse("nothing may follow the semicolon")
        ends = kind in _CLOSING or kind is TokenType.SEMICOLON
        if (before in _BETWEEN and (ends or kind in _BETWEEN)) or (before in _BEGINNING and kind in _BETWEEN):
            refuse(f"something is missing before {token.text[:20]!r} in line {token.line}")
        if kind is TokenType.STAR and before is not TokenType.SELECT:
            refuse("a * is allowed only after select")
        if (before is TokenType.ARRAY and kind is not TokenType.L_BRACKET) or (before, kind) == _NAMED_ARRAY:
            refuse("array must be written array[...], without a schema")
        if kind in _NAMING and before not in _NAMES:
            refuse("the name of an argument must be an identifier")
        depth += (kind in _OPENING) - (kind in _CLOSING)
        if depth > MAX_DEPTH:
            refuse(f"brackets are nested deeper than {MAX_DEPTH}")


_BLANK = re.compile(r"[^\S \t\n\r\f\v]")
"""White space to sqlglot, but a letter to PostgreSQL: after `f(1)` it would be an alias."""


def _check_blanks(tokens: list[Token], text: str) -> None:
    """Refuse them anywhere but in strings and quoted names; comments are no exception."""
    ends = [0, *(token.end + 1 for token in tokens)]
    starts = [*(token.start for token in tokens), len(text)]
    if any(_BLANK.search(text, end, start) for end, start in zip(ends, starts, strict=True)):
        refuse("the statement has a space character that SQL does not know as one")
