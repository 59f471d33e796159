"""Several filters, two indexes, kills and rebalances: every verdict is the one that the log of fingerprints fixes."""

from entityflow.records import Fingerprint
from entityflow.settings import Settings
from services.index.verdicts import Cuts, Judge, Registered
from tests.integration.filter_line import (
    Service,
    accepted,
    fingerprints,
    image,
    matches,
    merges,
    outcomes,
    publish,
    running,
)
from tests.unit.test_fingerprints_copies import photo, resized
from tests.unit.test_index_verdicts import MemoryState
from tests.waiting import eventually

PICTURES, COPIES = 16, 8
CUTS = Cuts(heldout_share=0.002)


def fixed_by(log: list[Fingerprint]) -> dict[str, str]:
    """image_id -> canonical_id, by the pure judge over the whole log."""
    answers, _ = Judge(MemoryState(), 256, CUTS).judge(list(enumerate(log)))  # type: ignore[no-untyped-call]
    return {one.image_id: one.canonical_id for one in answers if isinstance(one, Registered)}


def test_any_number_of_filters_and_a_standby_index_give_the_verdicts_of_the_log(settings: Settings) -> None:
    pictures = [photo(seed) for seed in range(PICTURES)]  # type: ignore[no-untyped-call]
    images = [image(picture, n, alt=f"view {n} of the hills") for n, picture in enumerate(pictures)]
    images += [image(resized(pictures[n], 0.6), 100 + n, alt=f"hills, copy {n}") for n in range(COPIES)]  # type: ignore[no-untyped-call]
    images += [image(pictures[n], 200 + n, alt=f"the same hills {n}") for n in range(COPIES)]
    elsewhere = settings.model_copy(update={"state_dir": settings.state_dir / "standby"})
    with running(settings, "index", "filter", "filter", "filter") as (index, first, second, _):
        standby = Service("index", elsewhere)
        try:
            publish(settings, images[::2])
            eventually(lambda: len(accepted(settings)) >= 3)
            index.kill()
            first.kill()
            publish(settings, images[1::2])
            first.start()
            eventually(lambda: len(outcomes(settings)) > len(images) // 2)
            second.stop()

            eventually(lambda: len(outcomes(settings)) == len(images))
        finally:
            standby.kill()

    verdicts = fixed_by(fingerprints(settings))
    assert {one.image_id: one.canonical_id for one in matches(settings).values()} == verdicts
    assert {pair.image_id for pair in accepted(settings)} == {
        one for one, canonical in verdicts.items() if one == canonical
    }
    assert len(set(verdicts.values())) == PICTURES
    kept = {text.text for record in (*accepted(settings), *merges(settings)) for text in record.texts}
    assert kept == {one.candidate.alt_text for one in images}
    assert all(amend.image_id == verdicts[amend.duplicate_image_id or amend.image_id] for amend in merges(settings))
