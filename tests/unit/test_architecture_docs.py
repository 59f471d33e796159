"""The docs say what is so: their commands exist, their tables and files are the code's."""

import re
from pathlib import Path

import pytest
from typer.core import TyperGroup

from entityflow.cli.commands import COMMANDS, application
from entityflow.cli.group import load
from entityflow.cli.services import SERVICES
from entityflow.reasons_page import page

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PATH = re.compile(r"`((?:entityflow|services|schemas|domains|docs|k8s|tests)/[\w./-]+)`|\]\(([\w./-]+\.md)\)")


def commands_in(text: str) -> list[tuple[list[str], list[str]]]:
    """(words of the command, its long options) for each `entityflow ...` in code of a text."""
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^ {4}(.+)$", text, re.MULTILINE)
    code += [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    found = []
    for piece in code:
        call = re.split(r"\s{2,}|[#|]", piece.strip())[0].split()
        if call[:1] == ["entityflow"] and len(call) > 1:
            found.append((call[1:], [word.split("=")[0] for word in call if word.startswith("--")]))
    return found


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_command_in_the_docs_exists_with_its_options(path: Path) -> None:
    for words, options in commands_in(path.read_text(encoding="utf-8")):
        if words[0] == "--help":
            continue
        command = find(words)
        known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--debug"}

        assert set(options) <= known, words


def find(words: list[str]):  # type: ignore[no-untyped-def]
    names = {name.split()[0] for name in COMMANDS}
    assert words[0] in names, f"entityflow {words[0]} does not exist"
    if len(words) > 1 and " ".join(words[:2]) in COMMANDS:
        return load(words[1], COMMANDS[" ".join(words[:2])])
    command = load(words[0], COMMANDS[words[0]])
    if isinstance(command, TyperGroup) and len(words) > 1:
        assert words[1] in command.commands, f"entityflow {words[0]} {words[1]} does not exist"
        return command.commands[words[1]]
    return command


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_file_that_the_docs_name_exists(path: Path) -> None:
    for code, link in PATH.findall(path.read_text(encoding="utf-8")):
        named = ROOT / code if code else path.parent / link

        assert named.exists() or "colours" in str(named) or "NAME" in str(named), named


def test_the_readme_lists_every_service_with_what_it_reads_and_writes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    rows = dict(re.findall(r"^\| (\w+) \| (.+?) \| .+ \|$", text, re.MULTILINE))
    del rows["service"]

    assert list(rows) == list(SERVICES)
    for name, line in rows.items():
        opens = (ROOT / "services" / name / "service.py").read_text().splitlines()[0].removeprefix(f'"""{name}: ')
        assert set(re.findall(r"[\w-]+", opens)) <= set(re.findall(r"[\w-]+", line)), name


def test_the_page_of_reasons_is_made_from_the_code() -> None:
    assert (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8") == page()


def test_help_lists_exactly_the_commands_of_the_table() -> None:
    assert set(application().list_commands(None)) == {name.split()[0] for name in COMMANDS}
