"""A domain file from its first line to its first entities, against a real graph."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from entityflow.domain import load_domain
from services.entity_harvester.init_command import domain_name
from tests.integration.graph_server import oxigraph, triple
from tests.unit.test_cli_help import entityflow

BIRD, OWL, SHIP, BOAT, CONCEPT = "Q1", "Q2", "Q30", "Q31", "Q40"
GRAPH = [
    triple(BIRD, "label", '"bird"@en'),
    triple(OWL, "label", "\"owl: a 'night' bird\"@en"),
    triple(OWL, "P279", BIRD),
    triple(OWL, "sitelinks", "90"),
    triple("Q3", "label", '"barn owl"@en'),
    triple("Q3", "P279", OWL),
    triple("Q3", "sitelinks", "80"),
    triple("Q3", "P18", "<http://commons.wikimedia.org/wiki/Special:FilePath/Barn.jpg>"),
    triple(SHIP, "label", '"ship"@en'),
    triple(SHIP, "sitelinks", "150"),
    triple(BOAT, "label", '"boat"@en'),
    triple(BOAT, "P279", SHIP),
    triple(BOAT, "sitelinks", "40"),
    triple("Q32", "P31", BOAT),
    triple("Q33", "P279", BOAT),
    triple("Q34", "P279", SHIP),
    triple(CONCEPT, "label", '"concept"@en'),
    triple(CONCEPT, "sitelinks", "200"),
    triple("Q41", "P279", CONCEPT),
]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with oxigraph(tmp_path_factory.mktemp("graph"), GRAPH) as address:
        yield address


def test_a_file_is_written_with_labels_and_is_a_domain_at_once(endpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "My Owls.yaml"

    ran = entityflow("init", str(path), "--root", OWL, "--root", BIRD, ENTITYFLOW_SPARQL_ENDPOINT=endpoint)

    assert ran.returncode == 0, ran.stderr
    domain = load_domain(path)
    assert domain.name == "my-owls"
    assert [(root.id, root.label) for root in domain.roots] == [(OWL, "owl: a 'night' bird"), (BIRD, "bird")]
    assert "entityflow plan" in ran.stderr


def test_from_a_new_file_to_a_plan_and_to_entities(endpoint: str, tmp_path: Path) -> None:
    path = str(tmp_path / "owls.yaml")
    entityflow("init", path, "--root", BIRD, ENTITYFLOW_SPARQL_ENDPOINT=endpoint)

    plan = entityflow("plan", path, "--json", ENTITYFLOW_SPARQL_ENDPOINT=endpoint)
    harvest = entityflow("harvest", "--domain", path, "--dry-run", "--json", ENTITYFLOW_SPARQL_ENDPOINT=endpoint)

    assert json.loads(plan.stdout)["entities"] == 1
    assert json.loads(plan.stdout)["entities_from"] == f"counted at {endpoint}"
    assert [entity["label"] for entity in json.loads(harvest.stdout)["entities"]] == ["barn owl"]


def test_what_is_popular_and_not_covered_is_suggested_most_popular_first(endpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "owls.yaml"
    path.write_text(f"name: owls\nroots: [{BIRD}]\nconsidered: [{CONCEPT}]\n")

    ran = entityflow("domain", "suggest", str(path), "--json", ENTITYFLOW_SPARQL_ENDPOINT=endpoint)

    assert json.loads(ran.stdout)["suggestions"] == [
        {"id": SHIP, "label": "ship", "sitelinks": 150, "members": 2},
        {"id": BOAT, "label": "boat", "sitelinks": 40, "members": 2},
    ]


def test_suggestions_can_be_kept_below_a_class_and_end(endpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "owls.yaml"
    path.write_text(f"name: owls\nroots: [{BIRD}, {SHIP}]\nconsidered: [{CONCEPT}]\n")

    below = entityflow("domain", "suggest", str(path), "--below", SHIP, ENTITYFLOW_SPARQL_ENDPOINT=endpoint)

    assert (below.stdout, below.stderr.strip()) == ("", "everything popular is covered")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--root", "owl"), "error: --root 'owl' is no QID such as Q25222"),
        (("--root", "Q77"), "knows no such item"),
        (("--root", OWL, "--name", "My Owls"), "error: --name 'My Owls' is not lower-case letters"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    endpoint: str, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    path = tmp_path / "owls.yaml"

    ran = entityflow("init", str(path), *words, ENTITYFLOW_SPARQL_ENDPOINT=endpoint)

    assert ran.returncode == 2
    assert told in ran.stderr
    assert not path.exists()


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "owls.yaml"
    path.write_text("mine")

    ran = entityflow("init", str(path), "--root", OWL, "--offline")

    assert ran.returncode == 2
    assert path.read_text() == "mine"


def test_check_and_schema(tmp_path: Path) -> None:
    path = tmp_path / "owls.yaml"
    path.write_text("name: owls\nroots: [Q1]\nlanguges: [en]\n")

    checked = entityflow("domain", "check", str(path))
    schema = json.loads(entityflow("domain", "schema").stdout)

    assert checked.returncode == 2
    assert "3:1: languges: not known, did you mean languages?" in checked.stderr
    assert {"roots", "providers", "queries"} <= set(schema["properties"])


@pytest.mark.parametrize(("file", "name"), [("Owls 2.yaml", "owls-2"), ("42.yaml", "domain-42"), ("äö.yaml", "domain")])
def test_a_file_name_becomes_the_name_of_a_domain(file: str, name: str) -> None:
    assert domain_name(Path(file)) == name
