"""A stack of real servers: started, killed, started again, stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from entityflow.admin import Admin
from entityflow.embedded.doctor import examine
from entityflow.embedded.supervisor import Stack
from entityflow.errors import UserError
from entityflow.objects import Objects
from entityflow.settings import Settings, load_settings
from tests.integration.command import run_command
from tests.waiting import eventually


def settings_of(variables: dict[str, str]) -> Settings:
    return load_settings(**{name.removeprefix("ENTITYFLOW_").lower(): value for name, value in variables.items()})


def states(stack: Stack) -> dict[str, str]:
    return {part.name: part.state for part in stack.status()}


def pids(stack: Stack) -> dict[str, int | None]:
    return {part.name: part.pid for part in stack.status()}


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_a_killed_part_is_named_and_the_next_up_starts_it_alone_with_what_it_held(own_stack: Stack) -> None:
    own_stack.up(only=("kafka", "sparql"))
    first = settings_of(own_stack.up(only=("kafka",)))
    Admin(first).create([("kept", 1, {})])
    before = pids(own_stack)

    kill(before["kafka"])

    assert states(own_stack) == {"kafka": "killed", "s3": "stopped", "sparql": "running", "web": "stopped"}
    again = settings_of(own_stack.up(only=("kafka", "sparql")))
    assert again.kafka_bootstrap == first.kafka_bootstrap
    assert Admin(again).partitions(["kept"]) == {"kept": 1}
    after = pids(own_stack)
    assert after["sparql"] == before["sparql"]
    assert after["kafka"] != before["kafka"]


def test_objects_outlive_a_stop_and_ports_that_somebody_else_took(own_stack: Stack) -> None:
    settings = settings_of(own_stack.up(only=("s3",)))
    Objects(settings).put("kept", b"bytes")
    ports = dict(own_stack.status()[1].ports)

    assert own_stack.down() == ["s3"]
    with socket.create_server(("127.0.0.1", ports["s3"])), socket.create_server(("127.0.0.1", ports["master"])):
        moved = settings_of(own_stack.up(only=("s3",)))

        assert moved.s3_endpoint != settings.s3_endpoint
        assert Objects(moved).get("kept") == b"bytes"


def test_two_ups_at_once_start_one_server(own_stack: Stack) -> None:
    def up(_: int) -> dict[str, str]:
        return Stack(own_stack.folder).up(only=("sparql",))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(up, range(2))

    assert first == second
    ours = [one for one in psutil.process_iter() if str(own_stack.folder) in _command_line(one)]
    assert len([one for one in ours if "oxigraph" in one.name()]) == 1


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_down_leaves_no_process_even_of_a_server_that_does_not_listen_to_it(own_stack: Stack) -> None:
    own_stack.up(only=("s3", "sparql"))
    ran = [pid for pid in pids(own_stack).values() if pid]
    os.kill(own_stack.status()[2].pid or 0, signal.SIGSTOP)  # a stopped process does not see SIGTERM

    own_stack.down()

    assert not [pid for pid in ran if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    assert set(states(own_stack).values()) == {"stopped"}


def test_only_the_user_may_read_what_holds_the_password(own_stack: Stack) -> None:
    variables = own_stack.up(only=("s3",))

    secret = variables["ENTITYFLOW_S3_SECRET_KEY"]
    holders = [path for path in own_stack.folder.rglob("*") if _holds(path, secret)]
    assert own_stack.environment_file in holders
    assert {stat.S_IMODE(path.stat().st_mode) for path in holders} == {0o600}


def _holds(path: Path, secret: str) -> bool:
    return path.is_file() and secret.encode() in path.read_bytes()


def test_a_server_that_ends_while_it_starts_is_one_line_with_its_own_words(own_stack: Stack) -> None:
    own_stack.up(only=("kafka",))
    own_stack.down()
    meta = own_stack.folder / "kafka" / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=2"))

    with pytest.raises(UserError) as caught:
        own_stack.up(only=("kafka",))

    assert "kafka ended while it started" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(own_stack.folder / "logs" / "kafka.log") in str(caught.value.hint)


def test_the_doctor_finds_a_store_that_keeps_the_first_of_two(stack: dict[str, str]) -> None:
    findings = {one.name: one for one in examine(Path(stack["ENTITYFLOW_STACK_DIR"]), settings_of(stack))}

    assert findings["S3 conditional PUT"].ok
    assert findings["broker"].ok
    assert findings["kafka"].ok
    assert not findings["web"].ok
    assert findings["web"].cure == "entityflow up"


def test_the_doctor_of_a_machine_without_servers_names_the_cure_and_exits_1(tmp_path: Path) -> None:
    done = run_command(load_settings(), "doctor", "--dir", str(tmp_path / "none"), "--json", folder=tmp_path)

    document = json.loads(done.stdout)
    broken = {one["name"]: one["cure"] for one in document["findings"] if not one["ok"]}
    assert done.returncode == 1
    assert broken["broker"] == broken["S3 conditional PUT"] == broken["kafka"] == "entityflow up"
    assert not (tmp_path / "none").exists()
