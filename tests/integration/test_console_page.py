"""The console over a real broker: figures as in the report, pictures as they come, nobody else's page."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from entityflow.codec import from_plain
from entityflow.ids import content_id
from entityflow.records import FilteredPair, Outcome
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
