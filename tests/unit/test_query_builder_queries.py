"""How to ask for an entity."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from entityflow.domain import Domain
from entityflow.ids import query_id
from entityflow.records import Entity, NaturalType, Query, Synonym
from services.query_builder.queries import queries_of_round

BIRD = NaturalType(id="Q5113", label="bird")
CRANE = Entity(id="Q25365", label="crane", lang="en", natural_type=BIRD)


def domain(**queries: Any) -> Domain:
    return Domain.model_validate({"name": "birds", "roots": ["Q5113"], "queries": queries})


def texts(queries: list[Query]) -> list[str]:
    return [query.text for query in queries]


def test_the_first_round_asks_for_the_label() -> None:
    (query,) = queries_of_round(CRANE, domain(), 0)

    assert (query.text, query.kind, query.lang, query.round) == ("crane", "noun", "en", 0)
    assert query.id == query_id("Q25365", "noun", "crane", "en")


def test_an_ambiguous_label_has_its_natural_type_behind_it() -> None:
    ambiguous = replace(CRANE, ambiguous=True)

    assert texts(queries_of_round(ambiguous, domain(), 0)) == ["crane bird"]
    assert texts(queries_of_round(ambiguous, domain(natural_type="never"), 0)) == ["crane"]
    assert texts(queries_of_round(CRANE, domain(natural_type="always"), 0)) == ["crane bird"]


def test_a_label_that_says_its_type_is_not_given_it_twice() -> None:
    secretary = replace(CRANE, label="secretary Bird", ambiguous=True)
    bird = replace(CRANE, id="Q5113", label="bird", ambiguous=True)

    assert texts(queries_of_round(secretary, domain(), 0)) == ["secretary Bird"]
    assert texts(queries_of_round(bird, domain(), 0)) == ["bird"]


def test_a_type_within_a_longer_word_does_not_count_as_said() -> None:
    birdwing = replace(CRANE, label="birdwing", ambiguous=True)

    assert texts(queries_of_round(birdwing, domain(), 0)) == ["birdwing bird"]


def test_other_names_and_the_type_go_along_as_hints() -> None:
    named = replace(CRANE, synonyms=(Synonym(text="Grus", lang="la", kind="taxon"),))

    (query,) = queries_of_round(named, domain(none_of=["cartoon", "crane"]), 0)

    assert query.any_of == ("bird", "Grus")
    assert query.none_of == ("cartoon",)


def test_later_rounds_ask_with_attributes() -> None:
    rules = domain(attributes=["flying", "young"], rounds=2)

    assert texts(queries_of_round(CRANE, rules, 1)) == ["flying crane"]
    assert texts(queries_of_round(CRANE, rules, 2)) == ["young crane"]


def test_no_round_asks_what_another_has_asked() -> None:
    rules = domain(attributes=["flying", "young", "Flying"], rounds=5, per_entity=2)

    asked = [text for round_ in range(6) for text in texts(queries_of_round(CRANE, rules, round_))]

    assert asked == ["crane", "flying crane", "young crane"]


def test_a_round_beyond_the_last_query_asks_nothing() -> None:
    assert queries_of_round(CRANE, domain(attributes=["flying"]), 2) == []


def test_attributes_of_the_natural_type_go_before_those_of_the_domain() -> None:
    rules = domain(attributes=["old"], type_attributes={"Q5113": ["in a nest"]}, per_entity=2)

    assert texts(queries_of_round(CRANE, rules, 0)) == ["crane", "in a nest crane"]


def test_attributes_of_the_entity_come_first() -> None:
    grey = replace(CRANE, attributes=("grey",))

    assert texts(queries_of_round(grey, domain(attributes=["old"], per_entity=2), 0)) == ["crane", "grey crane"]


def test_an_attribute_with_a_type_is_a_question_about_the_type() -> None:
    rules = domain(attributes=["flying"], kinds=["attribute-type"])

    (query,) = queries_of_round(CRANE, rules, 0)

    assert (query.text, query.entity_id, query.attribute) == ("flying bird", "Q5113", "flying")
    assert query == queries_of_round(replace(CRANE, id="Q1", label="owl"), rules, 0)[0]


def test_only_the_kinds_of_the_domain_are_asked() -> None:
    rules = domain(attributes=["flying"], kinds=["attribute-noun"])

    assert texts(queries_of_round(CRANE, rules, 0)) == ["flying crane"]


def test_synonyms_are_nouns_where_the_domain_wants_them() -> None:
    named = replace(CRANE, synonyms=(Synonym(text="common crane", lang="en", kind="common"),))

    assert texts(queries_of_round(named, domain(per_entity=5), 0)) == ["crane"]
    assert texts(queries_of_round(named, domain(per_entity=5, synonyms=1), 0)) == ["crane", "common crane"]


def test_a_name_of_no_language_is_asked_for_in_the_first_of_the_domain() -> None:
    assert queries_of_round(replace(CRANE, lang="mul"), domain(), 0)[0].lang == "en"


def test_nothing_is_asked_for_a_retired_entity() -> None:
    assert queries_of_round(replace(CRANE, retired=True), domain(), 0) == []


def test_budget_and_providers_come_from_the_domain() -> None:
    (query,) = queries_of_round(CRANE, domain(budget=7), 0)

    assert (query.budget, query.providers) == (7, ("demo",))


@given(st.text(min_size=1, max_size=20), st.booleans(), st.integers(0, 3))
def test_equal_entities_have_equal_queries_and_no_id_is_there_twice(label: str, ambiguous: bool, round_: int) -> None:
    entity = replace(CRANE, label=label, ambiguous=ambiguous)
    rules = domain(attributes=["flying", "young"], per_entity=3, rounds=3)

    found = queries_of_round(entity, rules, round_)

    assert found == queries_of_round(entity, rules, round_)
    assert len({query.id for query in found}) == len(found)


def test_a_sketch_is_asked_for_last_and_may_be_a_drawing() -> None:
    rules = domain(kinds=["noun", "sketch"], none_of=["drawing"], per_entity=5)

    queries = queries_of_round(CRANE, rules, 0)

    assert [(query.text, query.kind, query.none_of) for query in queries] == [
        ("crane", "noun", ("drawing",)),
        ("crane", "sketch", ()),
    ]
    assert len({query.id for query in queries}) == 2


def test_what_other_wanted_languages_call_it_is_asked_for_in_them() -> None:
    named = replace(CRANE, synonyms=(Synonym(text="Kranich", lang="de", kind="label"),))

    queries = queries_of_round(named, domain(per_entity=5), 0)

    assert [(query.text, query.lang) for query in queries] == [("crane", "en"), ("Kranich", "de")]


def test_only_popular_entities_are_asked_for_with_attributes() -> None:
    rules = domain(kinds=["noun", "attribute-noun"], attributes=["flying"], per_entity=5, attribute_min_sitelinks=50)

    assert texts(queries_of_round(replace(CRANE, sitelinks=50), rules, 0)) == ["crane", "flying crane"]
    assert texts(queries_of_round(replace(CRANE, sitelinks=49), rules, 0)) == ["crane"]
    assert texts(queries_of_round(CRANE, rules, 0)) == ["crane"]
