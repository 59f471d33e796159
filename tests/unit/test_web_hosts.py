"""Where pictures lie on the demo web."""

from dataclasses import replace

from entityflow.embedded import web_hosts as hosts
from entityflow.embedded.corpus import MIT, Picture
from entityflow.embedded.web_hosts import Offer, offers

PICTURE = Picture("fluent-1f981", "pictures/fluent-1f981.webp", "Lion", "A lion", (), "fluent", MIT, "Microsoft", None)
MANY = [replace(PICTURE, id=f"fluent-{number:x}") for number in range(2000)]
OFFERS = [offer for picture in MANY for offer in offers(picture)]


def test_a_picture_lies_at_the_same_addresses_in_every_run() -> None:
    addresses = [f"{offer.host}{offer.path}" for picture in MANY[3:6] for offer in offers(picture)]

    assert addresses == [
        "moved.demo.test/pictures/fluent-3.webp",
        "renderings.demo.test/pictures/fluent-4.webp",
        "renderings.demo.test/pictures/fluent-5.webp",
        "mirror.demo.test/pictures/fluent-5.jpg",
    ]


def test_every_kind_of_host_has_pictures() -> None:
    assert {offer.host for offer in OFFERS} >= set(hosts.HOSTS) - {hosts.SEARCH_HOST, *hosts.HOMES.values()}
    assert hosts.DOWN in {offer.host for offer in OFFERS}


def test_no_address_is_given_to_two_pictures() -> None:
    assert len({(offer.host, offer.path) for offer in OFFERS}) == len(OFFERS)


def test_most_pictures_lie_where_they_can_be_had() -> None:
    homes = [offer for offer in OFFERS if offer.host in hosts.HOMES.values()]

    assert len(homes) > 0.9 * len(MANY)


def test_some_but_not_most_of_the_moved_pictures_go_round_in_a_circle() -> None:
    moved = [offer for offer in OFFERS if offer.host == hosts.MOVED]

    assert 0 < sum(offer.goes_round for offer in moved) < len(moved) / 2


def test_a_copy_on_the_mirror_is_a_jpeg_whatever_the_original_is() -> None:
    assert Offer(PICTURE, hosts.MIRROR).path == "/pictures/fluent-1f981.jpg"
    assert Offer(PICTURE, hosts.SLOW).path == "/pictures/fluent-1f981.webp"


def test_only_the_private_host_has_a_closed_folder() -> None:
    assert Offer(PICTURE, hosts.PRIVATE).path.startswith("/private/")
    assert "Disallow: /private/" in hosts.ROBOTS[hosts.PRIVATE]
