"""Filter and index as real processes on a real broker: killed in the middle, they accept what they would have."""

from collections import Counter

from PIL import Image as Picture

from entityflow.admin import Admin
from entityflow.ids import image_id
from tests.integration.filter_line import (
    accepted,
    asked_again,
    fingerprints,
    image,
    matches,
    merges,
    outcomes,
    publish,
    running,
)
from tests.integration.filter_line import (
    stored as jpeg,
)
from tests.unit.test_fingerprints_copies import photo, resized
from tests.waiting import eventually

PICTURES, COPIES, REPEATS = 40, 8, 8


def log():
    """(images, group of each image_id): unlike pictures, copies, repeats, blanks, bad texts and sightings."""
    pictures = [photo(seed) for seed in range(PICTURES)]
    images = [image(picture, number) for number, picture in enumerate(pictures)]
    images += [image(resized(pictures[n], 0.6), 100 + n) for n in range(COPIES)]
    group = {
        one.image_id: number % 100
        for number, one in zip([*range(PICTURES), *range(100, 100 + COPIES)], images, strict=True)
    }
    images += [image(pictures[n], 200 + n) for n in range(REPEATS)]
    images += [image(Picture.new("RGB", (300, 200), (n, 0, 0)), 300 + n) for n in range(3)]
    images += [image(photo(900 + n), 400 + n, alt="IMG_0001.jpg") for n in range(3)]
    images += [image(None, 500 + n, original=jpeg(pictures[PICTURES - 1 - n])) for n in range(3)]
    images += [image(None, 600, original=b"never seen")]
    return images, group


def all_ended(settings, count):
    """Every candidate has an outcome, or its address went back to be fetched again."""
    return len(outcomes(settings).keys() | {url.candidate_id for url in asked_again(settings)}) == count


def accepted_groups(settings, group):
    return Counter(group[one] for one in {pair.image_id for pair in accepted(settings)})


def test_killed_in_the_middle_they_accept_the_same_pictures_as_undisturbed(settings):
    images, group = log()
    with running(settings, "filter", "index") as services:
        publish(settings, images[::2])
        eventually(lambda: len(accepted(settings)) >= 3)
        for service in services:
            service.kill()
        publish(settings, images[1::2])
        for service in reversed(services):
            service.start()
        eventually(lambda: len(accepted(settings)) >= PICTURES // 2)
        for service in services:
            service.kill()
            service.start()

        eventually(lambda: all_ended(settings, len(images)))

        assert [service.stop() for service in services] == [0, 0]

    assert accepted_groups(settings, group) == Counter(range(PICTURES))
    ended = outcomes(settings)
    by_number = {one.candidate.candidate_id: int(one.candidate.url_id, 16) for one in images}
    results = {by_number[candidate]: found for candidate, found in ended.items()}
    assert all(results[n] == {"blank"} for n in range(300, 303))
    assert all(results[n] == {"file-name"} for n in range(400, 403))
    assert all(results[n] <= {"accepted", "merged"} for n in results if n < 300)
    assert {url.refetch for url in asked_again(settings)} == {True}
    assert {amend.kind for amend in merges(settings)} == {"merge"}
    canonicals = {pair.image_id for pair in accepted(settings)}
    assert {amend.image_id for amend in merges(settings)} <= canonicals


def test_the_index_rebuilds_a_lost_state_and_judges_as_before(settings):
    pictures = [photo(seed) for seed in range(12)]
    with running(settings, "filter", "index") as (_, index):
        publish(settings, [image(picture, number) for number, picture in enumerate(pictures)])
        eventually(lambda: all_ended(settings, 12))
        before = matches(settings)
        assert index.stop() == 0
        _remove(settings.state_dir / "index")

        index.start()
        publish(settings, [image(resized(picture, 0.6), 100 + n) for n, picture in enumerate(pictures)])
        publish(settings, [image(picture, 200 + n) for n, picture in enumerate(pictures)])
        eventually(lambda: all_ended(settings, 36))

    assert len(accepted(settings)) == 12
    after = matches(settings)
    assert {one: after[one] for one in before} == before
    originals = {image_id(jpeg(picture)) for picture in pictures}
    assert {amend.image_id for amend in merges(settings)} == originals


def test_while_the_index_is_away_nothing_ends_or_is_committed_and_a_stop_is_clean(settings):
    pictures = [photo(seed) for seed in range(6)]
    with running(settings, "filter") as (judging,):
        publish(settings, [image(picture, number) for number, picture in enumerate(pictures)])
        eventually(lambda: len({asked.image_id for asked in fingerprints(settings)}) == 6)

        assert judging.stop() == 0
        assert sum(Admin(settings).committed("filter", "image").values()) == 0
        assert outcomes(settings) == {}

        judging.start()
        with running(settings, "index"):
            eventually(lambda: all_ended(settings, 6))

    assert len({pair.image_id for pair in accepted(settings)}) == 6


def _remove(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
