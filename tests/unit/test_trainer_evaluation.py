"""What a model is judged by: tables, cohorts over time, the gate, the guard set."""

import json
from pathlib import Path

import pytest
import torch

from entityflow.errors import UserError
from services.trainer.breakdown import break_down, frequency_buckets
from services.trainer.cohorts import MAX_COHORTS, MAX_ROWS, Cohorts
from services.trainer.evaluation import Evaluation
from services.trainer.gate import bootstrap, judge
from services.trainer.guard import open_guard
from services.trainer.heldout import HeldOut
from services.trainer.knowledge import EntityTexts, Knowledge
from services.trainer.registry import Published
from services.trainer.zero_shot import text_ranks
from tests.trainer_shards import COLOURS, jpeg, write_tar

CHAMPION = Published("clip", "00000001-aaaaaaaa", {"accuracy": 0.5}, True, "", 0.0)


def answers(right: int, wrong: int) -> Evaluation:
    return Evaluation({"accuracy": right / (right + wrong), "chance": 0.1}, types=(True,) * right + (False,) * wrong)


# --- the gate ---


def test_a_model_that_is_a_little_worse_takes_the_place_and_one_that_is_surely_worse_does_not() -> None:
    champion = answers(120, 80)

    little, surely = answers(118, 82), answers(90, 110)

    assert judge(little, champion, (), (), CHAMPION).promoted
    kept = judge(surely, champion, (), (), CHAMPION)
    assert (kept.promoted, kept.alert) == (False, True)
    assert "0.450 against 0.600" in kept.why
    assert CHAMPION.version in kept.why


def test_few_pictures_never_keep_a_model_back_and_equal_answers_have_no_difference() -> None:
    assert judge(answers(2, 2), answers(3, 1), (), (), CHAMPION).promoted
    assert bootstrap([0] * 50) == (0.0, 0.0)


def test_a_model_that_lost_what_the_guard_set_holds_is_kept_back_with_an_alert_however_good_it_is() -> None:
    verdict = judge(answers(190, 10), answers(100, 100), (False,) * 60, (True,) * 60, CHAMPION)

    assert (verdict.promoted, verdict.alert) == (False, True)
    assert "guard set" in verdict.why


@pytest.mark.parametrize(("high", "promoted"), [(0.45, False), (0.55, True)])
def test_a_champion_that_cannot_be_run_any_more_is_compared_by_its_figures(high: float, promoted: bool) -> None:
    now = Evaluation({"accuracy": 0.4, "accuracy_low": 0.3, "accuracy_high": high, "chance": 0.1})

    assert judge(now, None, (), (), CHAMPION).promoted is promoted


def test_the_first_model_is_promoted() -> None:
    assert judge(answers(1, 9), None, (), (), None).promoted


# --- cohorts ---


def test_forgetting_and_transfer_are_read_off_the_rows() -> None:
    cohorts = Cohorts().add(10, 0, [(0, True)] * 9 + [(0, False)])
    cohorts = cohorts.add(10, 1, [(1, True)] + [(1, False)] * 3, before=True)
    cohorts = cohorts.add(20, 1, [(0, True)] * 6 + [(0, False)] * 4 + [(1, True)] * 10)

    metrics = cohorts.metrics(chance=0.05)

    assert metrics["forgetting"] == pytest.approx(0.3)
    assert metrics["backward_transfer"] == pytest.approx(-0.3)
    assert metrics["forward_transfer"] == pytest.approx(0.2)
    assert cohorts.matrix()["rows"][2]["accuracy"] == [0.6, 1.0]


@pytest.mark.parametrize("groups", [1, 16, 17, 150])
def test_however_many_groups_come_cohorts_and_rows_are_bounded_and_no_picture_is_lost(groups: int) -> None:
    cohorts = Cohorts()

    for group in range(groups):
        cohorts = cohorts.add(group, group, [(earlier, True) for earlier in range(group + 1)])

    last = cohorts.rows[-1]
    assert len(last.cells) <= MAX_COHORTS
    assert len(cohorts.rows) <= MAX_ROWS
    assert sum(count for _, count in last.cells.values()) == groups
    assert Cohorts.from_plain(json.loads(json.dumps(cohorts.to_plain()))) == cohorts


# --- tables ---


def test_tables_count_by_entity_type_frequency_and_branch() -> None:
    lion = EntityTexts("lion", ("lion",), "mammal", ("Felidae", "Animalia"))
    oak = EntityTexts("oak", ("oak",), "tree", ("Quercus", "Plantae"))
    fern = EntityTexts("fern", ("fern",))
    known = Knowledge("v", {"Q1": lion, "Q2": oak, "Q3": fern})
    samples = tuple(HeldOut(f"k{n}", b"", (), (f"Q{1 + n % 3}",)) for n in range(6))
    found = Evaluation({}, samples, types=(True, False, None) * 2, entities=(True, False, True, False, False, True))

    tables = break_down(found, known, {"Q1": 100, "Q2": 10, "Q3": 1})

    assert tables["entity"]["lion"] == {"pictures": 2, "accuracy": 0.5}
    assert tables["natural_type"] == {
        "mammal": {"pictures": 2, "accuracy": 1.0},
        "tree": {"pictures": 2, "accuracy": 0.0},
    }
    assert {row: cell["accuracy"] for row, cell in tables["bucket"].items()} == {
        "head": 0.5,
        "middle": 0.0,
        "tail": 1.0,
    }
    assert set(tables["branch"]) == {"Animalia", "Plantae"}


def test_buckets_are_thirds_of_the_entities_the_most_trained_first() -> None:
    assert frequency_buckets({"a": 1, "b": 9, "c": 5}) == {"b": "head", "c": "middle", "a": "tail"}


def test_an_equal_text_of_another_picture_counts_as_its_own() -> None:
    pictures = torch.eye(3)
    texts = torch.eye(3)[[1, 0, 2]]

    assert text_ranks(pictures, texts, ["a", "a", "b"]) == [0, 0, 0]
    assert text_ranks(pictures, texts, ["a", "c", "b"]) == [1, 1, 0]


# --- the guard set ---


def test_a_folder_a_class_and_clip_benchmarks_layout_give_the_same_pictures(tmp_path: Path) -> None:
    folder, dataset = tmp_path / "folder", tmp_path / "dataset"
    members = []
    for number, name in enumerate(("blue", "red")):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").write_bytes(jpeg(COLOURS[name]))
        members += [(f"s{number}.cls", str(number).encode()), (f"s{number}.jpg", jpeg(COLOURS[name]))]
    (folder / "red" / "broken.jpg").write_bytes(b"no picture")
    write_tar(dataset / "test/0.tar", members)
    (dataset / "classnames.txt").write_text("blue\nred\n")
    (dataset / "zeroshot_classification_templates.txt").write_text("a photo of a {c} thing\n")

    of_folder, of_dataset = open_guard(folder), open_guard(dataset)

    assert of_folder.classes == of_dataset.classes == ("blue", "red")
    assert [item.label for item in of_folder.pictures()] == [item.label for item in of_dataset.pictures()] == [0, 1]
    assert of_dataset.templates[0]("red") == "a photo of a red thing"


def test_a_folder_that_is_no_guard_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="classnames"):
        open_guard(tmp_path)
