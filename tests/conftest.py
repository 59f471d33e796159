"""The real servers, started once a run, and fresh names in them for each test."""

import uuid
from collections.abc import Iterator

import pytest

from entityflow.admin import create_topics
from entityflow.embedded.supervisor import Stack
from entityflow.settings import Settings, load_settings


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Kafka and S3; gives the variables that name them."""
    running = Stack(tmp_path_factory.mktemp("stack"))
    try:
        yield running.up(only=("kafka", "s3"))
    finally:
        running.down()


@pytest.fixture
def settings(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a prefix of their own, under which all topics exist and nothing lies in S3."""
    own = {name.removeprefix("ENTITYFLOW_").lower(): value for name, value in stack.items()}
    made = load_settings(
        **{**own, "prefix": f"t{uuid.uuid4().hex[:10]}", "state_dir": tmp_path_factory.mktemp("state")}
    )
    create_topics(made)
    return made
