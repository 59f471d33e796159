"""Which names of an item are words for people."""

from services.entity_harvester.answers import Term
from services.entity_harvester.labels import best_label, other_labels, synonyms


def test_the_first_wanted_language_wins() -> None:
    labels = [Term("Eule", "de"), Term("owl", "en"), Term("Strix", "mul")]

    assert best_label("Q1", labels, ["en", "de"]) == Term("owl", "en")
    assert best_label("Q1", labels, ["de", "en"]) == Term("Eule", "de")


def test_a_label_for_most_languages_is_used_where_the_wanted_ones_are_missing() -> None:
    assert best_label("Q1", [Term("Strix", "mul"), Term("hibou", "fr")], ["en"]) == Term("Strix", "mul")


def test_any_language_is_better_than_none() -> None:
    assert best_label("Q1", [Term("hibou", "fr"), Term("Eule", "de")], ["en"]) == Term("Eule", "de")


def test_the_echo_of_the_identifier_is_no_label() -> None:
    assert best_label("Q10", [Term("Q10", ""), Term("Q10", "en")], ["en"]) is None


def test_a_thing_that_is_called_like_an_identifier_keeps_its_name() -> None:
    assert best_label("Q321285", [Term("Q10", "en")], ["en"]) == Term("Q10", "en")


def test_a_blank_label_is_no_label() -> None:
    assert best_label("Q1", [Term(" \u200b\t", "en"), Term("Strix", "mul")], ["en"]) == Term("Strix", "mul")


def test_a_label_comes_on_one_line() -> None:
    assert best_label("Q1", [Term(" snowy\n owl\x00", "en")], ["en"]) == Term("snowy owl", "en")


def test_a_synonym_is_given_once_whatever_its_case_and_not_when_it_is_the_label() -> None:
    named = [
        ("alias", Term("Snowy Owl", "en")),
        ("alias", Term("white owl", "en")),
        ("common", Term("White owl", "en")),
    ]

    found = synonyms("snowy owl", named, 8)

    assert [(one.text, one.kind) for one in found] == [("White owl", "common")]


def test_a_taxon_name_is_latin() -> None:
    (found,) = synonyms("snowy owl", [("taxon", Term("Bubo scandiacus", ""))], 8)

    assert (found.text, found.lang, found.kind) == ("Bubo scandiacus", "la", "taxon")


def test_labels_in_other_wanted_languages_are_names_of_their_own() -> None:
    labels = [Term("owl", "en"), Term("Eule", "de"), Term("Owl", "fr"), Term("hibou", "it"), Term(" ", "nl")]

    found = other_labels("Q1", labels, ["en", "de", "fr", "nl"], "owl")

    assert found == [("label", Term("Eule", "de"))]
