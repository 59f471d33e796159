"""`entityflow plan` as a person calls it."""

import json
from pathlib import Path

from tests.unit.test_cli_help import entityflow

OWLS = "name: owls\nroots: [Q25222]\nproviders: [commons]\n"


def test_without_a_number_of_entities_it_says_how_to_give_one(tmp_path: Path) -> None:
    (tmp_path / "owls.yaml").write_text(OWLS)

    ran = entityflow("plan", str(tmp_path / "owls.yaml"))

    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        "error: owls has no limits.entities, and no graph is asked",
        "hint: --entities N, or ENTITYFLOW_SPARQL_ENDPOINT (and no --offline)",
    ]


def test_the_plan_of_a_domain_as_json_and_as_tables(tmp_path: Path) -> None:
    (tmp_path / "owls.yaml").write_text(OWLS)

    document = json.loads(entityflow("plan", str(tmp_path / "owls.yaml"), "--entities", "200", "--json").stdout)
    shown = entityflow("plan", str(tmp_path / "owls.yaml"), "--entities", "200")

    assert (document["entities"], document["entities_from"]) == (200, "--entities")
    assert document["binding"] == "the host upload.wikimedia.org"
    assert "bound by the host upload.wikimedia.org" in shown.stdout
    assert "assumed: 0.6 of the candidates become pairs" in shown.stderr


def test_a_provider_that_costs_money_wants_a_cap(tmp_path: Path) -> None:
    (tmp_path / "owls.yaml").write_text(OWLS.replace("commons", "brave"))

    ran = entityflow("plan", str(tmp_path / "owls.yaml"), "--entities", "9")

    assert ran.returncode == 2
    assert "brave costs $5 for 1,000 requests: max_dollars or max_requests is wanted" in ran.stderr
