from ipaddress import ip_network

import pytest

from services.server_ops.webhooks.target import Target, TargetNotAllowed, TargetRules


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:port/",
        "https://example.com/#fragment",
        "https://example.com\\@10.0.0.1/",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://exämple.com/",
        "https://example..com/",
        "https://-example.com/",
        "https://%31%32%37.0.0.1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[v1.fe80]/",
        "https://10.0.0.1:8443/",
        f"https://{'a' * 64}.com/",
        f"https://{'a.' * 127}com/",
    ],
)
def test_what_is_refused(url: str) -> None:
    with pytest.raises(TargetNotAllowed):
        TargetRules().target(url)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com", Target("https", "example.com", 443, "/")),
        ("HTTPS://Example.COM:8443/a?b=c", Target("https", "example.com", 8443, "/a?b=c")),
        ("https://1.1.1.1/", Target("https", "1.1.1.1", 443, "/")),
        ("https://[2606:4700::1111]/", Target("https", "2606:4700::1111", 443, "/")),
        ("https://xn--exmple-cua.com/", Target("https", "xn--exmple-cua.com", 443, "/")),
    ],
)
def test_what_is_allowed(url: str, target: Target) -> None:
    assert TargetRules().target(url) == target


def test_what_the_operator_allows_besides() -> None:
    rules = TargetRules([ip_network("10.1.0.0/16")], allow_http=True, ports=frozenset())
    assert rules.target("http://10.1.2.3:9/") == Target("http", "10.1.2.3", 9, "/")
    assert rules.target("http://example.com/").port == 80
    with pytest.raises(TargetNotAllowed):
        rules.target("http://10.2.0.1/")
