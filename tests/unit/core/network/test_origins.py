import pytest

from pgrpc.core.network import origins


def allows(
    listed: list[str], origin: str, host: str = "h.example", scheme: str = "http", site: str | None = None
) -> bool:
    return origins.Origins(listed).allows(origin, host=host, scheme=scheme, fetch_site=site)


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "own"),
    [
        ("http://h.example", "h.example", "http", True),
        ("http://H.example", "h.EXAMPLE", "http", True),
        ("https://h.example", "h.example", "http", True),  # a proxy that we were not told of may speak TLS
        ("https://h.example", "h.example", "https", True),
        ("http://h.example", "h.example", "https", False),
        ("http://h.example", "h.example:80", "http", True),
        ("https://h.example", "h.example:443", "https", True),
        ("https://h.example", "h.example:80", "http", False),
        ("http://h.example:8080", "h.example:8080", "http", True),
        ("http://h.example", "h.example:8080", "http", False),
        ("http://h.example:8080", "h.example", "http", False),
        ("http://[::1]:8080", "[::1]:8080", "http", True),
        ("http://[::1]", "[::1]:80", "http", True),
        ("http://[::1]", "[::2]", "http", False),
        ("http://h.example.evil.example", "h.example", "http", False),
        ("http://evil.example", "h.example", "http", False),
        ("x-app://h.example", "h.example", "http", True),
        ("null", "null", "http", False),
        ("", "", "http", False),
        ("h.example", "h.example", "http", False),
        ("http://", "", "http", False),
    ],
)
def test_our_own(origin: str, host: str, scheme: str, own: bool) -> None:
    assert allows([], origin, host, scheme) is own


@pytest.mark.parametrize(
    ("site", "own"), [("same-origin", True), ("same-site", False), ("cross-site", False), ("none", False), ("", False)]
)
def test_what_the_browser_says_of_itself_counts(site: str, own: bool) -> None:
    assert allows([], "http://h.example", site=site) is own
    assert allows([], "https://rewritten.example", site=site) is own
    assert allows(["http://other.example"], "http://other.example", site=site)


def test_listed() -> None:
    listed = ["https://app.example", "http://localhost:5173"]
    assert allows(listed, "https://app.example")
    assert allows(listed, "https://APP.example")
    assert allows(listed, "http://localhost:5173")
    for other in ("http://app.example", "https://app.example:444", "https://app.example.evil", "http://localhost"):
        assert not allows(listed, other)


def test_globs() -> None:
    listed = ["https://*.example.com", "https://pr-*.dev.example:8443"]
    for origin in ("https://a.example.com", "https://A-1.example.com", "https://pr-12.dev.example:8443"):
        assert allows(listed, origin)
    for origin in (
        "https://example.com",
        "https://.example.com",
        "https://a.b.example.com",
        "http://a.example.com",
        "https://a.example.com:444",
        "https://a.example.com.evil.example",
        "https://evil.example/.example.com",
        "https://evil.example#.example.com",
        "https://u@.example.com",
        "https://aXexample.com",
        "https://a.example.com\n",
        "https://pr-.dev.example:8443",
        "null",
    ):
        assert not allows(listed, origin)


def test_a_star_alone_is_every_origin() -> None:
    for origin in ("https://evil.example", "null", "file://"):
        assert allows(["*"], origin, site="cross-site")


def test_a_cookie_is_trusted_to_those_that_are_listed() -> None:
    listed = origins.Origins(["https://app.example", "https://*.app.example", "*"])
    assert listed.lists("https://APP.example")
    assert listed.lists("https://a.app.example")
    assert not listed.lists("https://evil.example")
    assert not listed.lists("")


ADDRESSES = ("127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080", "192.0.2.7:1", "[2001:db8::1]:8080")


def test_any_host_will_do_where_none_is_listed() -> None:
    for host in (*ADDRESSES, "app.example", "app.example:8080", ""):
        assert origins.Hosts([]).allows(host)


def test_on_a_loopback_address_our_port_is_asked_for_by_programs_of_this_machine() -> None:
    hosts = origins.Hosts([], [8080, 8443])
    for host in (*ADDRESSES, "localhost:8080", "LOCALHOST:8080", "localhost.:8080", "app.localhost:8080", "localhost"):
        assert hosts.allows(host)
    for host in ("app.example", "app.example:443", "app.example:80", ""):  # a proxy may hand this on
        assert hosts.allows(host)
    for host in (
        "evil.example:8080",
        "evil.example:8443",
        "127.0.0.1.evil.example:8080",
        "localhost.evil.example:8080",
        "xlocalhost:8080",
    ):
        assert not hosts.allows(host)


@pytest.mark.parametrize("ports", [[], [8080]])
def test_listed_hosts(ports: list[int]) -> None:
    hosts = origins.Hosts(["app.example", "*.app.example"], ports)
    for host in (*ADDRESSES, "app.example", "APP.example:8080", "app.example.", "a.app.example:443"):
        assert hosts.allows(host)
    for host in ("evil.example", "a.b.app.example", "localhost", "", "app.example:x", "app.example:1:2", "[::1", "a]"):
        assert not hosts.allows(host)
    assert origins.Hosts(["*"], ports).allows("evil.example:8080")
