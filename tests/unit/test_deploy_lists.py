"""Compose, Kubernetes and the images say the same as the code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from entityflow.cli.services import SERVICES
from entityflow.kubernetes import kafka_topics
from entityflow.settings import Settings
from entityflow.topics import dead_letter_topics, load_topics

ROOT = Path(__file__).parents[2]
BASE = ROOT / "k8s" / "base"
SERVERS = {"kafka", "minio", "topics"}
WORKLOADS = ("Deployment", "StatefulSet", "Job")


def documents(path: Path) -> Iterator[dict[str, Any]]:
    return iter(YAML(typ="safe").load_all(path.read_text(encoding="utf-8")))


def compose() -> dict[str, Any]:
    return next(documents(ROOT / "docker-compose.yml"))


def workloads() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(BASE.rglob("*.yaml")):
        for document in documents(path):
            if document["kind"] in WORKLOADS:
                yield path.parent.name, document


def test_compose_runs_every_service_and_its_servers() -> None:
    assert set(compose()["services"]) == {*SERVICES, *SERVERS}


@pytest.mark.parametrize("service", SERVICES)
def test_a_compose_service_starts_the_service_of_its_name(service: str) -> None:
    assert compose()["services"][service]["command"] == [service]


def test_kubernetes_has_a_folder_for_every_service() -> None:
    folders = {path.name for path in BASE.iterdir() if path.is_dir()}

    assert folders == {*(service.replace("_", "-") for service in SERVICES), "topics"}


def test_the_base_lists_every_folder() -> None:
    listed = next(documents(BASE / "kustomization.yaml"))["resources"]

    assert {name for name in listed if not name.endswith(".yaml")} == {p.name for p in BASE.iterdir() if p.is_dir()}


def test_a_kubernetes_workload_starts_the_service_of_its_folder() -> None:
    started = {
        folder: document["spec"]["template"]["spec"]["containers"][0]["args"]
        for folder, document in workloads()
        if folder != "topics"
    }

    assert started == {service.replace("_", "-"): [service] for service in SERVICES}


def test_every_container_is_restricted_limited_and_probed() -> None:
    for folder, document in workloads():
        spec = document["spec"]["template"]["spec"]
        (container,) = spec["containers"]

        assert spec["securityContext"]["runAsNonRoot"] is True, folder
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, folder
        assert {"requests", "limits"} <= set(container["resources"]), folder
        if document["kind"] != "Job":
            assert {"readinessProbe", "livenessProbe"} <= set(container), folder
            assert spec["terminationGracePeriodSeconds"] > Settings.model_fields["drain_seconds"].default, folder


def test_no_more_members_than_partitions() -> None:
    for folder, document in workloads():
        name = folder.replace("-", "_")
        counts = [t.partitions for t in load_topics().values() if any(g.name == name for g in t.groups)]
        if counts:
            assert document["spec"]["replicas"] <= min(counts), folder


def test_the_topics_of_kubernetes_are_those_of_topics_yaml() -> None:
    written = list(documents(BASE / "topics" / "topics.yaml"))

    assert written == list(kafka_topics())
    assert [topic["metadata"]["name"] for topic in written] == [*load_topics(), *(n for n, _ in dead_letter_topics())]


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.trainer"])
def test_an_image_gets_sigterm_itself_and_does_not_run_as_root(name: str) -> None:
    text = (ROOT / name).read_text()

    assert 'ENTRYPOINT ["python", "-m", "entityflow.serve"]' in text
    assert re.search(r"^USER 10001$", text, re.MULTILINE)


def test_every_image_is_pinned() -> None:
    images = [service.get("image", "") for name, service in compose()["services"].items() if name in ("kafka", "minio")]

    assert all(re.search(r":[\w.-]*\d", image) for image in images)


def test_the_requirements_that_the_image_installs_exist() -> None:
    named = re.search(r"for extra in ([a-z -]+);", (ROOT / "Dockerfile").read_text())

    assert named is not None
    for extra in named[1].split():
        assert (ROOT / "requirements" / f"{extra}.txt").exists(), extra
