"""Which mirror a settings.xml of Maven names for Central."""

from __future__ import annotations

from pathlib import Path

import pytest

from entityflow.embedded.mirrors import central_mirror
from entityflow.errors import UserError

NAMESPACE = ' xmlns="http://maven.apache.org/SETTINGS/1.2.0"'


def settings(folder: Path, *mirrors: tuple[str, str], namespace: str = NAMESPACE) -> Path:
    entries = "".join(f"<mirror><mirrorOf>{of}</mirrorOf><url>{url}</url></mirror>" for of, url in mirrors)
    path = folder / "settings.xml"
    path.write_text(f"<settings{namespace}><mirrors>{entries}</mirrors></settings>")
    return path


@pytest.mark.parametrize("of", ["central", "*", "external:*", "snapshots, central", "*,!internal"])
@pytest.mark.parametrize("namespace", [NAMESPACE, ""])
def test_a_mirror_of_central_is_found(tmp_path: Path, of: str, namespace: str) -> None:
    path = settings(tmp_path, ("jboss", "https://other.example"), (of, "https://m.example/x/"), namespace=namespace)

    assert central_mirror(path) == "https://m.example/x"


@pytest.mark.parametrize("of", ["jboss", "*,!central", ""])
def test_a_mirror_of_something_else_is_not_it(tmp_path: Path, of: str) -> None:
    assert central_mirror(settings(tmp_path, (of, "https://m.example"))) is None


def test_without_settings_there_is_none(tmp_path: Path) -> None:
    assert central_mirror(tmp_path / "settings.xml") is None


def test_settings_that_are_no_xml_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "settings.xml").write_text("<settings>")

    with pytest.raises(UserError, match=r"settings\.xml cannot be read"):
        central_mirror(tmp_path / "settings.xml")
