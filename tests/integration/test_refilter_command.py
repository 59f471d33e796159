"""Rules that change after the shards were cut: what would go is told, then amended once."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from entityflow.records import Amend
from entityflow.settings import Settings
from tests.integration.command import environment, json_of, run_command
from tests.integration.filter_line import accepted, image, publish, records, running
from tests.unit.test_fingerprints_copies import photo
from tests.waiting import eventually

DOMAIN = "name: birds\nroots: [Q5113]\nheldout_share: 0.0\nfilter: {languages: [en], thresholds: {no-letters: 0.9}}\n"


@contextmanager
def sharder(settings: Settings) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-m", "entityflow.serve", "sharder"], env=environment(settings)) as process:
        yield
        process.terminate()


def refiltered(settings: Settings, *words: str, domain: Path | None = None) -> dict:  # type: ignore[type-arg]
    used = settings.model_copy(update={"domain": domain}) if domain else settings
    return dict(json_of(used, "refilter", *words))


def test_refilter_tells_what_new_limits_would_drop_and_amends_it_once(settings, tmp_path):
    texts = ["HERON IN THE REEDS", "Ardea cinerea", "heron no. 1, 2, 3, 4", "a heron"]
    domain = tmp_path / "birds.yaml"
    domain.write_text(DOMAIN)
    images = [image(photo(40 + number), number, alt=text) for number, text in enumerate(texts)]
    with running(settings, "filter", "index"), sharder(settings):
        publish(settings, images)
        eventually(lambda: len(accepted(settings)) == len(texts))
        run_command(settings, "seal")
        eventually(
            lambda: sum(row["samples"] + row["heldout"] for row in json_of(settings, "shards", "list")["shards"]) == 4
        )

    same = refiltered(settings, "--dry-run")
    tried = refiltered(settings, "--dry-run", "--set", "short-text=10")
    dry = refiltered(settings, "--dry-run", domain=domain)
    written = refiltered(settings, domain=domain)
    again = refiltered(settings, domain=domain)

    assert (same["samples"], same["removed"], same["texts"]) == (4, {}, {})
    assert tried["removed"] == {"short-text": 1}
    assert dry["removed"] == written["removed"] == {"no-letters": 1}
    assert dry["examples"] == [{"image_id": images[2].image_id, "reason": "no-letters", "text": None}]
    assert (written["new"], again["new"]) == (1, 0)
    amends = [(one.image_id, one.kind, one.reason) for one in records(settings, "amend", Amend)]
    assert amends == [(images[2].image_id, "refilter", "no-letters")]


def test_a_limit_of_no_rule_is_one_clear_line(settings):
    wrong = {
        ("--dry-run", "--set", "no-such-rule=3"): "no-such-rule",
        ("--dry-run", "--set", "price=cheap"): "'cheap' is no number",
        ("--dry-run", "--set", "max_aspect=0.5"): "max_aspect=0.5",
        ("--set", "price=0.3"): "--dry-run",
    }

    for words, named in wrong.items():
        ran = run_command(settings, "refilter", *words)

        assert ran.returncode == 2
        assert named in ran.stderr
        assert "Traceback" not in ran.stderr
