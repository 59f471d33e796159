import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.filter.languages import language_of
from services.filter.text_rules import TextLimits, judge_text, name_key, text_rules

LIMITS = TextLimits()
ENGLISH = TextLimits(languages=("en",))


def reason(text, limits=LIMITS, names=()):
    return judge_text(text, text_rules(limits), limits, names).reason


@pytest.mark.parametrize(
    "text",
    [
        "owl",
        "Ursus arctos",
        "A cat on a mat.jpg",
        "猫",
        "ニホンザル",
        "null",
        "Lake 7",
        "P-51 Mustang",
        "logo of a fox",
        "🦊 fox",
    ],
)
def test_short_and_odd_captions_are_kept(text):
    assert reason(text) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty-text"),
        ("\u200b \ufeff", "empty-text"),
        ("x" * 3 + " owl" * 300, "long-text"),
        ("1984 - 12/07", "no-letters"),
        ("🦊🦊", "no-letters"),
        ("ab", "short-text"),
        ("IMG_1234.JPG", "file-name"),
        ("DSC01234", "file-name"),
        ("cute-cat_03.webp", "file-name"),
        ("Screenshot 2026-01-02 aaaa"[:21], "file-name"),
        ("9f86d081884c7d659a2f", "file-name"),
        ("https://shop.example/cat", "web-address"),
        ("me@example.org", "web-address"),
        ("No image available", "placeholder-text"),
        ("Logo", "placeholder-text"),
        ("buy cat buy buy buy buy buy now buy", "repeated-words"),
        ("meow" + "w" * 20, "repeated-characters"),
    ],
)
def test_each_rule_names_its_reason(text, word):
    assert reason(text) == word


def test_a_name_of_the_entity_is_a_caption_whatever_its_form():
    assert reason("OX", names={name_key("Ox")}) is None
    assert reason("Icon", names={name_key("icon")}) is None
    assert reason("", names={""}) == "empty-text"


@pytest.mark.parametrize(
    "text",
    [
        "MY DOG IS A GOOD BOY",
        "a kingfisher\nwith a fish\nin its beak",
        "Taraxacum officinale",
        "Ambrosia artemisiifolia L. var. elatior (L.) Descourt. folium, radix, herba",
        "Strix aluco",
    ],
)
def test_a_language_guess_is_no_reason_for_short_upper_case_and_scientific_texts(text):
    assert reason(text, ENGLISH) is None


def test_a_long_text_in_another_language_is_foreign_only_where_languages_are_wanted():
    text = "Der Uhu sitzt am Abend auf einem alten Baum und wartet geduldig auf seine Beute"

    assert reason(text, ENGLISH) == "foreign-language"
    assert reason(text, LIMITS) is None
    assert reason(text, ENGLISH, names={name_key(text)}) is None


def test_the_language_is_stored_where_it_is_likely():
    assert language_of("an owl is sitting on a branch in the snow").code == "en"
    assert language_of("AN OWL IS SITTING ON A BRANCH\nIN THE SNOW").code == "en"
    assert language_of("owl") is None


def test_every_score_up_to_the_reason_is_kept():
    verdict = judge_text("1984", text_rules(LIMITS), LIMITS)

    assert verdict.scores == {"empty-text": 4, "long-text": 4, "no-letters": 0}


@given(st.text(alphabet=st.characters(codec=None), max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_gets_a_verdict(text):
    verdict = judge_text(text, text_rules(ENGLISH), ENGLISH)

    assert verdict.reason is None or verdict.reason in verdict.scores or verdict.reason == "foreign-language"
