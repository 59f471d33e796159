"""Harvests over a real SPARQL server, and over one whose answers are spoilt on the way."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from entityflow.domain import Domain, Queries
from entityflow.errors import UsageError, UserError
from entityflow.records import NaturalType
from services.entity_harvester.harvest import Harvest, harvest
from services.entity_harvester.settings import HarvesterSettings
from services.entity_harvester.sparql import Sparql
from tests.integration.graph_server import WD, Proxy, Spoil, oxigraph, proxied, triple

SPARQL_JSON = "application/sparql-results+json"
COMMONS = "<http://commons.wikimedia.org/wiki/Special:FilePath/Old%20tower%20in%20B%26W.jpg>"
ANIMAL, BIRD, OWL, HERON, EAGLE_OWL, PLANE = "Q729", "Q5113", "Q25222", "Q25430", "Q26440", "Q197"
GRAPH = [
    triple(BIRD, "P171", ANIMAL),
    triple(OWL, "P171", BIRD),
    triple(HERON, "P171", BIRD),
    triple(EAGLE_OWL, "P31", "Q16521"),
    triple(EAGLE_OWL, "P171", OWL),
    triple("Q16521", "label", '"taxon"@en'),
    triple(ANIMAL, "label", '"animal"@en'),
    triple(BIRD, "label", '"bird"@en'),
    triple(BIRD, "label", '"Vogel"@de'),
    triple(OWL, "label", '"owl"@en'),
    triple(HERON, "label", '"Ardea"@mul'),
    triple(EAGLE_OWL, "label", '"eagle owl"@en'),
    triple("Q900", "label", '"owl"@en'),
    triple(PLANE, "label", '"airplane"@en'),
    triple(EAGLE_OWL, "P1843", '"Eurasian eagle-owl"@en'),
    triple(EAGLE_OWL, "P225", '"Bubo bubo"'),
    triple(EAGLE_OWL, "alias", '"great horned owl"@en'),
    triple(EAGLE_OWL, "alias", '"Uhu"@de'),
    triple(EAGLE_OWL, "description", '"species of bird"@en'),
    triple(EAGLE_OWL, "P18", COMMONS),
    triple(EAGLE_OWL, "sitelinks", "90"),
    triple(OWL, "sitelinks", "150"),
    *(triple(f"Q10000{number}", "P171", OWL) for number in range(10)),
    *(triple(f"Q10000{number}", "label", f'"owl {number}"@en') for number in range(10)),
]
BIRDS = Domain.model_validate({"name": "birds", "roots": [ANIMAL], "natural_types": [BIRD]})


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with oxigraph(tmp_path_factory.mktemp("graph"), GRAPH) as address:
        yield address


def settings(endpoint: str, **more: object) -> HarvesterSettings:
    return HarvesterSettings(sparql_endpoint=endpoint, **more)  # type: ignore[arg-type]


def run(endpoint: str, domain: Domain = BIRDS, limit: int | None = None, **more: object) -> Harvest:
    values = settings(endpoint, **more)
    return harvest(domain, Sparql(values, sleep=lambda _seconds: None), limit, values.harvester_page_items)


def test_an_entity_comes_with_all_that_the_graph_says_of_it(endpoint: str) -> None:
    (found,) = [entity for entity in run(endpoint).entities if entity.id == EAGLE_OWL]

    assert (found.label, found.lang, found.description) == ("eagle owl", "en", "species of bird")
    assert [(one.text, one.kind) for one in found.synonyms] == [
        ("Eurasian eagle-owl", "common"),
        ("great horned owl", "alias"),
        ("Bubo bubo", "taxon"),
    ]
    assert found.natural_type == NaturalType(id=BIRD, label="bird")
    assert [(one.id, one.depth) for one in found.parents] == [(OWL, 1), (BIRD, 2), (ANIMAL, 3)]
    assert found.sitelinks == 90


def test_the_address_of_a_picture_keeps_its_spelling(endpoint: str) -> None:
    (found,) = [entity for entity in run(endpoint).entities if entity.id == EAGLE_OWL]

    assert found.images == (COMMONS.strip("<>"),)


def test_only_what_lies_below_a_root_is_harvested(endpoint: str) -> None:
    found = run(endpoint)

    assert {ANIMAL, PLANE, "Q900", "Q16521"}.isdisjoint(entity.id for entity in found.entities)
    assert found.members == 14


def test_the_most_popular_come_first_and_among_equals_the_older(endpoint: str) -> None:
    found = run(endpoint, limit=4)

    assert [entity.id for entity in found.entities] == [OWL, EAGLE_OWL, BIRD, HERON]


def test_a_label_that_something_else_bears_is_ambiguous(endpoint: str) -> None:
    ambiguous = [entity.label for entity in run(endpoint).entities if entity.ambiguous]

    assert ambiguous == ["owl"]


def test_filters_of_the_domain_hold(endpoint: str) -> None:
    def ids(**filters: object) -> list[str]:
        domain = Domain.model_validate({**BIRDS.model_dump(), "filters": filters})
        return [entity.id for entity in run(endpoint, domain).entities]

    assert ids(image=True) == [EAGLE_OWL]
    assert ids(min_sitelinks=100) == [OWL]
    assert ids(exclude=[OWL]) == [BIRD, HERON]
    assert EAGLE_OWL not in ids(without=["P18"])


def test_pages_and_batches_of_any_size_give_the_same_entities(endpoint: str) -> None:
    whole = run(endpoint)

    assert run(endpoint, harvester_page_items=3, harvester_batch_items=2) == whole


def test_a_cycle_in_the_graph_comes_to_an_end(tmp_path: Path) -> None:
    graph = [
        triple("Q1", "P279", "Q2"),
        triple("Q2", "P279", "Q3"),
        triple("Q3", "P279", "Q1"),
        triple("Q4", "P279", "Q1"),
    ]
    domain = Domain.model_validate({"name": "cycle", "roots": ["Q2"]})

    with oxigraph(tmp_path, graph) as address:
        found = run(address, domain)

    assert sorted(found.unnamed) == ["Q1", "Q3", "Q4"]
    assert found.unnamed["Q4"] == {"Q1": 1, "Q2": 2, "Q3": 3}
    assert found.unnamed["Q1"] == {"Q2": 1, "Q3": 2}


def test_an_item_without_a_word_for_people_is_not_an_entity(tmp_path: Path) -> None:
    graph = [
        *(triple(item, "P279", "Q1") for item in ("Q10", "Q11", "Q12", "Q13")),
        triple("Q10", "label", '"Q10"'),
        triple("Q11", "label", '"grey heron"@en'),
        triple("Q12", "label", '"Ardea"@mul'),
        triple("Q13", "label", '"Reiher"@de'),
    ]
    with oxigraph(tmp_path, graph) as address:
        found = run(address, Domain.model_validate({"name": "labels", "roots": ["Q1"]}))

    assert [(entity.id, entity.label, entity.lang) for entity in found.entities] == [
        ("Q11", "grey heron", "en"),
        ("Q12", "Ardea", "mul"),
        ("Q13", "Reiher", "de"),
    ]
    assert list(found.unnamed) == ["Q10"]


def cut(body: bytes, share: float = 0.6) -> web.Response:
    return web.Response(body=body[: int(len(body) * share)], content_type=SPARQL_JSON)


def through(endpoint: str, spoil: Spoil, work: Callable[[Proxy], Harvest]) -> tuple[Harvest, Proxy]:
    with proxied(endpoint, spoil) as proxy:
        return work(proxy), proxy


def test_answers_that_are_cut_are_asked_for_again(endpoint: str) -> None:
    def spoil(_query: str, number: int, body: bytes) -> web.Response | None:
        return cut(body) if number % 3 == 0 else None

    found, proxy = through(endpoint, spoil, lambda proxy: run(proxy.address))

    assert found == run(endpoint)
    assert len(proxy.queries) > 9


def test_what_is_too_large_to_arrive_whole_is_asked_for_in_smaller_parts(endpoint: str) -> None:
    def spoil(_query: str, _number: int, body: bytes) -> web.Response | None:
        return cut(body) if len(body) > 2500 else None

    found, _ = through(endpoint, spoil, lambda proxy: run(proxy.address))

    assert found == run(endpoint)


def test_a_part_that_parses_is_not_taken_for_the_whole(endpoint: str) -> None:
    spoilt = []

    def spoil(query: str, _number: int, body: bytes) -> web.Response | None:
        if "COUNT" in query or len(spoilt) >= 3 or body.count(b'"item"') < 3:
            return None
        spoilt.append(query)
        return web.json_response({"results": {"bindings": []}}, content_type=SPARQL_JSON)

    found, _ = through(endpoint, spoil, lambda proxy: run(proxy.address))

    assert len(spoilt) == 3
    assert found == run(endpoint)


def test_an_endpoint_that_cuts_everything_ends_the_pass_with_its_words(endpoint: str) -> None:
    with (
        proxied(endpoint, lambda _query, _number, body: cut(body, 0.5)) as proxy,
        pytest.raises(UserError, match=r"bad answers in a row, the last: JSON ends badly"),
    ):
        run(proxy.address)

    assert len(proxy.queries) < 20


def test_a_refusal_is_waited_for_as_long_as_the_server_says(endpoint: str) -> None:
    waits: list[float] = []

    def spoil(_query: str, number: int, _body: bytes) -> web.Response | None:
        page = "<html><title>Error 429 Too Many Requests - Please retry in 9 seconds.</title></html>"
        headers = {"Retry-After": "9"}
        return web.Response(status=429, text=page, content_type="text/html", headers=headers) if number == 1 else None

    def work(proxy: Proxy) -> Harvest:
        return harvest(BIRDS, Sparql(settings(proxy.address), sleep=waits.append), None, 100)

    found, _ = through(endpoint, spoil, work)

    assert waits == [9]
    assert found == run(endpoint)


def test_a_refusal_for_longer_than_our_patience_ends_the_pass(endpoint: str) -> None:
    def spoil(_query: str, _number: int, _body: bytes) -> web.Response | None:
        return web.Response(status=429, text="later", headers={"Retry-After": "86400"})

    with proxied(endpoint, spoil) as proxy, pytest.raises(UserError, match="asks to wait 86400 s, the limit is 600 s"):
        run(proxy.address)

    assert len(proxy.queries) == 1


def test_a_page_for_people_with_status_200_is_not_parsed(endpoint: str) -> None:
    def spoil(_query: str, number: int, _body: bytes) -> web.Response | None:
        return web.Response(text="<html>busy</html>", content_type="text/html") if number == 2 else None

    found, _ = through(endpoint, spoil, lambda proxy: run(proxy.address))

    assert found == run(endpoint)


def test_an_address_without_an_endpoint_is_named(endpoint: str) -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1.*HTTP 404"):
        run(endpoint.replace("/query", "/nothing"))


def test_an_endpoint_that_is_not_there_is_named() -> None:
    with pytest.raises(
        UserError, match=r"http://127\.0\.0\.1:9/query: 6 bad answers in a row, the last: not reachable"
    ):
        run("http://127.0.0.1:9/query")


def test_without_a_contact_nothing_is_asked_of_the_internet() -> None:
    with pytest.raises(UsageError, match=r"no contact address is set, so nothing is asked of query\.example\.org"):
        run("https://query.example.org/sparql")


def test_an_endpoint_that_is_not_set_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no SPARQL endpoint is set"):
        run("")


def test_what_a_picture_can_show_is_taken_from_the_graph_in_the_order_of_its_use(tmp_path: Path) -> None:
    graph = [
        triple("Q1", "label", '"apple"@en'),
        triple("Q1", "P279", "Q2"),
        triple("Q2", "label", '"fruit"@en'),
        triple("Q1", "P527", "Q13"),
        triple("Q13", "label", '"core"@en'),
        triple("Q1", "P462", "Q11"),
        triple("Q11", "label", '"red"@en'),
        triple("Q11", "label", '"rot"@de'),
        triple("Q1", "P462", "Q12"),
        triple("Q12", "label", '"gr\u00fcn"@de'),
        triple("Q1", "P186", "Q14"),
        f'<{WD}Q1> <http://schema.org/version> "77" .',
    ]
    fruits = Domain.model_validate({"name": "fruits", "roots": ["Q2"], "queries": {"graph_attributes": True}})

    with oxigraph(tmp_path, graph) as address:
        (apple,) = run(address, fruits).entities
        (plain,) = run(address, fruits.model_copy(update={"queries": Queries()})).entities

    assert apple.attributes == ("red", "core of"), "what has no word in a wanted language is no attribute"
    assert (apple.revision, plain.attributes) == ("77", ())
