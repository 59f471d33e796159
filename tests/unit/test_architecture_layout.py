"""What holds the design: who imports whom, what is listed where, what must exist for what."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from entityflow.cli.services import SERVICES
from entityflow.kafka import consumer_properties
from entityflow.reasons import REASONS
from entityflow.settings import Settings
from entityflow.topics import load_topics

ROOT = Path(__file__).parents[2]
CLIENTS = {"confluent_kafka", "aiokafka", "faust", "aiohttp", "minio", "SPARQLWrapper", "requests", "urllib3", "httpx"}
# the files of a service that may know a client: they are its border to the world
BORDERS = {"service.py", "command.py", "settings.py", "sparql.py", "web.py"}
POLLING = {"Consumer", "AIOKafkaConsumer"}
BARE_TOPICS = {"match", "amend", "model", "host", "address", "tombstone"}  # read as tables or not at all


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, by full name, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def service_folders() -> list[str]:
    return sorted(path.name for path in (ROOT / "services").iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_no_other_service(service: str) -> None:
    allowed = f"services.{service}"

    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(ROOT / "services" / service)
        for name in imports(path)
        if name.split(".")[0] == "services" and name != allowed and not name.startswith(f"{allowed}.")
    ]

    assert wrong == []


def test_entityflow_imports_no_service() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(ROOT / "entityflow")
        for name in imports(path)
        if name.split(".")[0] == "services"
    ]

    assert wrong == []


@pytest.mark.parametrize("service", SERVICES)
def test_the_core_of_a_service_knows_no_kafka_http_or_s3_client(service: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(ROOT / "services" / service)
        if path.name not in BORDERS
        for name in imports(path)
        if name.split(".")[0] in CLIENTS
    ]

    assert wrong == []


def test_nobody_but_the_shell_has_a_consumer() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for folder in ("entityflow", "services")
        for path in modules(ROOT / folder)
        if "stage" not in path.parts and path.name not in ("kafka.py", "faust_app.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and POLLING & {alias.name for alias in node.names}
    ]

    assert wrong == []


def test_the_services_are_the_same_in_the_folders_and_in_the_command_line() -> None:
    assert service_folders() == sorted(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_the_first_line_of_a_service_says_what_topics_yaml_says(service: str) -> None:
    first = first_line(service)
    reads, _, writes = first.removeprefix(f"{service}: ").partition(" -> ")
    topics = load_topics()

    main = {name for name, topic in topics.items() if any(g.name == service and g.line == "main" for g in topic.groups)}
    side = {name for name, topic in topics.items() if any(g.name == service and g.line == "side" for g in topic.groups)}
    written = {name for name, topic in topics.items() if service in topic.writers}

    assert first.startswith(f"{service}: ")
    assert main <= words(reads)
    assert words(reads) <= main | side | BARE_TOPICS | {"image"}
    assert words(writes) <= written


def words(text: str) -> set[str]:
    """The topics of one side of the arrow; what stands in brackets is no topic."""
    named = {word.strip() for word in re.sub(r"\([^)]*\)", "", text).split(",")}
    return {word for word in named if word and word not in ("everything", "read only")}


def first_line(service: str) -> str:
    source = (ROOT / "services" / service / "service.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]


def test_every_group_and_every_writer_of_a_topic_is_a_service() -> None:
    known = {*SERVICES, "cli", "import"}

    for topic in load_topics().values():
        assert set(topic.writers) <= known
        assert {group.name.removesuffix("-mover") for group in topic.groups} <= known
        assert {guarded for group in topic.groups for guarded in group.guards} <= known


def test_a_missing_offset_is_a_loss_for_every_consumer() -> None:
    assert consumer_properties(Settings(), "fetcher")["auto.offset.reset"] == "error"


@pytest.mark.parametrize("service", SERVICES)
def test_the_settings_of_a_service_begin_with_its_name(service: str) -> None:
    if not (ROOT / "services" / service / "settings.py").exists():
        pytest.fail(f"{service} has no settings.py")
    module = importlib.import_module(f"services.{service}.settings")
    short = {service, service.removeprefix("entity_")}

    for cls in vars(module).values():
        if isinstance(cls, type) and issubclass(cls, Settings) and cls is not Settings:
            own = set(cls.model_fields) - set(Settings.model_fields)
            assert all(any(name.startswith(f"{prefix}_") for prefix in short) for name in own), own


def test_every_reason_has_a_meaning_and_is_a_stable_word() -> None:
    for word, reason in REASONS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", word), word
        assert reason.meaning.endswith("."), word


def test_no_file_is_much_longer_than_four_hundred_lines() -> None:
    files = [path for folder in ("entityflow", "services") for path in modules(ROOT / folder)]

    assert [str(path.relative_to(ROOT)) for path in files if len(path.read_text().splitlines()) > 420] == []
