"""A connection string -> its parameters, or why it is not one, without a word of it.

Owns the rules that keep a part of a password from being taken for a host, a port or a database, which messages name:
libpq reads `postgresql://user:s3cr/t@host/db` as the host `user` and the port `s3cr`
(https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS). Must not know how to connect.
"""

import ipaddress
import re

import psycopg2
import psycopg2.extensions

_HOST = re.compile(r"[^\s@:/?#%&=,;'\"<>\\\[\](){}|^`]*")
"""A host's name, loosely: without the characters that mean something in a URI or a connection string."""
_HOLDS_URI = re.compile(r"\w*://|.*:.*@", re.DOTALL)

_CODES = "@ is %40, / is %2F, : is %3A, % is %25, a space is %20"
_ENCODE = f"the user name or password holds a character that must be percent-encoded ({_CODES})"
_ENCODE_ALL = _ENCODE.replace("user name or password", "user name, the password or a parameter")
_QUOTE = "put single quotes around a value that holds spaces"
_FORMS = "not a connection string: write postgresql://user:password@host:5432/name, or host=... dbname=..."
_SECRETS = ("password", "sslpassword", "oauth_client_secret")


class BadDsn(Exception):
    """The connection string cannot be used. str() holds nothing of it: any part may be one of a password."""


def parse(text: str) -> dict[str, str]:
    """The parameters, as libpq names them. Raises BadDsn."""
    is_uri = text.startswith(("postgresql://", "postgres://"))
    if is_uri and _has_misplaced_at(text):
        raise BadDsn(_ENCODE_ALL if "?" in text.rpartition("@")[0] else _ENCODE)
    try:
        if "\0" in text:
            raise ValueError  # libpq would take what comes before it
        parameters: dict[str, str] = psycopg2.extensions.parse_dsn(text)
    except (psycopg2.Error, ValueError):  # UnicodeEncodeError is one: a lone surrogate
        advice = f"percent-encode special characters in the user name and password ({_CODES})" if is_uri else _QUOTE
        raise BadDsn(f"{_FORMS}; {advice}") from None  # libpq's words quote the text
    if words := _fault(parameters):
        raise BadDsn(f"{_ENCODE}, or {words}" if is_uri else f"{words}; {_QUOTE}")
    return parameters


def without_secrets(text: str) -> str:
    """The connection string as a terminal may show it: the same one where it holds no secret. Raises BadDsn."""
    parameters = parse(text)
    if not any(name in parameters for name in _SECRETS):
        return text
    shown = {name: value for name, value in parameters.items() if name not in _SECRETS}
    return str(psycopg2.extensions.make_dsn(**shown))


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _has_misplaced_at(text: str) -> bool:
    """Whether an @ is anywhere but in its only place, between the password and the host."""
    before, at, after = text.partition("://")[2].partition("@")
    return at != "" and ("/" in before or "@" in after)


def _fault(parameters: dict[str, str]) -> str | None:
    for host in parameters.get("host", "").split(","):
        if not host.startswith(("/", "@")) and not is_address(host) and not _HOST.fullmatch(host):
            return "the host is not a name or an address (an IPv6 address in a URI has brackets: [::1])"
    for address in parameters.get("hostaddr", "").split(","):
        if address and not is_address(address):
            return "hostaddr is not an IP address"
    for port in parameters.get("port", "").split(","):
        if port and not (re.fullmatch(r"\s*[0-9]{1,5}\s*", port) and 0 < int(port) < 65536):
            return "the port is not a number from 1 to 65535"
    if _HOLDS_URI.match(parameters.get("dbname", "")):
        return "dbname holds more than the name of a database"
    return None
