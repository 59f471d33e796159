"""What `benchmark replay` takes out: by all that is known now, in whatever order it became known."""

from entityflow.heldout import is_heldout
from services.index.answering import match_of
from services.index.replay import findings
from services.index.verdicts import Cuts
from tests.unit.test_index_guarded import FAR, HELD, SHARE, TRAINED, answers, benchmark_picture, flipped
from tests.unit.test_index_verdicts import fingerprint, hashes, image


def topic(log, cuts):
    answered = answers(log, cuts)
    return [match_of(seq, one, answer, SHARE) for seq, (one, answer) in enumerate(zip(log, answered, strict=True))]


def test_a_picture_that_came_before_the_benchmark_or_the_held_out_one_is_found_once():
    cuts = Cuts(SHARE)
    other = next(n for n in range(TRAINED + 1, 99) if not is_heldout(image(n), SHARE))
    log = [
        fingerprint(TRAINED, hashes(flipped(0, 8), FAR >> 32)),
        fingerprint(other, hashes(0x0F0F0F0F0F << 10, 0x3C3C << 30)),
        fingerprint(HELD, hashes(0, FAR)),
        benchmark_picture(hashes(0x0F0F0F0F0F << 10, 7)),
    ]

    found = list(findings(lambda: [*topic(log, cuts), *topic(log, cuts)], cuts))

    assert {(one.image_id, one.reason, one.name, one.distance) for one in found} == {
        (image(TRAINED), "near-heldout", "heldout", 8),
        (image(other), "benchmark", "birds", 0),
    }
    assert len(found) == 2
    assert all(one.amend().kind == "decontaminate" for one in found)


def test_held_out_pictures_do_not_drive_each_other_out():
    also_held = next(n for n in range(HELD + 1, 99) if is_heldout(image(n), SHARE))
    log = [fingerprint(HELD, hashes(0, FAR)), fingerprint(also_held, hashes(flipped(0, 8), FAR >> 32))]

    assert list(findings(lambda: topic(log, Cuts(0.0)), Cuts(SHARE))) == []
