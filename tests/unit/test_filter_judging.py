import io
from dataclasses import replace

import pytest
from PIL import Image as Picture
from PIL import ImageDraw

from entityflow.domain import FilterRules
from entityflow.errors import UsageError
from entityflow.records import Entity, Image, Origin, Original, Permission, Synonym, Url
from services.filter.judging import Rules
from services.filter.names import Names
from services.filter.picture_rules import PictureLimits
from services.filter.settings import rules_of
from services.filter.text_rules import TextLimits

RULES = Rules(PictureLimits(), TextLimits())


def jpeg(colour=None):
    picture = Picture.new("RGB", (320, 240), colour or "white")
    if colour is None:
        draw = ImageDraw.Draw(picture)
        for step in range(12):
            draw.ellipse((step * 22, step * 13, step * 22 + 60, step * 17 + 50), fill=(step * 20, 90, 255 - step * 20))
    out = io.BytesIO()
    picture.save(out, "JPEG")
    return out.getvalue()


def image(payload=None, width=800, height=600, size=9000, **texts):
    payload = jpeg() if payload is None else payload
    return Image(
        image_id="a" * 64,
        payload=payload,
        format="JPEG",
        width=320,
        height=240,
        original=Original(width=width, height=height, bytes=size, format="PNG"),
        permission=Permission(decision="allowed"),
        candidate=Url(
            candidate_id="c1",
            url_id="u1",
            address="http://p.test/a",
            provider="demo",
            **({"alt_text": "a snowy owl"} | texts),
        ),
        url_origin=Origin(topic_uuid="urls", partition=0, offset=1),
    )


def test_a_good_pair_passes_with_hashes_and_scores():
    judged = RULES.image(image())

    assert judged.passed
    assert judged.appearance.hashes is not None
    assert [text.text for text in judged.texts] == ["a snowy owl"]
    assert judged.stats["alt-no-letters"] == 1.0
    assert judged.stats["contrast"] > 0


def test_a_bad_text_costs_the_text_and_the_last_one_the_pair():
    both = RULES.image(image(title="IMG_0001.jpg"))
    none = RULES.image(image(alt_text="IMG_0001.jpg", title="17"))

    assert both.passed
    assert [text.kind for text in both.texts] == ["alt"]
    assert both.dropped_texts == ("file-name",)
    assert none.reason == "file-name"
    assert none.dropped_texts == ("file-name", "no-letters")
    assert RULES.image(image(alt_text=None)).reason == "no-text"
    assert RULES.image(image(alt_text="  \n")).reason == "no-text"


def test_equal_texts_are_kept_once_under_their_best_kind():
    judged = RULES.image(image(title="A  SNOWY owl", description="Bubo scandiacus"))

    assert [(text.kind, text.text) for text in judged.texts] == [
        ("alt", "a snowy owl"),
        ("description", "Bubo scandiacus"),
    ]


def test_each_picture_rule_names_its_reason():
    assert RULES.image(image(width=500, height=20)).reason == "too-small"
    assert RULES.image(image(width=900, height=100)).reason == "extreme-aspect"
    assert RULES.image(image(size=43)).reason == "too-few-bytes"
    assert RULES.image(image(jpeg("blue"))).reason == "blank"
    assert RULES.image(image(b"no picture")).reason == "broken-picture"
    assert RULES.image(replace(image(), original=None)).reason == "broken-picture"


def test_what_has_no_hash_never_passes():
    for payload in (jpeg("white"), b"", b"\xff\xd8\xff\xe0" + bytes(40)):
        judged = RULES.image(image(payload))
        assert not judged.passed


def test_a_sighting_is_judged_by_its_texts():
    assert RULES.image(replace(image(), payload=None)).passed
    assert RULES.image(replace(image(alt_text="12"), payload=None)).reason == "no-letters"


def test_names_that_the_rules_would_drop_are_captions_of_their_entity_only():
    names = Names(RULES)
    ox = Entity(id="Q1", label="ox", lang="en", synonyms=(Synonym(text="domestic ox", lang="en", kind="alias"),))
    names.apply("Q1", ox, None)

    assert names.of("Q1") == {"ox"}
    assert RULES.image(image(alt_text="OX"), names.of("Q1")).passed
    assert RULES.image(image(alt_text="OX"), names.of("Q2")).reason == "short-text"

    names.apply("Q1", None, None)

    assert names.of("Q1") == frozenset()


def flat_icon():
    picture = Picture.new("RGB", (48, 48), "white")
    ImageDraw.Draw(picture).polygon([(8, 8), (40, 24), (8, 40)], fill="red")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95)
    return out.getvalue()


def test_a_small_palette_picture_is_an_icon_and_a_large_drawing_is_none():
    small = RULES.image(image(flat_icon(), width=48, height=48))
    large = RULES.image(image(flat_icon(), width=480, height=480))

    assert small.reason == "icon"
    assert large.passed


def test_blur_is_measured_always_and_a_reason_only_where_a_domain_says_so():
    strict = Rules(PictureLimits(thresholds={"blurred": 5.0}), TextLimits())
    with Picture.open(io.BytesIO(jpeg())) as sharp:
        out = io.BytesIO()
        sharp.resize((12, 9)).resize((320, 240), Picture.Resampling.BICUBIC).save(out, "JPEG", quality=95)

    assert RULES.image(image(out.getvalue())).passed
    assert strict.image(image(out.getvalue())).reason == "blurred"
    assert strict.image(image()).passed


def test_pictures_and_pages_of_denied_hosts_are_never_taken():
    rules = Rules(PictureLimits(), TextLimits(), denied_pages=("mirror.example", "host.example/sets/test"))

    for page in ("https://www.mirror.example/x", "http://a.mirror.example./", "http://host.example/sets/test/1.html"):
        assert rules.image(image(page_url=page)).reason == "denied-page"
    for page in ("https://notmirror.example/x", "http://host.example/sets/testing", "no address", "http://[bad", None):
        assert rules.image(image(page_url=page)).passed
    assert rules.image(replace(image(), final_url="http://mirror.example/a.jpg")).reason == "denied-page"


def test_a_threshold_of_no_rule_is_named_with_the_rules_there_are():
    with pytest.raises(UsageError, match="blury") as refused:
        rules_of(FilterRules(thresholds={"blury": 1}))

    assert "blurred" in refused.value.hint
