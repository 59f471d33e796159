"""The set-up script tells uv what a person told pip."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def setup() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_script", ROOT / "scripts" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_mirror_and_a_certificate_of_pip_reach_uv(setup: ModuleType) -> None:
    lines = ["global.index-url='https://mirror.example/simple'", "global.cert='/etc/ca.pem'", "global.timeout='60'"]

    assert setup.translate(lines) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_HTTP_TIMEOUT": "60",
    }


def test_the_environment_wins_over_files_as_in_pip(setup: ModuleType) -> None:
    lines = [":env:.index-url='https://env.example'", "install.index-url='https://i.example'", "global.index-url='g'"]

    assert setup.translate(lines) == {"UV_DEFAULT_INDEX": "https://env.example"}


def test_folders_of_wheels_that_are_not_there_are_left_out(setup: ModuleType, tmp_path: Path) -> None:
    links = f"\\n{tmp_path}\\n{tmp_path}/none\\nhttps://wheels.example"

    assert setup.translate([f"global.find-links='{links}'"]) == {"UV_FIND_LINKS": f"{tmp_path},https://wheels.example"}


def test_lines_that_say_nothing_to_uv_are_ignored(setup: ModuleType) -> None:
    assert setup.translate(["", "WARNING: something", "global.disable-pip-version-check='1'"]) == {}


def test_requirements_that_do_not_exist_are_wrong_use() -> None:
    command = [sys.executable, ROOT / "scripts" / "setup.py", "nothing"]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stderr == "error: there is no requirements/nothing.txt\nhint: local for the demo, test for the tests\n"


def test_the_installer_is_pinned_by_hash() -> None:
    lines = (ROOT / "requirements" / "bootstrap.txt").read_text().splitlines()

    assert [line.split("==")[0] for line in lines if "==" in line] == ["setuptools", "uv"]
    assert "://" not in "".join(lines)
