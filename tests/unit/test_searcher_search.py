"""From pages of a provider to candidates."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.ids import candidate_id, url_id
from entityflow.providers import provider_table
from entityflow.records import License, Query
from services.searcher.candidates import sort_hits
from services.searcher.paging import collect_hits
from services.searcher.plain import plain_text
from services.searcher.providers import Hit, Page, PageTooDeep, Request, request_of
from services.searcher.reading import AnswerChanged, read_page
from services.searcher.wording import question

QUERY = Query(id="q1", entity_id="Q5113", text="heron", lang="en", kind="noun", budget=60)
DEMO = provider_table("demo")


class Pages:
    """A provider's pages by number; remembers which were asked for."""

    def __init__(self, pages: dict[int, list[str]], said: int | None) -> None:
        self._pages, self._said = pages, said
        self.asked: list[int] = []

    async def __call__(self, number: int, _cursor: str | None) -> Page:
        self.asked.append(number)
        if number not in self._pages:
            raise PageTooDeep(str(number))
        hits = tuple(Hit(address) for address in self._pages[number])
        return Page(hits, self._said, entries=len(hits))


def addresses(*numbers: int) -> list[str]:
    return [f"http://pictures.test/{number}.jpg" for number in numbers]


async def test_an_empty_page_is_not_the_end_while_there_are_more() -> None:
    pages = Pages({1: addresses(1, 2), 2: [], 3: addresses(5)}, said=3)

    found = await collect_hits(pages, budget=60, max_pages=10)

    assert [hit.address for hit in found] == addresses(1, 2, 5)
    assert pages.asked == [1, 2, 3]


async def test_an_empty_page_is_the_end_where_nobody_says_how_many_there_are() -> None:
    pages = Pages({1: addresses(1), 2: [], 3: addresses(5)}, said=None)

    await collect_hits(pages, budget=60, max_pages=10)

    assert pages.asked == [1, 2]


async def test_a_repeated_page_yields_nothing() -> None:
    pages = Pages({1: addresses(1, 2), 2: addresses(1, 2), 3: addresses(3)}, said=3)

    assert [hit.address for hit in await collect_hits(pages, 60, 10)] == addresses(1, 2, 3)


async def test_a_page_that_is_too_deep_ends_the_query_with_what_it_has() -> None:
    pages = Pages({1: addresses(1)}, said=50)

    assert [hit.address for hit in await collect_hits(pages, 60, 10)] == addresses(1)
    assert pages.asked == [1, 2]


async def test_paging_stops_when_the_budget_is_filled() -> None:
    pages = Pages({1: addresses(1, 2), 2: addresses(3, 4), 3: addresses(5)}, said=3)

    assert len(await collect_hits(pages, budget=3, max_pages=10)) == 3
    assert pages.asked == [1, 2]


async def test_paging_stops_at_the_limit_of_the_domain() -> None:
    pages = Pages({number: addresses(number) for number in range(1, 9)}, said=8)

    await collect_hits(pages, budget=60, max_pages=4)

    assert pages.asked == [1, 2, 3, 4]


def hits_of(*entries: Any) -> tuple[Hit, ...]:
    return read_page(DEMO.answer, json.dumps({"hits": entries, "pages": 1}).encode()).hits


def test_texts_of_a_hit_are_read_without_markup() -> None:
    (hit,) = hits_of(
        {
            "url": "http://pictures.test/Grey_heron.jpg",
            "title": "Grey heron",
            "description": "<p>A <i>heron</i><br>at dusk</p>",
            "creator": '<div class="fn value">\n<a href="//commons.test/u/Ann">Ann &amp; Bo</a></div>',
            "license": {"id": "CC BY-SA 4.0", "url": "https://creativecommons.org/licenses/by-sa/4.0"},
        }
    )

    assert (hit.title, hit.description, hit.creator) == ("Grey heron", "A heron at dusk", "Ann & Bo")
    assert hit.license == License(id="CC BY-SA 4.0", url="https://creativecommons.org/licenses/by-sa/4.0")


def test_a_hit_needs_nothing_but_its_address() -> None:
    assert hits_of({"url": "http://pictures.test/1.jpg"}) == (Hit("http://pictures.test/1.jpg"),)


def test_what_is_missing_or_of_another_type_is_unknown() -> None:
    (hit,) = hits_of(
        {"url": "http://p.test/1.jpg", "title": 7, "alt": "<b></b>", "width": "nine", "license": {}, "page_url": 1}
    )

    assert hit == Hit("http://p.test/1.jpg")


