"""Texts from the web and from the knowledge graph."""

from collections import Counter

from services.trainer.intervals import wilson
from services.trainer.knowledge import NOTHING, EntityTexts, Knowledge
from services.trainer.randomness import uniforms
from services.trainer.samples import Sample
from services.trainer.texts import NUMBERS, choose_text

LION = EntityTexts("lion", ("lion", "Panthera leo"), "mammal", ("Felidae", "Carnivora"), "large cat of Africa")
KNOWN = Knowledge("v", {"Q140": LION})


def texts(sample: Sample, knowledge: Knowledge, web_share: float, draws: int = 4000) -> Counter[str]:
    return Counter(choose_text(sample, knowledge, web_share, uniforms(NUMBERS, "text", n)) for n in range(draws))


def test_half_of_the_texts_are_the_webs() -> None:
    found = texts(Sample("k", texts=["Simba at noon", "my trip"], entities=["Q140"]), KNOWN, 0.5)

    web = found["Simba at noon"] + found["my trip"]
    assert 0.46 < web / found.total() < 0.54
    assert found["my trip"] > 800


def test_knowledge_texts_are_names_with_and_without_type_then_what_is_above_and_the_definition() -> None:
    found = texts(Sample("k", entities=["Q140"]), KNOWN, 0.5)

    assert set(found) == {"lion", "Panthera leo", "lion, mammal", "Panthera leo, mammal", "mammal", "Felidae",
                          "Carnivora", "large cat of Africa"}  # fmt: skip
    assert 0.55 < sum(n for text, n in found.items() if "lion" in text or "leo" in text) / found.total() < 0.65
    assert 0.16 < found["mammal"] / found.total() < 0.26


def test_without_knowledge_all_texts_are_the_webs() -> None:
    found = texts(Sample("k", texts=["a"], entities=["Q140"]), NOTHING, 0.5, draws=50)

    assert set(found) == {"a"}


def test_an_entity_with_a_label_only_has_one_text() -> None:
    bare = Knowledge("v", {"Q1": EntityTexts("thing", ("thing",))})

    assert set(texts(Sample("k", entities=["Q1"]), bare, 0.5, draws=200)) == {"thing"}


def test_the_interval_holds_the_share_and_narrows_with_the_count() -> None:
    low, high = wilson(30, 100)
    lower, higher = wilson(3, 10)

    assert lower < low < 0.3 < high < higher
    assert wilson(0, 20)[0] == 0.0
    assert round(low, 3) == 0.219
    assert round(high, 3) == 0.396
