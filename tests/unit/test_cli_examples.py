"""The example in each command's help is one that the command takes."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from entityflow.cli.commands import COMMANDS
from entityflow.cli.group import load

EXAMPLE = "Example: "


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command that can be called, by all of its words."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    for word, one in (inner or {}).items():
        yield from leaves(f"{name} {word}", one)


CALLABLE = {
    words: command
    for name, entry in COMMANDS.items()
    for words, command in leaves(name, load(name.split()[-1], entry))
}  # fmt: skip


def examples(help_text: str) -> list[str]:
    lines = (line.strip() for line in help_text.splitlines())
    return [line.removeprefix(EXAMPLE) for line in lines if line.startswith(EXAMPLE)]


@pytest.mark.parametrize("words", sorted(CALLABLE))
def test_the_help_of_a_command_shows_an_example_that_the_command_takes(words):
    command = CALLABLE[words]
    found = examples(command.help or "")

    assert found, "no example"
    for example in found:
        program, *rest = shlex.split(example)
        own = words.split()
        assert [program, *rest[: len(own)]] == ["entityflow", *own]
        assert command.make_context(words, rest[len(own) :])
