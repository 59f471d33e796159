import hashlib
import io
import json

from PIL import Image

from entityflow.cli.commands import application
from tests.unit.test_fingerprints_copies import padded, photo

IMAGE_FIELDS = {
    "path", "outcome", "reason", "format", "width", "height", "original_width", "original_height", "sha256", "phash",
    "dhash", "scores",
}  # fmt: skip


def inspected(capfd, *words):
    application()([*map(str, words), "--json"], prog_name="entityflow", standalone_mode=False)
    document = json.loads(capfd.readouterr().out)
    assert document["schema"] == 1
    return document["results"]


def written(path, picture, **how):
    picture.save(path, **how)
    return path


def test_inspect_image_shows_what_would_be_stored_of_each_file(tmp_path, capfd):
    good = written(tmp_path / "good.png", photo(3, 800, 600))
    blank = written(tmp_path / "blank.png", Image.new("RGB", (300, 200), "blue"))
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:5000])
    out = tmp_path / "out"

    results = inspected(capfd, "inspect", "image", good, blank, cut, tmp_path / "missing.png", tmp_path, "--out", out)

    assert all(set(result) >= IMAGE_FIELDS for result in results)
    assert [result["outcome"] for result in results] == ["ok", "rejected", "rejected", "rejected", "rejected"]
    assert [results[n]["reason"] for n in (0, 1, 3, 4)] == [None, "blank", "no-such-file", "no-such-file"]
    assert (results[0]["format"], results[0]["width"], results[0]["original_width"]) == ("PNG", 384, 800)
    assert results[0]["sha256"] == hashlib.sha256(good.read_bytes()).hexdigest()
    assert results[1]["phash"] is None
    assert [path.name for path in out.iterdir()] == [results[0]["sha256"] + ".jpg"]
    with Image.open(io.BytesIO(next(out.iterdir()).read_bytes())) as stored:
        assert stored.size == (384, 288)


def test_inspect_image_gives_copies_the_same_hashes(tmp_path, capfd):
    plain = written(tmp_path / "plain.jpg", photo(5), quality=90)
    copy = written(tmp_path / "padded.jpg", padded(photo(5)), quality=90)

    one, other = inspected(capfd, "inspect", "image", plain, copy)

    assert (int(one["phash"], 16) ^ int(other["phash"], 16)).bit_count() <= 3


def test_inspect_text_shows_the_clean_text_and_the_reason(capfd):
    results = inspected(capfd, "inspect", "text", "salt &amp;amp; pepper", "IMG_1.JPG", "half \ud83d of it", "a\nb c")

    assert [result["clean"] for result in results] == ["salt & pepper", "IMG_1.JPG", "half of it", "a b c"]
    assert [result["outcome"] for result in results] == ["ok", "rejected", "ok", "ok"]
    assert results[1]["reason"] == "file-name"
    assert all(result["scores"] for result in results)


def test_lines_are_for_people(capfd):
    application()(["inspect", "text", "barn owl"], prog_name="entityflow", standalone_mode=False)

    assert capfd.readouterr().out.split() == ["ok", "-", "barn", "owl"]
