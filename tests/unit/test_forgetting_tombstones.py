"""What a tombstone covers, and what it does not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.addresses import parse_address
from entityflow.errors import UsageError
from entityflow.ids import content_id
from entityflow.records import Image, Origin, Permission, Tombstone, Url
from entityflow.tombstones import KINDS, Tombstones, tombstone_of

PICTURE = "http://img.pictures.test/owl%7E1.jpg?size=2"
PAGE = "http://blog.test/owls"
CANDIDATE = Url(
    candidate_id="c1", url_id=parse_address(PICTURE).url_id, address=PICTURE, page_url=PAGE, provider="demo"
)
IMAGE = Image(
    image_id="ab" * 32,
    final_url=PICTURE,
    permission=Permission(decision="allowed"),
    candidate=CANDIDATE,
    url_origin=Origin(topic_uuid="t", partition=0, offset=0),
)


def having(**named: str) -> Tombstones:
    made = Tombstones()
    for kind, text in named.items():
        one = tombstone_of(kind, text, at=1.0)
        made.learn(one.id, one)
    return made


def test_without_tombstones_nothing_is_covered():
    assert Tombstones().of_image(IMAGE) is None
    assert Tombstones().of_candidate(CANDIDATE) is None


@pytest.mark.parametrize(
    "spelling",
    [
        "http://img.pictures.test/owl~1.jpg?size=2",
        "HTTP://IMG.pictures.test.:80/owl%7e1.jpg?size=2#top",
        "http://img.pictures.test/owl~1.jpg?utm_source=x&size=2",
    ],
)
def test_an_address_is_covered_in_every_spelling_that_the_fetcher_holds_for_the_same(spelling):
    assert having(url=spelling).of_candidate(CANDIDATE)
    assert having(url=spelling).of_image(IMAGE)


def test_another_query_is_another_address():
    assert having(url="http://img.pictures.test/owl~1.jpg?size=3").of_candidate(CANDIDATE) is None


@pytest.mark.parametrize("host", ["img.pictures.test", "pictures.test", "blog.test", "Pictures.Test."])
def test_a_host_covers_itself_what_is_below_it_and_what_its_pages_show(host):
    assert having(host=host).of_candidate(CANDIDATE)


@pytest.mark.parametrize("host", ["g.pictures.test", "tures.test", "a.img.pictures.test", "owl.test"])
def test_a_host_covers_no_other_host(host):
    assert having(host=host).of_candidate(CANDIDATE) is None


def test_a_host_is_covered_at_every_port_and_by_either_scheme():
    assert having(host="pictures.test").of_source("https://pictures.test:8443/a.jpg", None)


def test_an_ip_address_covers_only_itself():
    assert having(host="10.0.0.1").of_source("http://10.0.0.1/a.jpg", None)
    assert having(host="0.0.1.0").of_source("http://10.0.0.1/a.jpg", None) is None


def test_a_page_covers_its_pictures_and_not_the_same_text_as_an_address():
    assert having(page=PAGE + "#second").of_candidate(CANDIDATE)
    assert having(url=PAGE).of_candidate(CANDIDATE) is None
    assert having(page=PICTURE).of_candidate(CANDIDATE) is None


def test_a_picture_is_covered_by_its_sha256_in_either_case():
    assert having(sha256="AB" * 32).of_image(IMAGE)
    assert having(sha256="cd" * 32).of_image(IMAGE) is None


@pytest.mark.parametrize(
    "moved",
    [
        replace(CANDIDATE, address="http://cdn.test/1.jpg", url_id="0" * 32, tried=(PICTURE,), hop=1),
        replace(CANDIDATE, address="http://cdn.test/1.jpg"),
        replace(CANDIDATE, address="no address at all"),
    ],
)
def test_a_candidate_is_covered_by_every_address_that_it_had(moved):
    assert having(url=PICTURE).of_candidate(moved)


def test_an_image_is_covered_by_where_its_bytes_came_from():
    elsewhere = replace(CANDIDATE, address="http://short.test/1", url_id="0" * 32, page_url=None)

    assert having(url=PICTURE).of_image(replace(IMAGE, candidate=elsewhere))


def test_a_deleted_key_is_covered_no_more():
    tombstones = having(sha256="ab" * 32)
    tombstones.learn(tombstone_of("sha256", "ab" * 32, 1.0).id, None)

    assert len(tombstones) == 0
    assert tombstones.of_image(IMAGE) is None


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("sha256", "abc", "--sha256 'abc' is no SHA-256"),
        ("url", "owl.jpg", "--url 'owl.jpg' is no web address"),
        ("url", "ftp://a.test/owl.jpg", "--url 'ftp://a.test/owl.jpg' is no web address"),
        ("page", "", "--page '' is no web address"),
        ("host", "https://a.test/x", "--host 'https://a.test/x' is more than a host name"),
        ("host", "a.test:80", "--host 'a.test:80' is more than a host name"),
        ("host", "a..test", "--host 'a..test' is no host name"),
        ("host", "co.uk", "--host 'co.uk' is a suffix"),
        ("host", "github.io", "--host 'github.io' is a suffix"),
        ("host", "com", "--host 'com' is a suffix"),
    ],
)
def test_what_names_nothing_is_one_line_with_its_cure(kind, text, says):
    with pytest.raises(UsageError) as caught:
        tombstone_of(kind, text, at=0.0)

    assert says in str(caught.value)
    assert caught.value.hint


@given(st.sampled_from(KINDS), st.text(max_size=60))
def test_any_text_gives_a_tombstone_or_a_refusal(kind, text):
    try:
        made = tombstone_of(kind, text, at=0.0)
    except UsageError:
        return
    assert made.id == content_id(kind, made.value)


def test_a_tombstone_keeps_a_hash_alone():
    for kind, text in (("url", PICTURE), ("page", PAGE), ("host", "pictures.test")):
        made = tombstone_of(kind, text, at=2.0)

        assert made == Tombstone(id=made.id, kind=kind, value=made.value, at=2.0)
        assert len(made.value) == 32
        assert "test" not in made.id + made.value
