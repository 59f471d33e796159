"""`entityflow import` as a person calls it: dry, and onto a real broker."""

import json
from pathlib import Path

from entityflow.records import Url
from entityflow.settings import Settings
from entityflow.stage import read_topic
from tests.integration.command import run_command

ROWS = "url,text\nhttp://h.test/1,null\nnot an address,b\nhttp://h.test/2,\nhttp://other.test/3,ü\n"


def written(settings: Settings) -> list[tuple[bytes | None, Url]]:
    return [(message.key, record) for message, record in read_topic(settings, "url") if isinstance(record, Url)]


def listed(folder: Path, content: str = ROWS) -> str:
    path = folder / "list.csv"
    path.write_text(content)
    return str(path)


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(settings, tmp_path):
    ran = run_command(settings, "import", listed(tmp_path), "--text-col", "text", "--dry-run", "--json")

    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert (document["schema"], document["rows"], document["accepted"]) == (1, 4, 3)
    assert [(error["line"], error["column"], error["value"]) for error in document["errors"]] == [
        (3, "url", "not an address")
    ]
    assert document["preview"] == [
        {"line": 2, "url": "http://h.test/1", "text": "null"},
        {"line": 4, "url": "http://h.test/2", "text": ""},
        {"line": 5, "url": "http://other.test/3", "text": "ü"},
    ]
    assert written(settings) == []


def test_a_list_becomes_candidates_under_the_key_of_their_host(settings, tmp_path):
    ran = run_command(settings, "import", listed(tmp_path), "--text-col", "text")

    assert ran.returncode == 0, ran.stderr
    assert "line 3: url 'not an address'" in ran.stderr
    assert sorted((key, url.address, url.alt_text, url.provider) for key, url in written(settings)) == [
        (b"h.test", "http://h.test/1", "null", "import"),
        (b"h.test", "http://h.test/2", None, "import"),
        (b"other.test", "http://other.test/3", "ü", "import"),
    ]


def test_a_list_that_is_sent_again_has_the_same_candidates(settings, tmp_path):
    for _ in range(2):
        run_command(settings, "import", listed(tmp_path), "--text-col", "text")

    found = [url.candidate_id for _, url in written(settings)]

    assert len(found) == 6
    assert len(set(found)) == 3


def test_a_wrong_column_stops_before_anything_is_sent(settings, tmp_path):
    ran = run_command(settings, "import", listed(tmp_path), "--text-col", "caption")

    assert ran.returncode == 2
    assert ran.stderr.splitlines()[0] == "error: list.csv has no column 'caption'; its columns: url, text"
    assert written(settings) == []


def test_the_limit_counts_rows(settings, tmp_path):
    ran = run_command(settings, "import", listed(tmp_path), "--text-col", "text", "--limit", "2", "--json")

    assert ran.returncode == 0, ran.stderr
    assert (json.loads(ran.stdout)["rows"], len(written(settings))) == (2, 1)


def test_a_list_without_one_usable_row_is_an_error(settings, tmp_path):
    ran = run_command(settings, "import", listed(tmp_path, "url\nnothing\n"))

    assert ran.returncode == 1
    assert "no row of" in ran.stderr
