"""A server process: its pid file, and what is made of one that is stale."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from entityflow.embedded.ports import LOOPBACK, become_free, free_ports, is_free
from entityflow.embedded.processes import ServerProcess
from entityflow.embedded.supervisor import Stack
from entityflow.errors import UsageError, UserError

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess("sleeper", tmp_path)
    yield process
    process.stop()


def test_it_runs_in_a_session_of_its_own_and_another_command_finds_it(server: ServerProcess, tmp_path: Path) -> None:
    server.start(SLEEPER)

    found = ServerProcess("sleeper", tmp_path)
    assert found.state() == "running"
    assert found.pid is not None
    assert os.getsid(found.pid) == found.pid


def test_a_pid_that_belongs_to_somebody_else_by_now_is_not_ours_to_stop(server: ServerProcess, tmp_path: Path) -> None:
    me = psutil.Process()
    (tmp_path / "run" / "sleeper.json").write_text(json.dumps({"pid": me.pid, "started": me.create_time() - 3600}))

    assert server.state() == "killed"
    server.stop()

    assert me.is_running()
    assert server.state() == "stopped"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": 4194304, "started": 1.0}'])
def test_a_broken_pid_file_is_a_server_that_does_not_run(server: ServerProcess, tmp_path: Path, content: str) -> None:
    (tmp_path / "run" / "sleeper.json").write_text(content)

    assert server.state() == "killed"
    server.start(SLEEPER)
    assert server.state() == "running"


def test_one_that_ends_at_once_is_an_error_with_what_it_printed(server: ServerProcess) -> None:
    server.start([sys.executable, "-c", "import sys; sys.exit('the disk is full')"])

    with pytest.raises(UserError, match="sleeper ended while it started: the disk is full") as caught:
        server.await_ready(lambda: False)

    assert str(server.log) in str(caught.value.hint)


def test_one_that_stays_silent_is_an_error_at_the_deadline(server: ServerProcess) -> None:
    server.start(SLEEPER)

    with pytest.raises(UserError, match="sleeper does not answer after 0 s"):
        server.await_ready(lambda: False, seconds=0)


def test_stop_takes_along_what_it_started(server: ServerProcess) -> None:
    server.start([sys.executable, "-c", f"import subprocess; subprocess.run({SLEEPER!r})"])
    server.await_ready(lambda: bool(psutil.Process(server.pid).children()))
    (child,) = psutil.Process(server.pid).children()

    server.stop()

    assert not child.is_running()


def test_free_ports_are_free_and_so_is_their_companion() -> None:
    ports = free_ports(3, apart=10_000)

    assert len(set(ports)) == 3
    assert all(is_free(port) and is_free(port + 10_000) for port in ports)


def test_a_port_that_somebody_listens_on_does_not_become_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]

        assert not become_free([taken], seconds=0)

    assert become_free([taken], seconds=5)


def test_an_unknown_part_is_an_error_that_lists_the_parts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no part 'kafak'") as caught:
        Stack(tmp_path).up(only=("kafak",))

    assert caught.value.hint == "parts: kafka, s3, sparql, web"


def test_a_stack_where_a_file_lies_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UserError, match=r"cannot write in .*file: File exists"):
        Stack(tmp_path / "file").up()


def test_status_and_down_of_no_stack_make_none(tmp_path: Path) -> None:
    none = Stack(tmp_path / "none")

    assert {part.state for part in none.status()} == {"stopped"}
    assert none.down() == []
    assert not none.folder.exists()
