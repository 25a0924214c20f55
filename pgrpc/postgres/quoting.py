"""Quotes names and values for SQL.

Owns quoting, and nothing else. psycopg2 looks for placeholders in every text that has parameters, so `identifier` and
`literal` double each %; `plain` texts contain none, and are the same with parameters and without.
"""


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


def literal(text: str) -> str:
    escaped = text.replace("'", "''").replace("\\", "\\\\").replace("%", "%%")
    return f"E'{escaped}'"


def channel(name: str) -> str:
    """A channel in LISTEN, UNLISTEN and NOTIFY, which have no parameters, so no % is doubled."""
    return '"' + name.replace('"', '""') + '"'


def plain_identifier(name: str) -> str:
    """https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS"""
    escaped = name.replace('"', '""').replace("\\", "\\\\").replace("%", "\\0025")
    return f'U&"{escaped}"'


def plain_literal(text: str) -> str:
    return literal(text).replace("%%", "\\x25")
