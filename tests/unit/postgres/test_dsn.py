"""A connection string: what is accepted, and that no part of a password is taken for what messages show."""

import random
import sys
from collections.abc import Sequence

import psycopg2.extensions
import pytest

from pgrpc.postgres import dsn

ENCODE = "must be percent-encoded (@ is %40, / is %2F, : is %3A"
IN_PARAMETER = f"the user name, the password or a parameter holds a character that {ENCODE}"
SECRETS = ("s3cr", "t99x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("postgresql://", {}),
        ("postgresql:///shop?host=/tmp&port=5433", {"dbname": "shop", "host": "/tmp", "port": "5433"}),
        (
            "postgres://web:a%40b%2Fc%3Ad@db.example:5432/shop?sslmode=require",
            {"user": "web", "password": "a@b/c:d", "host": "db.example", "port": "5432", "dbname": "shop",
             "sslmode": "require"},
        ),
        ("postgresql://web:a:b#c?d=e&f@h/x", {"user": "web", "password": "a:b#c?d=e&f", "host": "h", "dbname": "x"}),
        ("postgresql://a,[::1]:1,10.0.0.1/x", {"host": "a,::1,10.0.0.1", "port": ",1,", "dbname": "x"}),
        ("host=fe80::1%eth0 user=web", {"host": "fe80::1%eth0", "user": "web"}),
        ("host=@abstract dbname='a@b'", {"host": "@abstract", "dbname": "a@b"}),
        ("hostaddr=::1,127.0.0.1 password='a b@c/d'", {"hostaddr": "::1,127.0.0.1", "password": "a b@c/d"}),
        ("host=bücher.example,my_db-1", {"host": "bücher.example,my_db-1"}),
    ],
)  # fmt: skip
def test_accepted(text: str, expected: dict[str, str]) -> None:
    assert dsn.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("postgresql://web:s3cr/t99x@host/db", ENCODE),
        ("postgresql://web:s3cr@t99x@host/db", ENCODE),
        ("postgresql://web:s3cr?a=/t99x@host/db", ENCODE),
        ("postgresql://web:12/s3crt99x@host/db", ENCODE),
        ("postgresql://we/b:s3crt99x@host/db", ENCODE),
        ("postgresql://web:5432/s3cr?application_name=t99x@host", IN_PARAMETER),
        ("postgresql://h/db?user=s3cr@t99x", IN_PARAMETER),
        ("postgresql:///web:s3cr@host/db", ENCODE),
        ("postgresql://web:s3cr%40host/t99x", ENCODE),
        ("postgresql://web%3As3cr%40host/t99x", ENCODE),
        ("postgresql://web:s3cr", ENCODE),
        ("postgresql://web:s3cr,t99x", ENCODE),
        ("postgresql://web:70000/s3cr", ENCODE),
        ("postgresql://web:s3cr%zzt99x@host/db", "% is %25"),
        ("postgresql://web:s3cr%00t99x@host/db", "percent-encode special characters"),
        ("postgresql://web:@[s3cr/t99x", "percent-encode special characters"),
        ("postgresql://web:s3cr\0t99x@host/db", "not a connection string"),
        ("postgresql://web:s3cr\ud800t99x@host/db", "not a connection string"),
        ("Postgres://web:s3cr/t99x@host/db", "not a connection string"),
        (" postgresql://web:s3crt99x@host/db", "not a connection string"),
        ("postgresql:/web:s3crt99x@host/db?sslmode=require", "not a connection string"),
        ("host=x password=s3cr t99x", "put single quotes around a value that holds spaces"),
        ("host=x password=s3cr t99x=1", "put single quotes around a value that holds spaces"),
        ("host=x password='s3cr't99x", "put single quotes around a value that holds spaces"),
        ("host=x password='s3crt99x", "put single quotes around a value that holds spaces"),
        ("host=web:s3crt99x@host", "the host is not a name or an address"),
        ("host=postgresql://web:s3cr@t99x/db", "the host is not a name or an address"),
        ("host=x:5432", "the host is not a name or an address"),
        ("host=x port=s3cr", "the port is not a number from 1 to 65535"),
        ("host=x port=0", "the port is not a number from 1 to 65535"),
        ("hostaddr=s3cr", "hostaddr is not an IP address"),
        ("dbname=postgresql://web:s3cr@t99x/db", "dbname holds more than the name of a database"),
        ("dbname=web:s3cr@t99x/db", "dbname holds more than the name of a database"),
    ],
)
def test_refused_without_a_word_of_it(text: str, words: str) -> None:
    with pytest.raises(dsn.BadDsn) as caught:
        dsn.parse(text)
    said = str(caught.value)
    assert words in said
    assert not [secret for secret in SECRETS if secret in said]
    assert caught.value.__cause__ is None, "its words quote the text"


def odd_passwords(seed: int, count: int) -> list[str]:
    """Passwords that hold both SECRETS, among characters that mean something somewhere."""
    chance = random.Random(seed)
    characters = "@@//::??##%%&&==,;[]{}()<>'\"\\ \t|^`~!$*+-_.0aZé\n"
    return [
        "".join(
            part for secret in SECRETS for part in ("".join(chance.choices(characters, k=chance.randrange(4))), secret)
        )
        + "".join(chance.choices(characters, k=chance.randrange(4)))
        for _ in range(count)
    ]


def test_no_odd_password_is_taken_for_anything_else() -> None:
    seed = random.randrange(1 << 32)
    sys.stdout.write(f"seed {seed}\n")
    forms = (
        "postgresql://web:{}@db.example:5433/shop",
        "postgresql://web:{}@/shop?host=/tmp",
        "postgres://{}:pw@db.example/shop",
        "postgresql://web:{}@[::1]/shop?sslmode=require",
        "host=db.example user=web password={} dbname=shop",
        "password={} host=db.example",
        "password='{}' host=db.example",
    )
    refused = 0
    for password in odd_passwords(seed, 3000):
        for form in forms:
            hidden = ("password", "user") if form.startswith("postgres://{}") else ("password",)
            shown = shown_of(form.format(password), hidden)
            refused += shown.startswith(REFUSED)
            assert not [secret for secret in SECRETS if secret in shown], (password, form, shown)
    assert 0 < refused < 3000 * len(forms)


REFUSED = "refused: "


def shown_of(text: str, hidden: Sequence[str]) -> str:
    """What messages may show of a connection string, or why it is refused."""
    try:
        found = dsn.parse(text)
    except dsn.BadDsn as error:
        return f"{REFUSED}{error}"
    return " ".join(value for key, value in found.items() if key not in hidden)


@pytest.mark.parametrize("text", ["postgresql:///shop", "postgresql://ann@h:5433/shop", "host=h dbname=shop", ""])
def test_without_a_password_it_stays_as_it_is(text: str) -> None:
    assert dsn.without_secrets(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:s%40cret-9@h:5433/my%20shop?sslmode=require",
        "postgresql://ann@h:5433/my%20shop?sslmode=require&password=s%40cret-9&sslpassword=s%40cret-9",
        "host=h port=5433 user=ann dbname='my shop' sslmode=require password=s@cret-9",
    ],
)
def test_a_password_is_left_out(text: str) -> None:
    shown = dsn.without_secrets(text)
    assert "cret" not in shown
    expected = {"host": "h", "port": "5433", "user": "ann", "dbname": "my shop", "sslmode": "require"}
    assert psycopg2.extensions.parse_dsn(shown) == expected
