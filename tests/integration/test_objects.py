"""The object store client against a real S3 server, and against one whose answers get lost."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydantic import SecretStr

from entityflow.errors import Retryable, UserError
from entityflow.objects import ObjectDamaged, ObjectMissing, Objects
from entityflow.settings import Settings
from tests.faulty_store import Fault, FaultyStore, faulty
from tests.memory_objects import MemoryObjects

PART = 5 << 20  # the smallest that stores take


@pytest.fixture
def objects(settings: Settings) -> Objects:
    return Objects(settings, budget_seconds=5)


@pytest.mark.parametrize("key", ["plain", "a b", "q?x", "h#x", "p+l", "t~x", "per%41", "d/ö/ü", "x" * 200])
def test_any_key_comes_back_as_it_was_given(objects, key):
    objects.put(key, b"content of " + key.encode())

    assert objects.get(key) == b"content of " + key.encode()
    assert [stored.key for stored in objects.list()] == [key]


def test_prefixes_keep_two_domains_apart(objects, settings):
    other = Objects(settings.model_copy(update={"prefix": settings.prefix + "x"}))
    objects.put("k", b"mine")

    assert other.size("k") is None
    assert list(other.list()) == []


def test_the_first_conditional_put_wins(objects):
    assert objects.put_if_absent("k", b"first") is True
    assert objects.put_if_absent("k", b"second") is False
    assert objects.get("k") == b"first"


def test_of_many_at_once_one_conditional_put_wins(objects):
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda number: objects.put_if_absent("k", b"%d" % number), range(16)))

    assert won.count(True) == 1
    assert objects.get("k") == b"%d" % won.index(True)


def test_a_conditional_put_above_the_part_size_is_still_one_put(objects, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(b"x" * (6 << 20))
    objects.put("k", b"first")

    assert objects.put_if_absent("k", big) is False
    assert objects.size("k") == 5


def test_a_file_and_a_range_of_it_are_read(objects, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(256)) * 100)
    objects.put("k", source)

    objects.download("k", target)

    assert target.read_bytes() == source.read_bytes()
    assert objects.get_range("k", 255, 3) == b"\xff\x00\x01"
    assert objects.get_range("k", 3, 0) == b""


def test_an_empty_object_is_an_object(objects):
    assert objects.put_if_absent("k", b"") is True
    assert objects.get("k") == b""
    assert objects.size("k") == 0


def test_what_is_not_there_says_so(objects, tmp_path):
    assert objects.size("nothing") is None
    objects.delete("nothing")
    with pytest.raises(ObjectMissing, match="nothing"):
        objects.get("nothing")
    with pytest.raises(ObjectMissing):
        objects.download("nothing", tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_secret_is_one_line_with_its_cure(settings):
    wrong = Objects(settings.model_copy(update={"s3_secret_key": SecretStr("wrong")}))

    with pytest.raises(UserError, match="SignatureDoesNotMatch") as caught:
        wrong.put("k", b"x")
    assert "ENTITYFLOW_S3_SECRET_KEY" in (caught.value.hint or "")


def test_an_endpoint_that_is_no_address_is_refused_at_the_start(settings):
    with pytest.raises(UserError, match="ENTITYFLOW_S3_ENDPOINT='nowhere'"):
        Objects(settings.model_copy(update={"s3_endpoint": "nowhere"}))


def test_a_server_that_is_away_is_tried_again_within_the_budget(settings):
    away = Objects(settings.model_copy(update={"s3_endpoint": "http://127.0.0.1:9"}), budget_seconds=0.5)

    with pytest.raises(Retryable, match="object-store-away"):
        away.get("k")


@pytest.fixture
def between(settings: Settings) -> Iterator[FaultyStore]:
    with faulty(settings.s3_endpoint) as store:
        yield store


@pytest.fixture
def lossy(settings: Settings, between: FaultyStore) -> Objects:
    """A client of the store that can be made to fail."""
    named = settings.model_copy(update={"s3_endpoint": between.url})
    return Objects(named, budget_seconds=20, read_seconds=1, part_bytes=PART)


EVERY_LOSS = [Fault.CUT_UPLOAD, Fault.LOSE_ANSWER, Fault.REFUSE, Fault.FAIL_AFTER, Fault.GARBLE, Fault.STALL]


@pytest.mark.parametrize("fault", EVERY_LOSS)
def test_a_conditional_put_that_meets_a_fault_writes_once_and_knows_its_own(between, lossy, objects, fault):
    between.plant("PUT", fault)

    assert lossy.put_if_absent("k", b"mine" * 1000) is True
    assert objects.get("k") == b"mine" * 1000
    assert between.met_all


@pytest.mark.parametrize("fault", EVERY_LOSS)
def test_a_fault_does_not_make_anothers_object_ones_own(between, lossy, objects, fault):
    objects.put("k", b"another's")
    between.plant("PUT", fault)

    assert lossy.put_if_absent("k", b"mine") is False
    assert objects.get("k") == b"another's"


def test_an_object_of_the_same_size_is_not_taken_for_ones_own(between, lossy, objects):
    objects.put("k", b"yours")
    between.plant("PUT", Fault.LOSE_ANSWER)

    assert lossy.put_if_absent("k", b"mine!") is False


def test_a_conflict_is_tried_again_and_is_not_an_object_that_is_there(between, lossy, objects):
    between.plant("PUT", Fault.CONFLICT, Fault.CONFLICT)

    assert lossy.put_if_absent("k", b"mine") is True
    assert objects.get("k") == b"mine"


@pytest.mark.parametrize("fault", EVERY_LOSS)
def test_a_big_object_goes_in_parts_whatever_happens_to_one_of_them(between, lossy, objects, tmp_path, fault):
    big, back = tmp_path / "big", tmp_path / "back"
    big.write_bytes(random.Random(7).randbytes(2 * PART + 1000))
    between.plant("PUT", fault)

    lossy.put("k", big)

    assert between.met_all
    assert between.requests.count("PUT") > 3
    objects.download("k", back)
    assert back.read_bytes() == big.read_bytes()


@pytest.mark.parametrize("fault", [Fault.CUT_ANSWER, Fault.LOSE_ANSWER, Fault.REFUSE, Fault.GARBLE, Fault.STALL])
def test_reading_goes_on_after_a_fault(between, lossy, objects, tmp_path, fault):
    content = random.Random(8).randbytes(3 << 20)
    objects.put("k", content)
    between.plant("GET", fault, fault)

    assert lossy.get("k") == content
    between.plant("GET", fault, fault)
    lossy.download("k", tmp_path / "back")
    between.plant("GET", fault)
    assert [one.key for one in lossy.list()] == ["k"]

    assert between.met_all
    assert (tmp_path / "back").read_bytes() == content


def test_a_download_that_breaks_off_again_and_again_ends_when_each_try_brings_bytes(
    between, settings, objects, tmp_path
):
    content = random.Random(9).randbytes(4 << 20)
    objects.put("k", content)
    impatient = Objects(settings.model_copy(update={"s3_endpoint": between.url}), budget_seconds=0.001)
    between.plant("GET", *[Fault.CUT_ANSWER] * 5)

    impatient.download("k", tmp_path / "back")

    assert (tmp_path / "back").read_bytes() == content
    assert between.met_all


def test_what_is_read_back_must_be_what_was_written(between, lossy):
    between.plant("GET", Fault.SPOIL)

    with pytest.raises(ObjectDamaged, match="something else is there"):
        lossy.put("k", b"mine!")


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../other/k", "a/../b", "a/./b", "a\nb", "a\0", "x" * 1025])
def test_a_key_that_stores_understand_differently_is_refused(objects, key):
    with pytest.raises(ValueError, match="is no key"):
        objects.put(key, b"x")
    with pytest.raises(ValueError, match="is no key"):
        objects.get(key)


class Refuses(BaseHTTPRequestHandler):
    """A store whose clock is twenty minutes ahead of ours."""

    def do_GET(self) -> None:
        body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too far apart</Message></Error>"
        self.send_response_only(403)
        self.send_header("Date", format_datetime(datetime.now(UTC) + timedelta(minutes=20), usegmt=True))
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_a_clock_that_is_wrong_is_named_with_by_how_much(settings):
    server = HTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    skewed = Objects(settings.model_copy(update={"s3_endpoint": address}))

    with pytest.raises(UserError, match=r"clock is off by -1(199|200|201) s") as caught:
        skewed.get("k")
    server.shutdown()
    server.server_close()
    assert "clock" in (caught.value.hint or "")


@pytest.mark.parametrize("store", ["real", "memory"])
def test_the_store_of_our_unit_tests_behaves_like_the_real_one(objects, tmp_path, store):
    tried = objects if store == "real" else MemoryObjects()
    (tmp_path / "file").write_bytes(b"of a file")

    tried.ensure_bucket()
    tried.put("b/2", tmp_path / "file")
    first, second = tried.put_if_absent("a", b"0123"), tried.put_if_absent("a", b"other")
    tried.put("gone", b"")
    tried.delete("gone")
    tried.download("b/2", tmp_path / "back")

    assert (first, second) == (True, False)
    assert (tried.get("a"), tried.get_range("a", 1, 2), tried.size("a"), tried.size("gone")) == (
        b"0123",
        b"12",
        4,
        None,
    )
    assert (tmp_path / "back").read_bytes() == b"of a file"
    assert [(item.key, item.size) for item in tried.list()] == [("a", 4), ("b/2", 9)]
    assert [item.key for item in tried.list("b/")] == ["b/2"]
    with pytest.raises(ObjectMissing):
        tried.get("gone")
