"""What makes two addresses one, what goes on the wire, and what is refused."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.addresses import BadAddress, is_private, parse_address
from entityflow.networks import SPECIAL, is_public_ip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://Pics.Example.:443/a.png", "https://pics.example/a.png"),
        ("http://pics.example/50%.png", "http://pics.example/50%25.png"),
        ("http://pics.example/%41%2d%5f%7E.png", "http://pics.example/A-_~.png"),
        ("http://pics.example/a%c3%a9", "http://pics.example/a%C3%A9"),
        ("http://pics.example/aé", "http://pics.example/a%C3%A9"),
        ("http://pics.example/x/./y/../a.png", "http://pics.example/x/a.png"),
        ("http://pics.example/a.png#top", "http://pics.example/a.png"),
        ("http://pics.example/a?utm_source=x&id=2&FBCLID=y", "http://pics.example/a?id=2"),
        ("http://pics.example/a?gclid=1", "http://pics.example/a"),
        ("http://bücher.example/a", "http://xn--bcher-kva.example/a"),
        ("http://ＰＩＣＳ.example/a", "http://pics.example/a"),
        (" http://pics.example/a\n", "http://pics.example/a"),
    ],
)
def test_spellings_of_one_address_share_an_id(one: str, other: str) -> None:
    assert parse_address(one).url_id == parse_address(other).url_id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://pics.example/%2F.png", "http://pics.example//.png"),
        ("http://pics.example/%26", "http://pics.example/&"),
        ("http://pics.example/a?x=1&y=2", "http://pics.example/a?y=2&x=1"),
        ("http://pics.example/a?x=1&x=1", "http://pics.example/a?x=1"),
        ("http://pics.example/a?q=a+b", "http://pics.example/a?q=a%2Bb"),
        ("http://pics.example/A", "http://pics.example/a"),
        ("http://pics.example/a", "https://pics.example/a"),
        ("http://pics.example:8080/a", "http://pics.example/a"),
    ],
)
def test_what_a_server_may_tell_apart_stays_apart(one: str, other: str) -> None:
    assert parse_address(one).url_id != parse_address(other).url_id


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://pics.example/%3b%2d.png?sig=a%2Fb/c&utm_source=x", "/%3b%2d.png?sig=a%2Fb/c&utm_source=x"),
        ("http://pics.example/100%+sure.png", "/100%25+sure.png"),
        ("http://pics.example/a b.png", "/a%20b.png"),
        ("http://pics.example:8080/Old%20mill%20B%26W.jpg", "/Old%20mill%20B%26W.jpg"),
        ("http://pics.example", "/"),
    ],
)
def test_the_request_keeps_the_spelling_it_came_with(text: str, target: str) -> None:
    assert parse_address(text).target == target


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("data:image/png;base64,AAAA", "not-web"),
        ("data:image/png;base64," + "A" * 100_000, "not-web"),
        ("ftp://pics.example/a", "not-web"),
        ("file:///etc/hostname", "not-web"),
        ("javascript:alert(1)", "not-web"),
        ("//cdn.example/a.png", "relative-address"),
        ("a.png", "relative-address"),
        ("", "bad-address"),
        ("http://", "bad-address"),
        ("http://pics.example:70000/", "bad-address"),
        ("http://pics.example/\ud83d", "bad-address"),
        ("http://pics..example/a", "bad-host"),
        ("http://pics.example../a", "bad-host"),
        (f"http://{'b' * 64}.example/a", "bad-host"),
        ("http://" + ".".join(["abcdefghi"] * 30) + "/a", "bad-host"),
        ("http://anna:hunter2@pics.example/a", "credentials-in-address"),
        ("http://pics.example/" + "x" * 9000, "address-too-long"),
    ],
)
def test_what_cannot_be_fetched_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(BadAddress) as refused:
        parse_address(text)

    assert refused.value.reason == reason
    assert "hunter2" not in str(refused.value)


def test_a_relative_address_is_resolved_against_its_page() -> None:
    page = "https://news.example/2026/story"

    assert parse_address("//cdn.example/a.png?k=1", page).request == "https://cdn.example/a.png?k=1"
    assert parse_address("../b.png", page).request == "https://news.example/b.png"
    assert parse_address("http://other.example/c.png", page).request == "http://other.example/c.png"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("http://img.static.shop.co.uk/a", "shop.co.uk"),
        ("http://anna.github.io/a", "anna.github.io"),
        ("http://x.gb.net/a", "x.gb.net"),
        ("http://github.io/a", "github.io"),
        ("http://a.b.demo.test/a", "a.b.demo.test"),
        ("http://intranet/a", "intranet"),
        ("http://192.0.2.7/a", "192.0.2.7"),
        ("http://[2001:db8::1]:8080/a", "[2001:db8::1]:8080"),
        ("http://img.shop.com:8080/a", "shop.com:8080"),
        ("https://img.shop.com:443/a", "shop.com"),
    ],
)
def test_politeness_goes_by_registrable_domain_and_port(text: str, key: str) -> None:
    assert parse_address(text).host_key == key


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost./a",
        "http://LOCALHOST/a",
        "http://127.1/a",
        "http://0x7f000001/a",
        "http://2130706433/a",
        "http://10.1.2.3./a",
        "http://169.254.169.254/a",
        "http://[::1]/a",
        "http://[::ffff:10.0.0.1]/a",
        "http://100.64.0.1/a",
        "http://192.168.0.1/a",
        "http://[fd00::1]/a",
        "http://0.0.0.0/a",
        "http://[64:ff9b::a00:1]/",
        "http://printer.local/a",
        "http://metadata.google.internal/",
    ],
)
def test_machines_of_our_own_net_are_recognised_in_every_form(text: str) -> None:
    assert is_private(parse_address(text).host)


@pytest.mark.parametrize("network", SPECIAL, ids=str)
def test_no_address_of_a_special_range_is_public(network: IPv4Network | IPv6Network) -> None:
    inside = [network[0], network[-1], network[network.num_addresses // 2]]
    carried = {"::ffff:0:0/96", "64:ff9b::/96"}

    assert not any(is_public_ip(str(ip)) for ip in inside if str(network) not in carried)


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::8.8.8.8",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::1",
        "fe80::1%eth0",
        "2606:4700::1111%2",
        "64:ff9b:1::808:808",
        "100.127.255.255",
        "::ffff:0:0",
    ],
)
def test_wrapped_tunnelled_and_scoped_addresses_do_not_hide_a_private_one(address: str) -> None:
    assert not is_public_ip(address)


def test_a_public_address_behind_a_translator_is_public() -> None:
    assert is_public_ip("64:ff9b::808:808")
    assert is_public_ip("::ffff:8.8.8.8")


def test_public_hosts_are_not_private() -> None:
    assert not is_private("pics.example.com")
    assert is_public_ip("93.184.216.34")
    assert is_public_ip("2606:4700::1111")


@given(st.text(max_size=60), st.sampled_from(["", "http://pics.example/", "https://a.example:81/x?", "//"]))
def test_any_text_is_parsed_or_refused_and_identity_is_stable(text: str, before: str) -> None:
    try:
        address = parse_address(before + text)
    except BadAddress:
        return

    again = parse_address(address.canonical)
    assert (again.canonical, again.url_id) == (address.canonical, address.url_id)
    assert parse_address(address.request).request == address.request


@given(st.text(alphabet="%2eEaA5f./?&=utm_", max_size=30))
def test_escapes_in_any_order_settle_at_once(text: str) -> None:
    address = parse_address("http://pics.example/" + text)

    assert parse_address(address.canonical).canonical == address.canonical
