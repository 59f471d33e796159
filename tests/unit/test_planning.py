"""What a domain will take: arithmetic that can be followed, and a plan at the size of EntityNet."""

from pathlib import Path

import pytest

from entityflow.chosen_providers import chosen_providers
from entityflow.domain import Domain, load_domain
from entityflow.planning import Assumptions, Plan, make_plan, queries_by_round
from services.entity_harvester.plan_command import document, duration, size

DOMAINS = Path(__file__).parents[2] / "domains"
SURE = Assumptions(next_round_share=0.5, synonyms=2.0, accepted_share=0.5, fetched_share=1.0, stored_bytes=10.0)


def domain_of(**more: object) -> Domain:
    return Domain.model_validate({"name": "owls", "roots": ["Q25222"], **more})


def plan_of(entities: int = 100, **more: object) -> Plan:
    domain = domain_of(**more)
    return make_plan(domain, chosen_providers(domain), entities, SURE)


def test_each_round_asks_for_the_next_queries_of_fewer_entities() -> None:
    domain = domain_of(
        queries={"kinds": ["noun", "attribute-noun"], "attributes": ["old", "young"], "per_entity": 2, "rounds": 2}
    )

    first, second, third = queries_by_round(domain.queries, 100, SURE)

    assert first == {"noun": 100.0, "attribute-noun": 100.0}
    assert second == {"noun": 0.0, "attribute-noun": 50.0}
    assert sum(third.values()) == 0.0, "nothing is left to ask"


def test_a_query_goes_from_provider_to_provider_until_its_budget_is_filled() -> None:
    plan = plan_of(
        queries={"kinds": ["noun"], "budget": 30, "rounds": 0},
        providers=["commons-depicts", {"name": "demo", "per_page": 10, "max_pages": 5}],
    )

    depicts, demo = plan.providers
    assert (depicts.queries, depicts.requests, depicts.candidates) == (100, 100, 1500)
    assert (demo.queries, demo.requests, demo.candidates) == (100, 100, 1000)
    assert plan.pairs == 1250
    assert plan.stored_bytes == 12500


def test_money_is_requests_by_price_and_a_cap_is_never_passed() -> None:
    queries = {"kinds": ["noun"], "budget": 200, "rounds": 0}

    free = plan_of(entities=1000, queries=queries, providers=[{"name": "brave", "max_dollars": 100}])
    capped = plan_of(entities=1000, queries=queries, providers=[{"name": "brave", "max_dollars": 1}])

    assert (free.requests, free.dollars, free.providers[0].capped) == (1000, 5.0, False)
    assert (capped.requests, capped.dollars, capped.providers[0].capped) == (200, 1.0, True)
    assert capped.candidates == free.candidates / 5


def test_what_takes_longest_binds() -> None:
    queries = {"kinds": ["noun"], "budget": 20, "rounds": 0}

    by_quota = plan_of(queries=queries, providers=[{"name": "demo", "requests_per_day": 10}])
    by_host = plan_of(queries=queries, providers=["commons"])

    assert (by_quota.binding, by_quota.hours[by_quota.binding]) == ("searching demo", 240.0)
    assert by_host.binding == "the host upload.wikimedia.org"
    assert by_host.hours[by_host.binding] == pytest.approx(2000 / 2 / 3600)


@pytest.mark.parametrize("path", sorted(DOMAINS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_domain_that_ships_has_a_plan_with_its_assumptions(path: Path) -> None:
    domain = load_domain(path)
    assert domain.limits.entities is not None

    plan = make_plan(domain, chosen_providers(domain), domain.limits.entities, Assumptions())
    told = document(plan, Assumptions(), "limits.entities")

    assert told["pairs"] > told["entities"]
    assert all(item["why"] for item in told["assumptions"])
    assert told["binding"] in told["hours"]


def test_entitynet_comes_out_near_the_paper() -> None:
    domain = load_domain(DOMAINS / "entitynet.yaml")

    plan = make_plan(domain, chosen_providers(domain), 147_000, Assumptions())

    assert 300_000 < plan.queries < 500_000, "428,175 in the paper"
    assert 25e6 < plan.pairs < 40e6, "32.7 million in the paper"
    assert 0 < plan.dollars <= 2500


def test_numbers_are_said_as_people_say_them() -> None:
    assert [size(1.2e12), size(3.5e9), size(12)] == ["1.2 TB", "3.5 GB", "12 bytes"]
    assert [duration(0.2), duration(3.46), duration(49)] == ["12 min", "3.5 h", "2 days"]
