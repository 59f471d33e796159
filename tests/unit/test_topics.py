import pytest

from entityflow.stage.guard import cycles, guarding
from entityflow.topics import load_topics, murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536), ("abc", 479470107)],
)
def test_the_hash_is_that_of_kafkas_own_clients(key, expected):
    assert murmur2(key.encode()) == expected % 2**32


def test_a_partition_is_within_the_count():
    assert {partition_of(str(n).encode(), 4) for n in range(100)} == {0, 1, 2, 3}


def test_match_has_the_partitions_of_image_and_the_tables_of_the_fetcher_those_of_url():
    topics = load_topics()

    for small in (False, True):
        assert topics["match"].count(small) == topics["image"].count(small)
        assert topics["host"].count(small) == topics["address"].count(small) == topics["url"].count(small)


def test_guards_name_no_cycle():
    topics = load_topics().values()
    edges = [(writer, group.name) for topic in topics for group in topic.groups for writer in group.guards]

    assert cycles(edges) == []


def test_a_cycle_of_guards_would_be_found():
    assert cycles([("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]) == ["a", "b", "c"]


def test_side_groups_never_guard():
    assert all(group.line == "main" for topic in load_topics().values() for group in topic.groups if group.guards)


def test_the_fetcher_waits_for_the_filter():
    assert [(topic.name, group.name) for topic, group in guarding("fetcher")] == [("image", "filter")]
