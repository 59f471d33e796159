"""The real servers, started once a run, and fresh names in them for each test."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from entityflow.admin import create_topics
from entityflow.embedded.supervisor import Stack
from entityflow.settings import Settings, load_settings

# waits until our end of the pipe is closed, which the system does even where pytest was killed
WATCH = """
import sys
from pathlib import Path
from entityflow.embedded.supervisor import Stack
sys.stdin.read()
Stack(Path(sys.argv[1])).down()
"""


@contextmanager
def watched(stack: Stack) -> Iterator[Stack]:
    """Its servers stop at the end, however the test run ends."""
    command = [sys.executable, "-c", WATCH, stack.folder]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield stack
    finally:
        stack.down()
        assert watcher.stdin is not None
        watcher.stdin.close()
        watcher.wait(30)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Kafka and S3; gives the variables that name them."""
    with watched(Stack(tmp_path_factory.mktemp("stack"))) as running:
        yield running.up(only=("kafka", "s3"))


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack that a test may stop and break; nothing runs in it yet."""
    with watched(Stack(tmp_path / "stack")) as mine:
        yield mine


@pytest.fixture
def settings(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a prefix of their own, under which all topics exist and nothing lies in S3."""
    own = {name.removeprefix("ENTITYFLOW_").lower(): value for name, value in stack.items()}
    made = load_settings(
        **{**own, "prefix": f"t{uuid.uuid4().hex[:10]}", "state_dir": tmp_path_factory.mktemp("state")}
    )
    create_topics(made)
    return made


@pytest.fixture(autouse=True)
def _logs_as_at_the_start() -> Iterator[None]:
    """A command that was run inside a test configures logs for its whole process: not for the next test."""
    yield
    structlog.reset_defaults()
