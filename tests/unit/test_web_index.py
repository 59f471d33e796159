"""What the demo web's search finds, and in which order."""

from hypothesis import given
from hypothesis import strategies as st

from entityflow.embedded.web_index import WordIndex

DOCUMENTS = [
    ("Cat", "A drawing of a cat pet"),
    ("Lion", "A drawing of a lion cat"),
    ("Ship", "A drawing of a ship"),
    ("Sea lions", "A photograph of sea lions"),
    ("Cow", "A drawing of a cow"),
    ("Horse", "A drawing of a horse"),
]


def found(text: str, any_of: tuple[str, ...] = (), none_of: tuple[str, ...] = ()) -> list[str]:
    return [DOCUMENTS[number][0] for number in WordIndex(DOCUMENTS).search(text, any_of, none_of)]


def test_a_word_of_the_title_goes_before_the_same_word_elsewhere() -> None:
    assert found("cat")[0] == "Cat"


def test_a_word_can_mean_something_else_and_is_answered_all_the_same() -> None:
    assert found("sea lion") == ["Sea lions"]
    assert found("lion") == ["Lion", "Sea lions"]


def test_a_word_that_everything_has_does_not_bring_everything() -> None:
    assert "Ship" not in found("drawing of a cat")


def test_case_and_a_plural_make_no_difference() -> None:
    assert found("CATS") == found("cat")


def test_words_that_may_occur_change_the_order_but_bring_nothing_new() -> None:
    plain, helped = found("lion"), found("lion", any_of=("sea", "photograph", "ship"))

    assert plain != helped
    assert sorted(plain) == sorted(helped)


def test_words_that_must_not_occur_exclude() -> None:
    assert found("lion", none_of=("sea",)) == ["Lion"]


def test_an_unknown_word_finds_nothing() -> None:
    assert found("zebra") == []


@given(st.text(), st.lists(st.text()), st.lists(st.text()))
def test_any_text_is_answered_with_distinct_documents(text: str, any_of: list[str], none_of: list[str]) -> None:
    numbers = WordIndex(DOCUMENTS).search(text, any_of, none_of)

    assert len(numbers) == len(set(numbers))
    assert all(0 <= number < len(DOCUMENTS) for number in numbers)


def test_an_index_of_nothing_finds_nothing() -> None:
    assert WordIndex([]).search("cat") == []
