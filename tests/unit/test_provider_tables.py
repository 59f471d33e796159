"""The tables of providers read what the providers document, and ask as they document."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from entityflow.errors import UsageError
from entityflow.providers import provider_names, provider_table, read_provider, refused_providers
from entityflow.records import License
from services.searcher.providers import Hit, Page, Request
from services.searcher.reading import AnswerAway, AnswerChanged, AnswerRefused, SetupWrong, read_page
from services.searcher.secrets import secrets_of
from services.searcher.wording import question

HERON = Request("grey heron", ("bird",), ("drawing", "clip art"), "en", 3, 20, entity_id="Q1")


def read(name: str, answer: Any) -> Page:
    return read_page(provider_table(name).answer, json.dumps(answer).encode())


def only(name: str, answer: Any) -> Hit:
    (hit,) = read(name, answer).hits
    return hit


def asked(name: str, request: Request = HERON, **secrets: str) -> dict[str, str]:
    table = provider_table(name)
    return dict(parse_qsl(urlsplit(question(table, table.endpoint, request, secrets).address).query))


COMMONS_FILE = {
    "title": "File:Grey_heron at lake.jpg",
    "index": 1,
    "imageinfo": [
        {
            "thumburl": "https://upload.test/thumb/Grey_heron.jpg/960px-Grey_heron.jpg",
            "thumbwidth": 960,
            "thumbheight": 640,
            "url": "https://upload.test/Grey_heron.jpg",
            "width": 6000,
            "height": 4000,
            "descriptionurl": "https://commons.test/wiki/File:Grey_heron.jpg",
            "extmetadata": {
                "Artist": {"value": '<a href="//commons.test/wiki/User:Ann" title="User:Ann">Ann &amp; Bo</a>'},
                "LicenseShortName": {"value": "CC BY-SA 4.0"},
                "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0"},
                "ImageDescription": {"value": "<p>A <i>heron</i><br>at dusk</p>"},
            },
        }
    ],
}


def test_commons_gives_thumbnails_of_a_standard_width_with_plain_texts() -> None:
    hit = only("commons", {"batchcomplete": True, "query": {"pages": [COMMONS_FILE]}})

    assert hit == Hit(
        address="https://upload.test/thumb/Grey_heron.jpg/960px-Grey_heron.jpg",
        alternates=("https://upload.test/Grey_heron.jpg",),
        title="Grey heron at lake",
        description="A heron at dusk",
        page_url="https://commons.test/wiki/File:Grey_heron.jpg",
        width=960,
        height=640,
        license=License(id="CC BY-SA 4.0", url="https://creativecommons.org/licenses/by-sa/4.0"),
        creator="Ann & Bo",
    )
    assert asked("commons")["iiurlwidth"] == "960"
    assert (asked("commons")["gsrsearch"], asked("commons")["gsroffset"]) == ("filetype:bitmap grey heron", "40")


def test_commons_pages_by_number_are_read_too_and_sorted_by_rank() -> None:
    second = {"title": "File:B.png", "index": 2, "imageinfo": [{"url": "https://upload.test/B.png"}]}

    page = read("commons", {"query": {"pages": {"7": second, "9": COMMONS_FILE}}, "continue": {"gsroffset": 50}})

    assert [hit.title for hit in page.hits] == ["Grey heron at lake", "B"]
    assert page.hits[1] == Hit("https://upload.test/B.png", title="B")
    assert page.more is True


def test_commons_without_a_hit_has_no_query_at_all() -> None:
    page = read("commons", {"batchcomplete": True})

    assert (page.hits, page.more, page.is_last(1, 50)) == ((), False, True)


def test_commons_by_depicts_asks_for_the_entity_once_and_for_its_noun_only() -> None:
    table = provider_table("commons-depicts")

    assert asked("commons-depicts")["gsrsearch"] == "filetype:bitmap haswbstatement:P180=Q1"
    assert table.asks("noun", 0)
    assert not table.asks("attribute-noun", 0)
    assert not table.asks("noun", 1)
    assert not table.asks("sketch", 0)


def test_wikidata_names_the_pictures_of_the_item() -> None:
    claim = {"mainsnak": {"snaktype": "value", "datavalue": {"value": "Ardea cinerea & chick.jpg"}}}
    unknown = {"mainsnak": {"snaktype": "somevalue"}}

    hit = only("wikidata-image", {"claims": {"P18": [claim, unknown]}})

    address = "https://commons.wikimedia.org/wiki/Special:FilePath/Ardea_cinerea_%26_chick.jpg?width=960"
    assert (hit.address, hit.title) == (address, "Ardea cinerea & chick")
    assert read("wikidata-image", {"claims": {}}).hits == ()
    assert asked("wikidata-image")["entity"] == "Q1"


def test_openverse() -> None:
    picture = {
        "id": "1",
        "title": "Heron",
        "url": "https://live.test/1.jpg",
        "thumbnail": "https://api.openverse.test/1/thumb/",
        "foreign_landing_url": "https://flickr.test/1",
        "creator": "Ann",
        "license": "by-sa",
        "license_url": "https://creativecommons.org/licenses/by-sa/2.0/",
        "width": 1024,
        "height": 768,
    }

    page = read("openverse", {"result_count": 60, "page_count": 3, "results": [picture]})

    assert (page.pages, page.total) == (3, 60)
    assert page.hits[0].license == License(id="CC BY-SA", url="https://creativecommons.org/licenses/by-sa/2.0/")
    assert (page.hits[0].creator, page.hits[0].page_url) == ("Ann", "https://flickr.test/1")
    assert (asked("openverse")["q"], asked("openverse")["page"]) == ("grey heron", "3")
    assert asked("openverse")["category"] == "photograph"


def test_openverse_takes_a_token_where_there_is_one() -> None:
    table = provider_table("openverse")

    assert question(table, table.endpoint, HERON, {}).headers == {}
    assert question(table, table.endpoint, HERON, {"OPENVERSE_TOKEN": "t"}).headers == {"Authorization": "Bearer t"}


def test_flickr_takes_the_largest_size_and_names_licence_and_owner() -> None:
    photo = {
        "id": "53",
        "owner": "9@N01",
        "ownername": "Ann",
        "title": "Heron",
        "description": {"_content": "At the <b>lake</b>"},
        "license": "4",
        "url_z": "https://live.test/z.jpg",
        "url_l": "https://live.test/l.jpg",
        "width_l": "1024",
        "height_l": 683,
    }

    page = read("flickr", {"photos": {"page": 1, "pages": 9, "total": "901", "photo": [photo]}, "stat": "ok"})

    assert page.hits == (
        Hit(
            address="https://live.test/l.jpg",
            alternates=("https://live.test/z.jpg",),
            title="Heron",
            description="At the lake",
            page_url="https://www.flickr.com/photos/9@N01/53",
            width=1024,
            height=683,
            license=License(id="CC BY 2.0", url="https://creativecommons.org/licenses/by/2.0/"),
            creator="Ann",
        ),
    )
    assert (page.pages, page.total) == (9, 901)
    assert asked("flickr", FLICKR_KEY="k")["text"] == "grey heron -drawing -clip -art"


@pytest.mark.parametrize(
    ("code", "error"), [(105, AnswerAway), (100, SetupWrong), (3, AnswerRefused), ("105", AnswerAway)]
)
def test_flickr_says_with_status_200_what_went_wrong(code: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="why"):
        read("flickr", {"stat": "fail", "code": code, "message": "why"})


def test_inaturalist_has_several_photographs_an_observation() -> None:
    photos = [
        {"url": "https://static.test/photos/1/square.jpg", "license_code": "cc-by"},
        {"url": "https://static.test/photos/2/square.jpeg", "license_code": None},
    ]
    observation = {
        "uri": "https://www.inaturalist.test/observations/5",
        "taxon": {"name": "Ardea cinerea", "preferred_common_name": "Grey Heron"},
        "user": {"login": "ann", "name": None},
        "photos": photos,
    }

    page = read("inaturalist", {"total_results": 1, "results": [observation]})

    assert [hit.address for hit in page.hits] == [
        "https://static.test/photos/1/large.jpg",
        "https://static.test/photos/2/large.jpeg",
    ]
    first, second = page.hits
    assert (first.title, first.description, first.creator) == ("Grey Heron", "Ardea cinerea", "ann")
    assert (first.license, second.license) == (License(id="CC BY"), None)
    assert first.page_url == "https://www.inaturalist.test/observations/5"


def test_gbif_has_several_media_an_occurrence_and_unreliable_licences() -> None:
    media = {"identifier": "https://images.test/1.jpg", "license": "© all rights reserved", "rightsHolder": "Museum"}
    occurrence = {"species": "Ardea cinerea", "scientificName": "Ardea cinerea L.", "media": [media, {"type": "x"}]}

    page = read("gbif", {"offset": 0, "limit": 100, "count": 201, "endOfRecords": False, "results": [occurrence, {}]})

    assert page.hits == (
        Hit(
            "https://images.test/1.jpg",
            title="Ardea cinerea",
            description="Ardea cinerea L.",
            license=License(id="© all rights reserved"),
            creator="Museum",
        ),
    )
    assert not page.is_last(2, 100)
    assert page.is_last(3, 100)
    assert asked("gbif")["offset"] == "40"


def test_brave_gives_pages_of_the_web_and_nothing_of_licences() -> None:
    result = {
        "title": "Herons | A site",
        "url": "https://site.test/herons",
        "thumbnail": {"src": "https://imgs.test/t"},
        "properties": {"url": "https://site.test/h.jpg", "width": 900, "height": 600},
    }
    table = provider_table("brave")

    assert only("brave", {"type": "images", "results": [result]}) == Hit(
        "https://site.test/h.jpg",
        alternates=("https://imgs.test/t",),
        title="Herons | A site",
        page_url="https://site.test/herons",
        width=900,
        height=600,
    )
    assert question(table, table.endpoint, HERON, {"BRAVE_KEY": "k"}).headers == {"X-Subscription-Token": "k"}


def test_europeana_goes_from_cursor_to_cursor() -> None:
    item = {
        "title": ["Heron"],
        "edmIsShownBy": ["https://museum.test/1.jpg"],
        "rights": ["http://creativecommons.org/publicdomain/mark/1.0/"],
        "guid": "https://europeana.test/1",
    }

    page = read("europeana", {"success": True, "totalResults": 500, "nextCursor": "abc", "items": [item]})

    assert (page.cursor, page.hits[0].title) == ("abc", "Heron")
    assert asked("europeana", EUROPEANA_KEY="k")["cursor"] == "*"


def test_searxng() -> None:
    result = {"img_src": "https://p.test/1.jpg", "title": "Heron", "url": "https://p.test/1", "content": ""}

    assert only("searxng", {"query": "heron", "results": [result]}) == Hit(
        "https://p.test/1.jpg", title="Heron", page_url="https://p.test/1"
    )


@pytest.mark.parametrize("name", provider_names())
def test_an_answer_whose_fields_have_changed_is_not_taken_for_an_empty_one(name: str) -> None:
    with pytest.raises(AnswerChanged):
        read(name, {"data": {"items_v2": []}})


@pytest.mark.parametrize("name", provider_names())
def test_every_table_says_whose_terms_it_follows_and_when_they_were_read(name: str) -> None:
    table = provider_table(name)

    assert table.name == name
    assert table.terms.url.startswith("http")
    assert table.paging.per_page <= table.paging.max_per_page


@pytest.mark.parametrize("name", provider_names())
def test_a_secret_is_no_part_of_the_id_under_which_an_answer_is_kept(name: str) -> None:
    table = provider_table(name)
    secrets = dict.fromkeys(table.secrets(), "hidden")

    assert question(table, "http://s.test", HERON, secrets).id == question(table, "http://s.test", HERON, {}).id


def test_a_missing_key_is_named_before_anything_is_asked() -> None:
    with pytest.raises(UsageError, match="ENTITYFLOW_SECRET_BRAVE_KEY is not set"):
        secrets_of(provider_table("brave"), {})


def test_providers_whose_terms_rule_us_out_are_left_out_with_the_reason() -> None:
    assert {"unsplash", "pixabay", "google-cse"} <= set(refused_providers())
    assert not set(refused_providers()) & set(provider_names())


def test_a_long_text_is_cut_at_a_word() -> None:
    long = Request(" ".join(["heron"] * 100), (), (), "en", 1, 20)

    assert asked("openverse", long)["q"] == " ".join(["heron"] * 33)


OWN = """\
name: shop
title: A shop
endpoint: http://127.0.0.1:1/find
parameters: {q: "{text}", n: "{per_page}", from: "{offset}"}
headers: {X-Key: "{secret.SHOP_KEY}"}
answer:
  hits: data.found[*]
  total: data.count
  address: image.big
  title: [caption, "^data.title"]
  page_url: {make: "https://shop.test/{image.id}"}
