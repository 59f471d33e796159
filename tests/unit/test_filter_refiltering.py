"""What changed rules do to samples: whole ones leave, or lose the texts that say nothing of them."""

from dataclasses import replace

from entityflow.records import Benchmark, Original, PairEntity, PairSource, PairText
from services.filter.judging import Rules
from services.filter.picture_rules import PictureLimits
from services.filter.refiltering import Bounds, Refilter, Repeats
from services.filter.samples import Sample
from services.filter.text_rules import TextLimits

BOUNDS = Bounds(max_text_pictures=3, max_benchmark_distance=4)
PICTURES, TEXTS = PictureLimits(), TextLimits()
NAMES = {"Q1": frozenset({"heron"})}


def text(words, kind="alt"):
    return PairText(text=words, kind=kind, source="c")


def sample(number, *texts, host="h.test", **more):
    return Sample(
        **{
            "image_id": f"{number:064x}",
            "original": Original(width=640, height=480, bytes=9000, format="JPEG"),
            "texts": tuple(map(text, texts)),
            "entities": (PairEntity(id="Q1"),),
            "sources": (PairSource(candidate_id="c", url=f"http://{host}/{number}.jpg"),),
            "stats": {"too-small": 480.0, "extreme-aspect": 1.33, "blurred": 9.0},
        }
        | more
    )


def judged(samples, pictures=PICTURES, texts=TEXTS, denied=()):
    refilter = Refilter(Rules(pictures, texts, denied), BOUNDS, NAMES, Repeats(samples))
    return [refilter.judge(one) for one in samples]


def test_a_sample_that_the_rules_still_take_stays():
    assert judged([sample(1, "a grey heron by the lake")]) == [None]


def test_a_picture_leaves_by_its_stored_scores():
    one = sample(1, "a grey heron by the lake")

    assert judged([one], PictureLimits(min_side_pixels=500))[0].reason == "too-small"
    assert judged([one], PictureLimits(thresholds={"blurred": 12.0}))[0].reason == "blurred"
    assert judged([replace(one, stats={})], PictureLimits(min_side_pixels=500)) == [None]


def test_a_bad_text_leaves_and_the_last_one_takes_the_sample_along():
    both, alone = judged([sample(1, "a grey heron by the lake", "IMG_0001"), sample(2, "IMG_0002")])

    assert both.reason is None
    assert both.amend().kind == "refilter-text"
    assert [one.text for one in both.amend().texts] == ["IMG_0001"]
    assert alone.reason == "file-name"
    assert (alone.amend().kind, alone.amend().texts) == ("refilter", ())


def test_languages_drop_no_short_upper_case_or_scientific_text():
    samples = [sample(1, "MY DOG IS A BIRD"), sample(2, "a crane\nstanding in reeds"), sample(3, "Ardea cinerea")]

    assert judged(samples, texts=TextLimits(languages=("en",))) == [None, None, None]


def test_a_text_of_many_pictures_goes_unless_it_is_the_entity_s_name():
    samples = [sample(n, "Welcome to our gallery", f"bird {n} in the reeds", host=f"{n}.test") for n in range(4)]
    named = [sample(10 + n, "Heron", host=f"{n}.test") for n in range(9)]

    found = judged(samples + named)

    assert [[(one.text, why) for one, why in each.texts] for each in found[:4]] == [
        [("Welcome to our gallery", "common-text")]
    ] * 4
    assert found[4:] == [None] * 9
    assert judged(samples[:3]) == [None] * 3


def test_a_text_of_most_pictures_of_a_host_is_the_site_s():
    bounds_of_one_host = [
        sample(n, "BirdPhotos Online" if n < 6 else f"bird {n}", f"view {n} of reeds") for n in range(10)
    ]
    refilter = Refilter(
        Rules(PictureLimits(), TextLimits()), replace(BOUNDS, max_text_pictures=99), NAMES, Repeats(bounds_of_one_host)
    )

    assert [why for _, why in refilter.judge(bounds_of_one_host[0]).texts] == ["host-text"]
    assert refilter.judge(bounds_of_one_host[9]) is None


def test_what_a_benchmark_has_leaves_by_the_stored_distance():
    near = sample(1, "a heron", benchmark=Benchmark(index_version=2, name="birds", distance=4))
    far = replace(near, benchmark=Benchmark(index_version=2, name="birds", distance=5))

    assert judged([near])[0].reason == "benchmark"
    assert judged([far]) == [None]


def test_a_sample_from_a_denied_page_leaves():
    assert judged([sample(1, "a heron", host="a.mirror.test")], denied=("mirror.test",))[0].reason == "denied-page"
