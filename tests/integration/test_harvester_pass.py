"""Passes of the harvester: a graph on one side, Kafka and the bucket on the other."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from entityflow.domain import Domain
from entityflow.errors import UserError
from entityflow.objects import Objects
from entityflow.records import Entity
from entityflow.settings import Settings, load_settings
from entityflow.stage import read_topic
from services.entity_harvester.knowledge import LATEST, from_parquet, read_latest, to_parquet
from services.entity_harvester.service import Pass, run_pass, seconds_to_wait
from services.entity_harvester.settings import HarvesterSettings
from tests.integration.graph_server import WD, WDT, oxigraph, proxied, triple, update
from tests.waiting import eventually

BIRDS = Domain.model_validate({"name": "birds", "roots": ["Q5113"]})
COUNT = 40
GRAPH = [
    *(triple(f"Q{number}", "P171", "Q5113") for number in range(1, COUNT + 1)),
    *(triple(f"Q{number}", "label", f'"bird {number}"@en') for number in range(1, COUNT + 1)),
]


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    with oxigraph(tmp_path, GRAPH) as address:
        yield address


def harvester(settings: Settings, endpoint: str) -> HarvesterSettings:
    return load_settings(HarvesterSettings, **{**settings.model_dump(), "sparql_endpoint": endpoint})


def one_pass(settings: Settings, endpoint: str, limit: int | None = None) -> Pass:
    return run_pass(BIRDS, harvester(settings, endpoint), limit)


def written(settings: Settings) -> list[Entity]:
    return [record for _, record in read_topic(settings, "entity") if isinstance(record, Entity)]


def test_a_pass_writes_every_entity_and_a_snapshot_of_them(settings: Settings, endpoint: str) -> None:
    done = one_pass(settings, endpoint)

    snapshot = read_latest(Objects(settings))
    assert snapshot is not None
    assert snapshot.version == done.version
    assert {entity.id: entity for entity in written(settings)} == dict(snapshot.entities)
    assert len(snapshot.entities) == COUNT


def test_the_same_pass_again_writes_nothing(settings: Settings, endpoint: str) -> None:
    first = one_pass(settings, endpoint)

    second = one_pass(settings, endpoint)

    assert second.written == 0
    assert second.version == first.version
    assert len(written(settings)) == COUNT


def test_a_higher_limit_adds_and_a_lower_one_takes_nothing_away(settings: Settings, endpoint: str) -> None:
    assert one_pass(settings, endpoint, 5).written == 5
    assert one_pass(settings, endpoint, 8).written == 3

    assert one_pass(settings, endpoint, 2).written == 0
    assert [entity.id for entity in written(settings)].count("Q1") == 1


def test_a_renamed_entity_is_written_again(settings: Settings, endpoint: str) -> None:
    one_pass(settings, endpoint)
    label = "http://www.w3.org/2000/01/rdf-schema#label"
    update(endpoint, f'DELETE WHERE {{ <{WD}Q3> <{label}> ?any }}; INSERT DATA {{ <{WD}Q3> <{label}> "owl"@en }}')

    done = one_pass(settings, endpoint)

    assert [(entity.id, entity.label) for entity in done.changes.all] == [("Q3", "owl")]


def test_an_entity_that_vanished_is_retired_once(settings: Settings, endpoint: str) -> None:
    one_pass(settings, endpoint)
    update(endpoint, f"DELETE DATA {{ <{WD}Q7> <{WDT}P171> <{WD}Q5113> }}")

    assert [(entity.id, entity.retired) for entity in one_pass(settings, endpoint).changes.all] == [("Q7", True)]
    assert one_pass(settings, endpoint).written == 0


def test_an_endpoint_that_suddenly_knows_nothing_retires_nobody(settings: Settings, endpoint: str) -> None:
    one_pass(settings, endpoint)

    def empty(query: str, _number: int, _body: bytes) -> web.Response:
        rows = [{"count": {"type": "literal", "value": "0"}}] if "COUNT" in query else []
        kind = "application/sparql-results+json"
        return web.json_response({"results": {"bindings": rows}}, content_type=kind)

    with proxied(endpoint, empty) as proxy, pytest.raises(UserError, match=r"40 of 40 known entities have vanished"):
        one_pass(settings, proxy.address)

    assert not any(entity.retired for entity in written(settings))


def test_a_pass_that_cannot_be_ended_writes_nothing(settings: Settings, endpoint: str) -> None:
    def cut_names(query: str, _number: int, body: bytes) -> web.Response | None:
        kind = "application/sparql-results+json"
        return web.Response(body=body[:-20], content_type=kind) if "altLabel" in query else None

    with proxied(endpoint, cut_names) as proxy:
        impatient = harvester(settings, proxy.address).model_copy(update={"harvester_attempts": 2})
        with pytest.raises(UserError, match="bad answers in a row"):
            run_pass(BIRDS, impatient)

    assert written(settings) == []
    assert Objects(settings).size(LATEST) is None


def test_a_graph_without_anything_below_the_roots_is_told(settings: Settings, endpoint: str) -> None:
    nothing = Domain.model_validate({"name": "fish", "roots": ["Q152"]})

    with pytest.raises(UserError, match="no entity is below Q152"):
        run_pass(nothing, harvester(settings, endpoint))


def test_a_snapshot_reads_back_as_it_was(settings: Settings, endpoint: str) -> None:
    one_pass(settings, endpoint)
    snapshot = read_latest(Objects(settings))
    assert snapshot is not None

    assert from_parquet(to_parquet(snapshot)) == snapshot


def environment(settings: Settings, endpoint: str) -> dict[str, str]:
    own = {
        "ENTITYFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ENTITYFLOW_S3_ENDPOINT": settings.s3_endpoint,
        "ENTITYFLOW_S3_ACCESS_KEY": settings.s3_access_key,
        "ENTITYFLOW_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "ENTITYFLOW_PREFIX": settings.prefix,
        "ENTITYFLOW_SMALL_TOPICS": "true",
        "ENTITYFLOW_SPARQL_ENDPOINT": endpoint,
    }
    return {**os.environ, **own}


def command(settings: Settings, endpoint: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entityflow", "harvest", *arguments],
        env=environment(settings, endpoint),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def domain_file(tmp_path: Path) -> str:
    path = tmp_path / "birds.yaml"
    path.write_text("name: birds\nroots: [Q5113]\n")
    return str(path)


def test_a_dry_run_shows_the_entities_and_writes_nothing(settings: Settings, endpoint: str, domain_file: str) -> None:
    update(endpoint, f"INSERT DATA {{ <{WD}Q77> <{WDT}P171> <{WD}Q1> }}")

    done = command(settings, endpoint, "--domain", domain_file, "--dry-run", "--json")

    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert document["schema"] == 1
    assert len(document["entities"]) == COUNT + 1
    assert document["entities"][-1] == {
        "id": "Q77",
        "label": None,
        "parents": [{"id": "Q1", "label": None, "depth": 1}, {"id": "Q5113", "label": None, "depth": 2}],
        "outcome": "skipped",
        "reason": "no-label",
    }
    assert written(settings) == []


def test_the_command_writes_and_says_how_many(settings: Settings, endpoint: str, domain_file: str) -> None:
    done = command(settings, endpoint, "--domain", domain_file, "--limit", "3", "--json")

    assert json.loads(done.stdout)["written"] == 3
    assert len(written(settings)) == 3


def test_a_broken_domain_file_ends_the_command_with_its_lines(
    settings: Settings, endpoint: str, tmp_path: Path
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("name: birds\nroots: [Q5113]\nlanguges: [en]\n")

    done = command(settings, endpoint, "--domain", str(path))

    assert done.returncode == 2
    assert f"{path}:3:1: languges: not known, did you mean languages?" in done.stderr


def test_the_service_harvests_once_and_stops_when_it_is_told(
    settings: Settings, endpoint: str, domain_file: str
) -> None:
    variables = {**environment(settings, endpoint), "ENTITYFLOW_DOMAIN": domain_file}
    program = [sys.executable, "-m", "entityflow.serve", "entity_harvester"]
    process = subprocess.Popen(program, env=variables, stderr=subprocess.PIPE, text=True)
    try:
        eventually(lambda: Objects(settings).size(LATEST) is not None)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()

    assert process.returncode == 0
    assert len(written(settings)) == COUNT


def test_the_next_pass_of_the_service_waits_for_its_time(settings: Settings, endpoint: str) -> None:
    one_pass(settings, endpoint)
    (stored,) = Objects(settings).list(LATEST)

    after_an_hour = seconds_to_wait(Objects(settings), 86_400, stored.modified + timedelta(hours=1))

    assert after_an_hour == 23 * 3600