terms: {url: "https://shop.test/terms", read: 2026-11-25}
"""


def test_a_table_of_ones_own_is_enough_for_another_provider(tmp_path: Any) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(OWN)

    table = read_provider(path)
    page = read_page(
        table.answer,
        b'{"data": {"count": 2, "title": "All", "found": [{"image": {"big": "http://s.test/1.jpg", "id": 7}}]}}',
    )

    assert page.hits == (Hit("http://s.test/1.jpg", title="All", page_url="https://shop.test/7"),)
    assert table.secrets() == ("SHOP_KEY",)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("{offset}", "{start}", "{start} is not known"),
        ("found[*]", "found[", "is no path"),
        ("headers:", "heders:", "heders: not known"),
        ("title: A shop\n", "", "title: Field required"),
        ('{make: "https://shop.test/{image.id}"}', "{match: '(.*'}", "either path or make"),
        ("image.big", "{path: image.big, match: '(.*'}", "is no pattern"),
        ("image.big", "{path: image.big, match: 'x'}", "no group"),
    ],
)
def test_a_mistake_in_a_table_is_told_with_its_line(tmp_path: Any, old: str, new: str, told: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(OWN.replace(old, new))

    with pytest.raises(UsageError) as caught:
        read_provider(path)

    assert told in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")
