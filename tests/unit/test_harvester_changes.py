"""What a pass found that the last one did not."""

from dataclasses import replace

import pytest

from entityflow.errors import UserError
from entityflow.records import Entity
from services.entity_harvester.changes import after, compare

SHARE = 0.2


def entities(count: int) -> list[Entity]:
    return [Entity(id=f"Q{number}", label=f"bird {number}", lang="en") for number in range(1, count + 1)]


def known(found: list[Entity]) -> dict[str, Entity]:
    return {entity.id: entity for entity in found}


def test_the_first_pass_writes_everything_in_its_order() -> None:
    found = entities(3)

    assert compare({}, found, SHARE).all == found


def test_the_same_pass_again_writes_nothing() -> None:
    found = entities(3)

    assert compare(known(found), found, SHARE).all == []


def test_a_changed_entity_is_written_again() -> None:
    before = entities(3)
    renamed = replace(before[1], label="owl")

    changes = compare(known(before), [before[0], renamed, before[2]], SHARE)

    assert changes.all == [renamed]


def test_a_vanished_entity_is_retired_once() -> None:
    before = entities(10)

    changes = compare(known(before), before[:-1], SHARE)
    again = compare(known(after(known(before), before[:-1], changes)), before[:-1], SHARE)

    assert [(entity.id, entity.retired) for entity in changes.all] == [("Q10", True)]
    assert again.all == []


def test_a_retired_entity_that_comes_back_is_written() -> None:
    back = entities(1)[0]

    assert compare({back.id: replace(back, retired=True)}, [back], SHARE).changed == [back]


def test_a_pass_without_anything_is_not_believed() -> None:
    with pytest.raises(UserError, match=r"40 of 40 known entities have vanished \(100%\), the limit is 20%"):
        compare(known(entities(40)), [], SHARE)


def test_a_pass_that_misses_more_than_the_limit_is_not_believed() -> None:
    before = entities(40)

    assert len(compare(known(before), before[:32], SHARE).retired) == 8
    with pytest.raises(UserError, match="nothing was written"):
        compare(known(before), before[:31], SHARE)


def test_a_new_revision_that_says_the_same_is_no_change() -> None:
    (before,) = entities(1)

    assert compare(known([replace(before, revision="1")]), [replace(before, revision="2")], SHARE).all == []
