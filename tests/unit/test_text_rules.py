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
        "Red fox in snow - Stock Photo",
        "Oak chair, $49.99, made by hand in Vermont",
        "Boeing 747-400 landing at Frankfurt, 3 May 2019",
        "Canon EOS 5D on a wooden table",
        "the cookie jar",
        "I <3 foxes",
        "book cover, ISBN 978-3-16-148410-0",
        "avatar, the film",
        "Blank map of Europe",
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
        ("1984 - 12/07-9", "no-letters"),
        ("🦊🦊", "no-letters"),
        ("ab", "short-text"),
        ("IMG_1234.JPG", "file-name"),
        ("DSC01234", "file-name"),
        ("cute-cat_03.webp", "file-name"),
        ("Screenshot 2026-01-02 aaaa"[:21], "file-name"),
        ("9f86d081884c7d659a2f", "file-name"),
        ("File:Heron (Ardea) 07.jpg", "file-name"),
        ("heron_by_the_lake", "file-name"),
        ("aB3dE5gH7jK9mN1pQ", "file-name"),
        ("ref 117730912", "mostly-digits"),
        ("Photo by jane.roe@example.com", "personal-data"),
        ("Call +49 30 1234567 for prints", "personal-data"),
        ("camera at 192.168.1.10", "personal-data"),
        ("Royalty free stock vector", "stock-text"),
        ("<b>heron</b> at dusk", "html-residue"),
        ('href="/heron" heron', "html-residue"),
        ("Sale price $19.99 - buy now", "price"),
        ("EUR 12,50", "price"),
        ("Posted on March 3, 2020", "date"),
        ("2019-03-04 12:33", "date"),
        ("We use cookies to improve your visit", "consent-text"),
        ("NIKON D850", "camera-text"),
        ("OLYMPUS DIGITAL CAMERA", "camera-text"),
        ("Processed with VSCO with c1 preset", "camera-text"),
        ("Click to enlarge image", "placeholder-text"),
        ("Photo #3", "placeholder-text"),
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


def test_every_rule_leaves_its_score_whatever_the_first_reason_is():
    rules = text_rules(LIMITS)

    verdict = judge_text("1984", rules, LIMITS)

    assert verdict.reason == "no-letters"
    assert list(verdict.scores) == [rule.reason for rule in rules]
    assert verdict.scores["mostly-digits"] == 1


def test_a_text_that_is_too_long_is_measured_no_further():
    assert list(judge_text("owl " * 500, text_rules(LIMITS), LIMITS).scores) == ["empty-text", "long-text"]


def test_a_domain_may_move_the_threshold_of_any_rule():
    limits = TextLimits(thresholds={"mostly-digits": 1.0, "no-letters": 0.1, "price": 0.1})

    assert reason("B52 17", limits) is None
    assert reason("Oak chair, made by hand in Vermont, $49.99", limits) == "price"


@pytest.mark.parametrize("text", ["Ursus arctos", "Bubo bubo (Linnaeus, 1758)", "Panthera leo persica"])
def test_the_name_of_a_species_is_never_too_short(text):
    assert reason(text, TextLimits(min_characters=60)) is None
    assert reason("a brown bear", TextLimits(min_characters=60)) == "short-text"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 480,
        "a_" * 240,
        "1." * 240,
        "$1.1 " * 100,
        "<a " * 160,
        "x@" * 240,
        "Aaa aaa " * 60,
        "canon " * 80,
        "{{" * 240,
    ],
)
def test_a_hostile_text_is_judged_like_another(text):
    assert len(judge_text(text, text_rules(LIMITS), LIMITS).scores) >= 17


@given(st.text(alphabet=st.characters(codec=None), max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_gets_a_verdict(text):
    verdict = judge_text(text, text_rules(ENGLISH), ENGLISH)

    assert verdict.reason is None or verdict.reason in verdict.scores or verdict.reason == "foreign-language"
