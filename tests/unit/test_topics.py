import pytest

from entityflow.guards import cycles
from entityflow.stage.guard import guarding
from entityflow.topics import load_topics, murmur2, partition_of, topics_of


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


def topic(writer: str, group: str, guards: list[str], line: str = "main") -> dict[str, object]:
    return {
        "key": "none",
        "records": ["Url"],
        "partitions": 1,
        "small": 1,
        "cleanup": "delete",
        "max_message_bytes": 1000,
        "writers": [writer],
        "groups": {group: {"line": line, "guards": guards}},
        "dead_letters": 0,
    }


def test_topics_whose_guards_form_a_cycle_are_refused_by_name():
    document = {"topics": {"up": topic("a", "b", ["a"]), "down": topic("b", "a", ["b"])}}

    with pytest.raises(ValueError, match="cycle: a, b would wait"):
        topics_of(document)


def test_a_guard_of_a_service_that_does_not_write_the_topic_is_refused():
    with pytest.raises(ValueError, match="b on up guards c, which does not write there"):
        topics_of({"topics": {"up": topic("a", "b", ["c"])}})


def test_a_side_group_that_guards_is_refused():
    with pytest.raises(ValueError, match="b on up is on the side line"):
        topics_of({"topics": {"up": topic("a", "b", ["a"], line="side")}})


def test_a_cycle_of_guards_would_be_found():
    assert cycles([("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]) == ["a", "b", "c"]


def test_the_fetcher_waits_for_the_filter():
    assert [(topic.name, group.name) for topic, group in guarding("fetcher")] == [("image", "filter")]
