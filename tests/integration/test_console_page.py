"""The console over a real broker: figures as in the report, pictures as they come, nobody else's page."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from PIL import Image as Picture

from entityflow.codec import from_plain
from entityflow.examples import Example, thumbnail
from entityflow.ids import content_id
from entityflow.objects import Objects
from entityflow.records import Amend, FilteredPair, Outcome, PairText
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all
from tests.integration.command import environment, json_of
from tests.waiting import eventually

EXAMPLE = Path(__file__).parents[2] / "schemas" / "examples" / "FilteredPair.v1.json"


def pair(image_id: str, payload: bytes = b"\xff\xd8picture") -> FilteredPair:
    plain = json.loads(EXAMPLE.read_text())
    return from_plain(FilteredPair, {**plain, "image_id": image_id, "payload": payload})


def outcome(name: str, result: str) -> Send:
    record = Outcome(
        candidate_id=content_id(name),
        url_id="u",
        provider="demo",
        stage="filter",
        result=result,
        entity_id="Q1",
        at=0.0,
    )
    return Send("outcome", record)


def send(settings: Settings, *sends: Send) -> None:
    produce_all("test", settings, sends, {one.topic for one in sends})


@pytest.fixture
def console(settings: Settings, tmp_path: Path) -> Iterator[str]:
    """The address of a console that was started after one pair and two outcomes were there."""
    send(settings, Send("filtered-pair", pair("a" * 64)), outcome("a", "accepted"), outcome("b", "http-404"))
    address = tmp_path / "address"
    process = subprocess.Popen(
        [sys.executable, "-m", "entityflow.serve", "console"],
        env=environment(
            settings, ENTITYFLOW_CONSOLE_ADDRESS_FILE=str(address), ENTITYFLOW_CONSOLE_REFRESH_SECONDS="0.2"
        ),
    )
    try:
        eventually(address.exists)
        yield address.read_text()
    finally:
        process.terminate()
        process.wait(30)


def figures(console: str) -> dict:  # type: ignore[type-arg]
    with urlopen(console + "/api", timeout=5) as answer:
        return dict(json.load(answer))


def test_its_counts_are_those_of_the_report(console: str, settings: Settings) -> None:
    eventually(lambda: figures(console)["topics"] and figures(console)["outcomes"])

    shown, report = figures(console), json_of(settings, "report")

    assert shown["outcomes"] == report["outcomes"]
    assert {row["topic"]: row["records"] for row in shown["topics"]} == report["topics"]


def test_pictures_that_were_there_and_that_come_are_shown_newest_first(console: str, settings: Settings) -> None:
    send(settings, Send("filtered-pair", pair("b" * 64)))

    eventually(lambda: len(figures(console)["pictures"]) == 2)

    assert [one["image_id"][0] for one in figures(console)["pictures"]] == ["b", "a"]
    with urlopen(f"{console}/pictures/{'b' * 64}.jpg", timeout=5) as answer:
        assert answer.read() == b"\xff\xd8picture"


def test_the_page_runs_no_script_but_its_own(console: str) -> None:
    with urlopen(console, timeout=5) as answer:
        page, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]

    assert "script-src 'self'" in policy
    assert "default-src 'none'" in policy
    assert 'role="status"' in page


def test_a_page_elsewhere_that_names_this_machine_gets_nothing(console: str) -> None:
    asked = Request(console + "/api", headers={"Host": "rebound.example"})

    with pytest.raises(HTTPError) as refused:
        urlopen(asked, timeout=5)

    assert refused.value.code == 403
    refused.value.close()


def test_it_changes_nothing(console: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(console + "/api", method="POST", data=b"{}"), timeout=5)

    assert refused.value.code == 405
    refused.value.close()


def jpeg(colour: str) -> bytes:
    out = io.BytesIO()
    Picture.new("RGB", (64, 48), colour).save(out, "JPEG")
    return out.getvalue()


def fetched(address: str) -> bytes:
    with urlopen(address, timeout=5) as answer:
        return bytes(answer.read())


def test_examples_of_a_reason_are_shown_with_what_is_known_of_them(console: str, settings: Settings) -> None:
    kept = Example(
        reason="blank", image_id="e" * 64, candidate_id="c", text="a <b>blue</b> wall", url="http://h.test/1"
    )
    content = thumbnail(kept, jpeg("blue"))
    objects = Objects(settings)
    objects.ensure_bucket()
    objects.put(kept.key, content)
    eventually(lambda: figures(console)["outcomes"])

    reasons = json.loads(fetched(console + "/api/reasons"))["reasons"]
    examples = json.loads(fetched(console + "/api/reasons/blank"))["examples"]

    counted = {row["reason"]: (row["count"], row["examples"]) for row in reasons}
    assert counted == {"http-404": (1, 0), "blank": (0, 1)}
    assert next(row["meaning"] for row in reasons if row["reason"] == "blank").startswith(
        "The picture shows one colour"
    )
    assert [(one["image_id"], one["text"], one["host"]) for one in examples] == [("e" * 64, kept.text, "h.test")]
    assert fetched(f"{console}/examples/blank/{'e' * 64}.jpg") == content


def test_a_cluster_is_a_picture_with_its_copies_and_their_distances(console: str, settings: Settings) -> None:
    merged = Amend(
        image_id="a" * 64,
        kind="merge",
        candidate_id="c2",
        texts=(PairText(text="an owl again", kind="alt", source="c2"),),
        duplicate_image_id="d" * 64,
        distance=2,
    )
    seen_again = Amend(image_id="a" * 64, kind="merge", candidate_id="c3")
    send(settings, Send("amend", merged), Send("amend", seen_again), Send("amend", merged))

    eventually(lambda: [one["merged"] for one in json.loads(fetched(console + "/api/clusters"))["clusters"]] == [2])

    (cluster,) = json.loads(fetched(console + "/api/clusters"))["clusters"]
    assert cluster["image_id"] == "a" * 64
    assert cluster["copies"] == [{"image_id": "d" * 64, "distance": 2}]
    assert cluster["texts"] == ["an owl again"]


def test_names_that_are_none_lead_nowhere(console: str) -> None:
    for path in ("/examples/..%2Fshards/x.jpg", "/examples/blank/no-such-picture.jpg", "/api/reasons/a%2Fb"):
        with pytest.raises(HTTPError) as refused:
            fetched(console + path)

        assert refused.value.code == 404
        refused.value.close()


@pytest.mark.parametrize("page", ["/reasons", "/clusters"])
def test_each_page_leads_to_the_others(console: str, page: str) -> None:
    text = fetched(console + page).decode()

    assert 'href="/"' in text
    assert f'href="{page}" aria-current="page"' in text
    assert f'<script src="{page[1:]}.js" defer>' in text
    assert fetched(f"{console}{page}.js")
