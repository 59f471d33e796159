"""The command line as a person and a shell see it: help, errors, exit codes, nothing imported too early."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from entityflow.cli.commands import COMMANDS
from entityflow.cli.environment import load_stack, read_stack_file, stack_dir
from entityflow.cli.group import load

HEAVY = ("torch", "pyarrow", "aiohttp", "confluent_kafka", "PIL", "pydantic_settings", "minio")


def entityflow(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entityflow", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", **environment},
    )


def test_help_imports_nothing_that_is_slow_to_import() -> None:
    code = (
        "import sys\nfrom entityflow.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ran.stderr.strip() == "[]"
    assert "demo" in ran.stdout


def test_help_lists_every_command_and_has_no_escape_byte_when_piped() -> None:
    shown = entityflow("--help")

    assert shown.returncode == 0
    assert "\x1b" not in shown.stdout
    for name in COMMANDS:
        assert name.split()[0] in shown.stdout


def test_an_unknown_command_suggests_the_nearest_on_stderr_and_exits_with_two() -> None:
    ran = entityflow("reprot")

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.splitlines() == ["error: no command 'reprot'", "hint: did you mean `entityflow report`?"]


def test_an_unknown_command_of_a_group_suggests_the_nearest_too() -> None:
    ran = entityflow("inspect", "imgae")

    assert ran.returncode == 2
    assert "did you mean `entityflow inspect image`?" in ran.stderr


def test_an_unknown_option_is_one_line_and_exits_with_two() -> None:
    ran = entityflow("topics", "tail", "url", "--limt", "3")

    assert ran.returncode == 2
    assert ran.stderr.splitlines()[0].startswith("error: No such option: --limt")
    assert len(ran.stderr.splitlines()) == 2


def test_a_bad_setting_names_the_variable_and_shows_no_traceback() -> None:
    ran = entityflow("report", ENTITYFLOW_METRICS_PORT="99999")

    assert ran.returncode == 2
    assert "ENTITYFLOW_METRICS_PORT='99999'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_debug_shows_the_traceback_wherever_it_stands() -> None:
    ran = entityflow("report", "--debug", ENTITYFLOW_METRICS_PORT="99999")

    assert ran.returncode == 2
    assert "Traceback" in ran.stderr


def test_an_unknown_service_suggests_the_nearest() -> None:
    ran = entityflow("run", "fethcer")

    assert ran.returncode == 2
    assert ran.stderr.splitlines() == ["error: no service 'fethcer'", "hint: did you mean fetcher?"]


def test_an_unknown_topic_suggests_the_nearest() -> None:
    ran = entityflow("topics", "tail", "filterd-pair")

    assert ran.returncode == 2
    assert "did you mean filtered-pair?" in ran.stderr


@pytest.fixture(autouse=True)
def _nothing_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entityflow.cli.environment._taken_over", set())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_can_be_loaded_and_has_a_help_text(name: str) -> None:
    command = load(name.split()[-1], COMMANDS[name])

    assert command.help


def test_the_stack_file_gives_what_is_not_set_and_leaves_what_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stack.env").write_text("ENTITYFLOW_KAFKA_BOOTSTRAP=127.0.0.1:1\nENTITYFLOW_S3_BUCKET='theirs'\n")
    monkeypatch.delenv("ENTITYFLOW_KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setenv("ENTITYFLOW_S3_BUCKET", "ours")

    loaded = load_stack(tmp_path)

    assert loaded
    assert read_stack_file(tmp_path / "stack.env")["ENTITYFLOW_S3_BUCKET"] == "theirs"
    assert os.environ["ENTITYFLOW_KAFKA_BOOTSTRAP"] == "127.0.0.1:1"
    assert os.environ["ENTITYFLOW_S3_BUCKET"] == "ours"
    monkeypatch.delenv("ENTITYFLOW_KAFKA_BOOTSTRAP")


def test_a_stack_that_came_up_on_other_ports_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENTITYFLOW_KAFKA_BOOTSTRAP", raising=False)
    (tmp_path / "stack.env").write_text("ENTITYFLOW_KAFKA_BOOTSTRAP=127.0.0.1:1\n")
    load_stack(tmp_path)

    (tmp_path / "stack.env").write_text("ENTITYFLOW_KAFKA_BOOTSTRAP=127.0.0.1:2\n")
    load_stack(tmp_path)

    assert os.environ["ENTITYFLOW_KAFKA_BOOTSTRAP"] == "127.0.0.1:2"
    monkeypatch.delenv("ENTITYFLOW_KAFKA_BOOTSTRAP")


def test_the_stack_file_is_not_read_where_a_broker_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stack.env").write_text("ENTITYFLOW_S3_BUCKET=theirs\n")
    monkeypatch.setenv("ENTITYFLOW_KAFKA_BOOTSTRAP", "broker.example:9092")

    assert not load_stack(tmp_path)


def test_the_stack_folder_is_the_one_that_dir_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENTITYFLOW_STACK_DIR", raising=False)

    assert stack_dir(["up", "--dir", "there"]) == Path("there")
    assert stack_dir(["up", "--dir=there"]) == Path("there")
    assert stack_dir(["up"]) == Path(".stack")
    assert stack_dir() == Path(".stack")


@pytest.mark.parametrize("words", [("report",), ("wait",), ("seal",), ("topics", "list"), ("run", "fetcher")])
def test_where_nothing_listens_a_command_says_so_at_once(words: tuple[str, ...]) -> None:
    ran = entityflow(*words, ENTITYFLOW_KAFKA_BOOTSTRAP="127.0.0.1:1")

    error, hint = ran.stderr.splitlines()
    assert ran.returncode == 1
    assert error == "error: nothing answers at 127.0.0.1:1, where Kafka should be"
    assert hint.startswith("hint: entityflow up")


@pytest.mark.parametrize("words", [("shards", "list"), ("model", "list")])
def test_where_no_object_store_listens_a_command_says_so_at_once(words: tuple[str, ...]) -> None:
    ran = entityflow(*words, ENTITYFLOW_S3_ENDPOINT="http://127.0.0.1:1")

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[0] == "error: nothing answers at http://127.0.0.1:1, where S3 should be"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ran = entityflow("demo", "--dir", str(tmp_path / "file" / "stack"))

    assert ran.returncode == 1
    assert str(tmp_path / "file") in ran.stderr.splitlines()[0]
    assert "Traceback" not in ran.stderr
