import ipaddress

import pytest

from pgrpc.core.network import forwarding

TRUSTED = forwarding.Proxies([ipaddress.ip_network(text) for text in ("10.0.0.0/8", "192.0.2.1", "fd00::/8")])
PROXY = "10.1.2.3"


def found(headers: dict[str, str], peer: str = PROXY) -> tuple[str, str | None]:
    client = TRUSTED.client(peer, headers)
    return client.address, client.scheme


def x(addresses: str, schemes: str | None = None) -> tuple[str, str | None]:
    return found({"X-Forwarded-For": addresses} | ({} if schemes is None else {"X-Forwarded-Proto": schemes}))


def rfc(text: str) -> tuple[str, str | None]:
    return found({"Forwarded": text})


@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8::9", "not an address"])
def test_who_is_no_trusted_proxy_is_not_believed(peer: str) -> None:
    headers = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "Forwarded": "for=198.51.100.7"}
    assert found(headers, peer) == (peer, None)
    assert forwarding.Proxies([]).client(PROXY, headers) == forwarding.Client(PROXY)


def test_without_headers_the_client_is_the_proxy() -> None:
    assert found({}) == (PROXY, None)
    assert found({}, "fd00::1") == ("fd00::1", None)


@pytest.mark.parametrize(
    ("addresses", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("6.6.6.6, 198.51.100.7", "198.51.100.7"),  # the left one may be anybody's words
        ("198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("6.6.6.6,198.51.100.7 ,192.0.2.1,10.9.9.9", "198.51.100.7"),
        ("10.9.9.9, 192.0.2.1", "10.9.9.9"),  # all are trusted
        ("nonsense, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, nonsense", PROXY),
        ("198.51.100.7, nonsense, 10.9.9.9", "10.9.9.9"),
        ("198.51.100.7,", PROXY),
        ("", PROXY),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:0DB8::0007", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("198.51.100.7, ::ffff:10.9.9.9", "198.51.100.7"),
        ("198.51.100.7, fd00::7", "198.51.100.7"),
        ("198.51.100.256", PROXY),
        ("198.51.100.7:x", PROXY),
        ("[198.51.100.7", PROXY),
        ("localhost", PROXY),
        ("1", PROXY),
    ],
)
def test_x_forwarded_for(addresses: str, client: str) -> None:
    assert x(addresses)[0] == client


@pytest.mark.parametrize(
    ("addresses", "schemes", "scheme"),
    [
        ("198.51.100.7", "https", "https"),
        ("198.51.100.7", "HTTP", "http"),
        ("198.51.100.7", "wss", "https"),
        ("198.51.100.7", "ws", "http"),
        ("198.51.100.7", "gopher", None),
        ("198.51.100.7", "", None),
        ("198.51.100.7", None, None),
        ("198.51.100.7, 10.9.9.9", "https", "https"),
        ("198.51.100.7, 10.9.9.9", "https, http", "https"),  # the outermost proxy's word counts
        ("198.51.100.7, 10.9.9.9", "http, https", "http"),
        ("6.6.6.6, 198.51.100.7", "http, https", "https"),
        ("198.51.100.7, 10.9.9.9", "https, http, http", None),
        ("198.51.100.7", "https, http", None),
    ],
)
def test_x_forwarded_proto(addresses: str, schemes: str | None, scheme: str | None) -> None:
    assert x(addresses, schemes) == ("198.51.100.7", scheme)


def test_x_forwarded_proto_alone() -> None:
    assert found({"X-Forwarded-Proto": "https"}) == (PROXY, "https")
    assert found({"X-Forwarded-Proto": "https", "Forwarded": "for=198.51.100.7"}) == ("198.51.100.7", None)


@pytest.mark.parametrize(
    ("text", "client", "scheme"),
    [
        ("for=198.51.100.7", "198.51.100.7", None),
        ("For=198.51.100.7;Proto=HTTPS;by=203.0.113.43", "198.51.100.7", "https"),
        ('for="198.51.100.7:4711"', "198.51.100.7", None),
        ('for="[2001:db8::7]:4711" ; proto=http', "2001:db8::7", "http"),
        ('for="[2001:db8:\\:7]"', "2001:db8::7", None),
        ("for=6.6.6.6, for=198.51.100.7;proto=https", "198.51.100.7", "https"),
        ("for=198.51.100.7;proto=https, for=10.9.9.9;proto=http", "198.51.100.7", "https"),
        ("for=198.51.100.7;proto=https, for=10.9.9.9", "198.51.100.7", "https"),
        ("for=198.51.100.7, for=unknown", PROXY, None),
        ("for=198.51.100.7, for=_hidden;proto=https", PROXY, "https"),
        ("for=198.51.100.7, proto=https", PROXY, "https"),
        ('for=198.51.100.7;host="a, b; c"', "198.51.100.7", None),
        ("", PROXY, None),
    ],
)
def test_forwarded(text: str, client: str, scheme: str | None) -> None:
    assert rfc(text) == (client, scheme)


@pytest.mark.parametrize(
    "left",
    ['for="', 'for=6.6.6.6;x="', 'x="\\', "for", "=", ";", ",", "for=6.6.6.6;", "for=a;for=b", "for = 6.6.6.6", "é=1"],
)
@pytest.mark.parametrize("right", ["for=198.51.100.7", 'for="[2001:db8::7]";by="x"'])
def test_nothing_of_a_malformed_one_is_believed(left: str, right: str) -> None:
    """A client sends the left part, the proxy adds the right one."""
    assert rfc(f"{left}, {right}") == (PROXY, None)
    assert rfc(f"{left},{right}") == (PROXY, None)


def test_it_does_not_end_in_a_separator() -> None:
    assert rfc("for=198.51.100.7,") == (PROXY, None)
    assert rfc("for=198.51.100.7;") == (PROXY, None)


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("", ""),
        ("a:b", "a:b"),
    ],
)
def test_what_an_address_counts_as(address: str, counts_as: str) -> None:
    assert forwarding.rate_limit_key(address) == counts_as


def test_both_kinds_must_lead_to_the_same_client() -> None:
    """The proxy writes one of them; the other is whatever the client sent."""
    forged = {"X-Forwarded-For": "198.51.100.7", "Forwarded": "for=6.6.6.6"}
    assert found(forged) == (PROXY, None)
    assert found({"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=198.51.100.7"}) == (PROXY, None)
    same = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "http", "Forwarded": "for=198.51.100.7;proto=https"}
    assert found(same) == ("198.51.100.7", "https")
