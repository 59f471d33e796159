"""Services under the supervisor, as real processes against real servers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil

from entityflow.records import Entity
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all
from tests.integration.command import environment, run_command
from tests.waiting import eventually

DOMAIN = Path(__file__).parents[2] / "domains" / "demo.yaml"


@contextmanager
def running(settings: Settings, folder: Path, *names: str) -> Iterator[subprocess.Popen[str]]:
    """`entityflow run`, and nothing of it afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "entityflow", "run", *names, "--dir", str(folder)],
        env=environment(settings, ENTITYFLOW_DOMAIN=str(DOMAIN), ENTITYFLOW_SESSION_TIMEOUT_SECONDS="6"),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        family = [process, *children(process)]
        for one in family:
            if psutil.pid_exists(one.pid):
                os.kill(one.pid, signal.SIGKILL)
        process.wait(10)
        if process.stderr is not None:
            process.stderr.close()


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def ready(folder: Path, name: str) -> int | None:
    """The port of a service that says it is ready."""
    try:
        address = json.loads((folder / "run" / "services.json").read_text())[name]
        with urlopen(address + "/readyz", timeout=2) as answer:
            return int(address.rpartition(":")[2]) if answer.status == 200 else None
    except (OSError, KeyError, ValueError):
        return None


def test_sigterm_stops_every_service_and_leaves_none(settings: Settings, tmp_path: Path) -> None:
    with running(settings, tmp_path, "coverage", "console") as process:
        eventually(lambda: ready(tmp_path, "coverage") and ready(tmp_path, "console"))
        services = children(process)

        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert len(services) == 2
    assert not any(service.is_running() for service in services)
    assert "again to stop now" in said


def test_a_service_that_is_killed_starts_again(settings: Settings, tmp_path: Path) -> None:
    with running(settings, tmp_path, "coverage") as process:
        port = eventually_ready(tmp_path, "coverage")
        (service,) = children(process)

        service.kill()

        eventually(lambda: ready(tmp_path, "coverage") not in (None, port))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 0
    assert "coverage | ended with -9; starts again" in said


def eventually_ready(folder: Path, name: str) -> int:
    eventually(lambda: ready(folder, name))
    return ready(folder, name) or 0


def test_a_second_signal_ends_at_once(settings: Settings, tmp_path: Path) -> None:
    with running(settings, tmp_path, "coverage") as process:
        eventually_ready(tmp_path, "coverage")
        (service,) = children(process)
        service.suspend()

        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        eventually(lambda: "again to stop now" in (process.stderr.readline() if process.stderr else ""))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    assert not service.is_running()


def test_services_do_not_outlive_a_supervisor_that_was_killed(settings: Settings, tmp_path: Path) -> None:
    with running(settings, tmp_path, "coverage") as process:
        eventually_ready(tmp_path, "coverage")
        (service,) = children(process)

        process.kill()

        eventually(lambda: not service.is_running() or service.status() == psutil.STATUS_ZOMBIE)


def test_a_wrong_setting_ends_the_run_with_two_and_names_it(settings: Settings) -> None:
    ran = run_command(settings, "run", "coverage", ENTITYFLOW_COVERAGE_ROUNDS="-1", ENTITYFLOW_DOMAIN=str(DOMAIN))

    assert ran.returncode == 2
    assert "ENTITYFLOW_COVERAGE_ROUNDS='-1'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_missing_topic_is_one_line_with_its_cure(settings: Settings) -> None:
    ran = run_command(settings, "run", "fetcher", ENTITYFLOW_PREFIX=f"{settings.prefix}-none")

    assert ran.returncode == 1
    error, hint = ran.stderr.splitlines()
    assert error.startswith(f"error: topic {settings.prefix}-none.entity does not exist")
    assert hint == "hint: entityflow topics create"


def test_wrong_keys_of_the_object_store_are_one_line(settings: Settings) -> None:
    ran = run_command(settings, "run", "fetcher", ENTITYFLOW_S3_SECRET_KEY="wrong")

    assert ran.returncode == 1
    assert "ENTITYFLOW_S3" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_waiting_names_what_is_left_at_the_time_out(settings: Settings) -> None:
    produce_all("test", settings, [Send("entity", Entity(id="Q1", label="owl", lang="en"))], ["entity"])

    ran = run_command(settings, "wait", "--timeout", "1")

    assert ran.returncode == 1
    assert "query_builder 1 of entity" in ran.stderr