def test_an_entry_without_an_address_is_no_hit() -> None:
    whole = {"url": "http://p.test/1.jpg"}

    assert hits_of({"title": "heron"}, None, 5, whole, {"url": " "}, {"url": None}) == (Hit("http://p.test/1.jpg"),)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"7", b'{"hits": [{"url": "http://p.t'])
def test_what_is_no_whole_answer_is_not_read(answer: bytes) -> None:
    with pytest.raises(ValueError):
        read_page(DEMO.answer, answer)


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"hits": 1}', b'{"hits": [{"image": "http://p.test/1.jpg"}]}'])
def test_a_whole_answer_of_another_shape_is_said_to_be_one(answer: bytes) -> None:
    with pytest.raises(AnswerChanged):
        read_page(DEMO.answer, answer)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a < b & c", "a < b & c"),
        ("one<br>two<br/>three", "one two three"),
        ("<script>alert(1)</script>heron", "heron"),
        ("in<b>side</b> word", "inside word"),
        ("&lt;3 herons&nbsp;&eacute;", "<3 herons é"),
        ("  ", None),
        ("<p></p>", None),
    ],
)
def test_markup_is_taken_off_and_words_stay(text: str, plain: str | None) -> None:
    assert plain_text(text) == plain


@given(st.text(max_size=80))
def test_any_text_becomes_one_line_or_nothing(text: str) -> None:
    found = plain_text(text)

    assert found is None or found == " ".join(found.split())


def test_candidates_keep_the_order_of_the_provider_and_have_the_ids_of_address_and_query() -> None:
    candidates, refused = sort_hits([Hit(one) for one in addresses(1, 2)], QUERY, "demo", 0, at=1.0)

    first = url_id("http://pictures.test/1.jpg")
    assert [candidate.url.rank for candidate in candidates] == [0, 1]
    assert (candidates[0].url.url_id, candidates[0].url.candidate_id) == (first, candidate_id(first, "q1"))
    assert candidates[0].host_key == "pictures.test"
    assert refused == []


def test_an_address_is_one_candidate_however_it_is_spelt() -> None:
    hits = [
        Hit("http://pictures.test/a.jpg", title="first"),
        Hit("HTTP://Pictures.TEST:80/a.jpg?utm_source=x", title="second"),
    ]

    candidates, _ = sort_hits(hits, QUERY, "demo", 0, at=1.0)

    assert [candidate.url.title for candidate in candidates] == ["first"]


def test_an_address_that_is_none_ends_as_an_outcome_with_its_reason() -> None:
    candidates, (outcome,) = sort_hits([Hit("data:image/gif;base64,R0lGOD")], QUERY, "demo", 3, at=1.0)

    assert candidates == []
    assert (outcome.result, outcome.stage, outcome.rank, outcome.entity_id) == ("not-web", "searcher", 3, "Q5113")


def test_the_alternates_of_a_placeholder_take_its_place() -> None:
    hit = Hit(
        "data:image/gif;base64,R0lGOD",
        alternates=("//cdn.test/f/a.jpg?itok=x", "https://cdn.test/b.jpg"),
        page_url="https://news.test/p/1",
    )

    (candidate,), refused = sort_hits([hit], QUERY, "demo", 0, at=1.0)

    assert candidate.url.address == "https://cdn.test/f/a.jpg?itok=x"
    assert candidate.url.alternates == ("https://cdn.test/b.jpg",)
    assert refused == []


def test_a_page_address_that_is_none_is_unknown() -> None:
    (candidate,), _ = sort_hits([Hit("http://p.test/1.jpg", page_url="javascript:void(0)")], QUERY, "demo", 0, at=1.0)

    assert candidate.url.page_url is None


def id_of(request: Request, name: str = "demo") -> str:
    return question(provider_table(name), "http://search.test", request, {}).id


def test_questions_that_are_equal_on_the_wire_have_equal_ids() -> None:
    base = request_of(QUERY, page=1, per_page=20)
    others = [
        Request("herons", (), (), "en", 1, 20),
        Request("heron", (), (), "en", 2, 20),
        Request("heron", (), (), "en", 1, 50),
    ]

    assert id_of(base) == id_of(Request("heron", ("bird",), (), "de", 1, 20)), "the demo web is not told these"
    assert len({id_of(one) for one in [base, *others]} | {id_of(base, "searxng")}) == 5
