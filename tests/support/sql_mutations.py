"""Statements made from others by chance, with a seed that does not change: what an attacker's tool would try.

Owns the making. Must not know what becomes of them.
"""

import random
from collections.abc import Iterator, Sequence

_PIECES = (
    "'", '"', "$$", "$a$", "\\", "E'", "U&'", "--", "/*", "*/", ";", "(", ")", "[", "]", "{", "}", ",", ".", "::", "=>",
    ":=", "*", "+", "-", "=", "<", "||", "null", "true", "1", "0.5", "1e5", "-1", "'x'", "$1", "%s", "?", ":a", "@a",
    " as ", " as x", " from ", " from canary", " where true", " union select 1", " limit 1", " for update", " into t",
    "select ", "(select 1)", "(select secret())", "secret()", "pg_sleep(1)", "now()", "current_user", "array[", "cast(",
    "::int", "::text", "::regclass", "::int[]", "variadic ", "distinct ", "all ", " order by 1", " over ()",
    " with ordinality", "lateral ", "row(", "case when ", "with x as (select 1) ", "insert into canary values (1)",
    "; drop table canary", "; select secret()", "do $$ begin end $$", "copy canary to program 'true'", "\0", "\n", "\t",
    "\u00a0", "\ufeff", "é", "\u2028", "x" * 70, "((((((((", "pg_catalog.", "public.", "add", "note", "f", "SECRET()",
)  # fmt: skip


def mutations(seeds: Sequence[str], number: int, seed: int = 1) -> Iterator[str]:
    """`number` texts, each from one or two of `seeds` by one to four changes."""
    chance = random.Random(seed)
    for _ in range(number):
        text = chance.choice(seeds)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
            text = _changed(text, chance, seeds)
        yield text


def _changed(text: str, chance: random.Random, seeds: Sequence[str]) -> str:
    start = chance.randint(0, len(text))
    end = min(len(text), start + chance.randint(0, 6))
    match chance.randrange(7):
        case 0:
            return text[:start] + text[end:]
        case 1:
            return text[:end] + text[start:end] + text[end:]
        case 2:
            other = chance.choice(seeds)
            return text[:start] + other[chance.randint(0, len(other)) :]
        case 3:
            return text[:start] + text[start:end].swapcase() + text[end:]
        case 4:
            return text[:start] + chance.choice(_PIECES) + text[end:]
    return text[:start] + chance.choice(_PIECES) + text[start:]
