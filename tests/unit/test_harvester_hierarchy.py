"""What lies above an item."""

from hypothesis import given
from hypothesis import strategies as st

from services.entity_harvester.hierarchy import Edges, depths, natural_type

DEEPEST = 40


def edges(*pairs: tuple[str, str], types: tuple[tuple[str, str], ...] = ()) -> Edges:
    found = Edges()
    for item, parent in pairs:
        found.add(item, parent, is_type=False)
    for item, parent in types:
        found.add(item, parent, is_type=True)
    return found


def test_the_depth_of_an_ancestor_is_the_shortest_way_to_it() -> None:
    graph = edges(("Q1", "Q2"), ("Q2", "Q3"), ("Q1", "Q3"), ("Q3", "Q4"))

    assert depths("Q1", graph, DEEPEST) == {"Q2": 1, "Q3": 1, "Q4": 2}


def test_a_cycle_ends_and_nothing_is_its_own_ancestor() -> None:
    graph = edges(("Q1", "Q2"), ("Q2", "Q3"), ("Q3", "Q1"), ("Q4", "Q1"))

    assert depths("Q4", graph, DEEPEST) == {"Q1": 1, "Q2": 2, "Q3": 3}
    assert depths("Q1", graph, DEEPEST) == {"Q2": 1, "Q3": 2}


def test_an_item_above_itself_has_no_ancestor() -> None:
    assert depths("Q1", edges(("Q1", "Q1")), DEEPEST) == {}


def test_instance_of_is_followed_at_the_bottom_only() -> None:
    graph = edges(("Q2", "Q3"), types=(("Q1", "Q2"), ("Q2", "Q9")))

    assert depths("Q1", graph, DEEPEST) == {"Q2": 1, "Q3": 2}


def test_ancestors_further_up_than_the_limit_are_left_out() -> None:
    graph = edges(("Q1", "Q2"), ("Q2", "Q3"), ("Q3", "Q4"))

    assert depths("Q1", graph, 2) == {"Q2": 1, "Q3": 2}


names = st.integers(1, 6).map(lambda number: f"Q{number}")


@given(st.lists(st.tuples(names, names), max_size=20), names)
def test_every_graph_comes_to_an_end(pairs: list[tuple[str, str]], item: str) -> None:
    found = depths(item, edges(*pairs), DEEPEST)

    assert item not in found
    assert all(1 <= depth <= 5 for depth in found.values())


def test_the_natural_type_is_the_nearest_listed_ancestor() -> None:
    above = {"Q2": 1, "Q3": 2, "Q4": 3}

    assert natural_type("Q1", above, ["Q4", "Q3"], ["Q9"]) == "Q3"


def test_at_equal_distance_the_first_listed_type_counts() -> None:
    assert natural_type("Q1", {"Q2": 1, "Q3": 1}, ["Q3", "Q2"], []) == "Q3"


def test_a_type_itself_is_of_its_own_type() -> None:
    assert natural_type("Q2", {"Q9": 1}, ["Q2"], ["Q9"]) == "Q2"


def test_without_a_listed_ancestor_the_nearest_root_is_the_type() -> None:
    assert natural_type("Q1", {"Q2": 1, "Q9": 2}, ["Q4"], ["Q9"]) == "Q9"
