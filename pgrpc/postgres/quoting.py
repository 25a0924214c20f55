"""Names and values as the SQL of a call has them.

Owns quoting. Must not know what is quoted. The driver looks for its placeholders in all of a text that comes with
parameters, so there each % is doubled; `plain` texts hold none, and are the same with parameters and without.
"""


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


def literal(text: str) -> str:
    escaped = text.replace("'", "''").replace("\\", "\\\\").replace("%", "%%")
    return f"E'{escaped}'"


def plain_identifier(name: str) -> str:
    """https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS"""
    escaped = name.replace('"', '""').replace("\\", "\\\\").replace("%", "\\0025")
    return f'U&"{escaped}"'


def plain_literal(text: str) -> str:
    return literal(text).replace("%%", "\\x25")
