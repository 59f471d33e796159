"""A benchmark that is added while the line runs: its pictures stay out from then on, and earlier ones leave."""

from PIL import Image as Picture
from PIL import ImageDraw

from entityflow.records import Amend, Outcome
from entityflow.settings import Settings
from tests.integration.command import json_of, run_command
from tests.integration.filter_line import accepted, image, outcomes, publish, records, running
from tests.unit.test_fingerprints_copies import photo, resized
from tests.waiting import eventually


def written_upon(picture: Picture.Image) -> Picture.Image:
    """Further off than a copy, and yet the same picture."""
    copy = picture.copy()
    ImageDraw.Draw(copy).rectangle((0, copy.height * 93 // 100, copy.width, copy.height), fill="black")
    return copy


def result_of(settings: Settings, number: int) -> set[str]:
    return next((found for candidate, found in outcomes(settings).items() if candidate == name_of(number)), set())


def name_of(number: int) -> str:
    return image(None, number, original=b"x").candidate.candidate_id


def test_a_benchmark_that_is_added_keeps_later_pictures_out_and_finds_earlier_ones(settings, tmp_path):
    pictures = [photo(seed) for seed in range(6)]
    folder = tmp_path / "birds"
    (folder / "test").mkdir(parents=True)
    for number in (0, 1, 2):
        pictures[number].save(folder / "test" / f"{number}.png")
    Picture.new("RGB", (200, 200), "white").save(folder / "blank.png")
    (folder / "broken.jpg").write_bytes(b"no picture")

    with running(settings, "filter", "index"):
        publish(settings, [image(pictures[0], 1), image(pictures[4], 2)])
        eventually(lambda: len(accepted(settings)) == 2)

        added = json_of(settings, "benchmark", "add", "birds", str(folder))["benchmark"]
        again = json_of(settings, "benchmark", "add", "birds", str(folder))["benchmark"]
        tried = json_of(settings, "benchmark", "replay", "--dry-run")
        publish(
            settings, [image(resized(pictures[2], 0.7), 3), image(written_upon(pictures[1]), 4), image(pictures[5], 5)]
        )
        eventually(lambda: all(result_of(settings, number) for number in (3, 4, 5)))
        replayed = json_of(settings, "benchmark", "replay")
        repeated = json_of(settings, "benchmark", "replay")

    assert (added["version"], added["pictures"], added["plain"], added["unreadable"]) == (1, 3, 1, 1)
    assert again == added
    assert json_of(settings, "benchmark", "list")["benchmarks"] == [added]
    assert [result_of(settings, number) for number in (3, 4, 5)] == [{"benchmark"}, {"benchmark"}, {"accepted"}]
    last = next(pair for pair in accepted(settings) if pair.sources[0].candidate_id == name_of(5))
    assert (last.benchmark.index_version, last.benchmark.name, last.benchmark.distance) == (1, "", 64)
    first = image(pictures[0], 1).image_id
    assert tried["found"] == tried["new"] == 1
    assert [one["image_id"] for one in tried["samples"]] == [first]
    assert replayed["new"] == 1
    assert repeated["new"] == 0
    amends = [one for one in records(settings, "amend", Amend) if one.kind == "decontaminate"]
    assert [(one.image_id, one.reason, one.distance) for one in amends] == [(first, "benchmark", 0)]
    assert {one.result for one in records(settings, "outcome", Outcome)} == {"accepted", "benchmark"}


def test_what_cannot_be_added_is_one_clear_line(settings, tmp_path):
    empty = run_command(settings, "benchmark", "add", "birds", str(tmp_path))
    missing = run_command(settings, "benchmark", "add", "birds", str(tmp_path / "nowhere"))
    unnamed = run_command(settings, "benchmark", "add", "heldout", str(tmp_path))

    assert [ran.returncode for ran in (empty, missing, unnamed)] == [1, 1, 2]
    assert "no picture that can be compared" in empty.stderr
    assert "does not exist" in missing.stderr
    assert "'heldout'" in unnamed.stderr
    assert all("Traceback" not in ran.stderr for ran in (empty, missing, unnamed))


def test_a_replay_waits_for_the_index_and_says_when_it_does_not_come(settings, tmp_path):
    photo(1).save(tmp_path / "1.png")
    json_of(settings, "benchmark", "add", "birds", str(tmp_path))

    ran = run_command(settings, "benchmark", "replay", "--timeout", "0")

    assert ran.returncode == 1
    assert "the index has 1 fingerprints left" in ran.stderr
