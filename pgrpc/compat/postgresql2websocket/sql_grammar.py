"""SQL text -> sqlglot's tree, of the little that is taken: `select f(constants)`, `select * from f(constants)`.

Owns what sqlglot gets to see, and how long it may take. It is lenient, and made for all of SQL in thirty dialects: so
its tokenizer gets only the words that such a statement can hold (every other word is a name), and its parser only few
and shallow tokens, and no function that it would know better than we do. Must not know what is made of the tree.
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
"""Of brackets. sqlglot tries a nested text in several ways at each level, so its time grows as a power of the depth."""


def parse(text: str) -> list[Any]:
    """The statements. Raises InvalidRequest for what is surely another form, else whatever sqlglot raises: text that is
    not SQL may end in any of its own errors.
    """
    if len(text) > MAX_CHARACTERS:
        refuse(f"the text has {len(text)} characters, the limit is {MAX_CHARACTERS}")
    tokens = _DIALECT.tokenize(text)
    _check(tokens)
    _check_blanks(tokens, text)
    if tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()  # a comment after it would make a second statement, of nothing
    return _Parser(error_level=sqlglot.ErrorLevel.IMMEDIATE, dialect=_DIALECT).parse(tokens, text)


def refuse(why: str) -> NoReturn:
    """Raises InvalidRequest, which says what is taken here."""
    forms = "only `select function(constants)` and `select * from function(constants)` are taken here"
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
# The types to which a constant may be cast. Not `real`: it rounds, and what takes double precision gets what is left.
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
_BEGINNING = _OPENING | {TokenType.SELECT}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET}
_NAMES = {TokenType.VAR, TokenType.IDENTIFIER, *TYPES.values()}
_NAMING = {TokenType.FARROW, TokenType.COLON_EQ}
_BETWEEN = _NAMING | {TokenType.COMMA, TokenType.DCOLON, TokenType.ALIAS, TokenType.FROM}
"""What stands between two things: where one is missing sqlglot may not mind."""
_NAMED_ARRAY = (TokenType.DOT, TokenType.ARRAY)


def _check(tokens: list[Token]) -> None:
    """What sqlglot must not see: it would take long over it, or overlook it."""
    if not tokens or tokens[0].token_type is not TokenType.SELECT:
        refuse("it does not begin with select")
    if len(tokens) > MAX_TOKENS:
        refuse(f"it has {len(tokens)} words and signs, the limit is {MAX_TOKENS}")
    kinds = [token.token_type for token in tokens]
    if kinds[-1] is TokenType.SEMICOLON:
        kinds.pop()
    depth = 0
    for before, kind, token in zip(kinds, [*kinds[1:], TokenType.SEMICOLON], [*tokens[1:], tokens[-1]], strict=False):
        if kind not in _TOKENS:
            refuse(f"{token.text[:20]!r} in line {token.line} is none of its words and signs")
        if kind is TokenType.SELECT:
            refuse("it has a second select")
        if before is TokenType.SEMICOLON:
            refuse("it goes on after the semicolon")
        ends = kind in _CLOSING or kind is TokenType.SEMICOLON
        if (before in _BETWEEN and (ends or kind in _BETWEEN)) or (before in _BEGINNING and kind in _BETWEEN):
            refuse(f"something is missing before {token.text[:20]!r} in line {token.line}")
        if kind is TokenType.STAR and before is not TokenType.SELECT:
            refuse("a * stands elsewhere than after select")
        if (before is TokenType.ARRAY and kind is not TokenType.L_BRACKET) or (before, kind) == _NAMED_ARRAY:
            refuse("array is followed by [ and has no schema")
        if kind in _NAMING and before not in _NAMES:
            refuse("an argument's name is no name")
        depth += (kind in _OPENING) - (kind in _CLOSING)
        if depth > MAX_DEPTH:
            refuse(f"brackets are nested deeper than {MAX_DEPTH}")


_BLANK = re.compile(r"[^\S \t\n\r\f\v]")
"""Blank to sqlglot; to PostgreSQL a letter, so that `f(1)` with one behind it has a name for its column."""


def _check_blanks(tokens: list[Token], text: str) -> None:
    """Those of strings and quoted names are their own affair; in a comment they are refused as well."""
    ends = [0, *(token.end + 1 for token in tokens)]
    starts = [*(token.start for token in tokens), len(text)]
    if any(_BLANK.search(text, end, start) for end, start in zip(ends, starts, strict=True)):
        refuse("it holds a blank that is none in SQL")
