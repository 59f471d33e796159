"""A command group that imports a command's module when the command is called, not when help is shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from entityflow.errors import UsageError


@dataclass(frozen=True)
class Entry:
    """Where a command lives, and its line in the help. `target` is a function or a typer.Typer."""

    module: str
    target: str
    line: str
    panel: str


class LazyGroup(TyperGroup):
    """`entries` by name; a name of two words is a command of a group of its own, with its help line in `lines`."""

    entries: Mapping[str, Entry] = {}
    lines: Mapping[str, str] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(dict.fromkeys(name.split()[0] for name in self.entries))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that only knows its help line: enough for help and completion."""
        if cmd_name not in self.list_commands(ctx):
            return None
        if entry := self.entries.get(cmd_name):
            stand_in = TyperCommand(cmd_name, help=entry.line, short_help=entry.line)
            stand_in.rich_help_panel = entry.panel
            return stand_in
        return self._subgroup(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself, imported; from here on logs go to stderr.

        Raises UsageError with the nearest name for one that does not exist.
        """
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean `{ctx.command_path} {near[0]}`?" if near else f"{ctx.command_path} --help lists them"
            raise UsageError(f"no command {name!r}", hint=hint)
        entry = self.entries.get(name)
        if entry is None:
            return name, self._subgroup(name), args[1:]
        from entityflow.logs import configure_logs

        configure_logs(os.environ.get("ENTITYFLOW_LOG_LEVEL", "warning"))
        return name, load(name, entry), args[1:]

    def _subgroup(self, name: str) -> TyperGroup:
        inner = {full.split()[1]: entry for full, entry in self.entries.items() if full.split()[0] == name}
        line = f"{self.lines.get(name, name)} ({', '.join(inner)})"
        group = lazy_group(inner, {})(name=name, help=line, short_help=line)
        group.rich_help_panel = next(iter(inner.values())).panel
        return group


def lazy_group(entries: Mapping[str, Entry], lines: Mapping[str, str]) -> type[LazyGroup]:
    return type("Commands", (LazyGroup,), {"entries": entries, "lines": lines})


def load(name: str, entry: Entry) -> Any:
    """The command or group that an entry names."""
    target = getattr(import_module(entry.module), entry.target)
    if isinstance(target, typer.Typer):
        command: Any = get_group(target)
    else:
        app = typer.Typer(add_completion=False)
        app.command(name)(target)
        command = get_command(app)
    command.name = name
    return command
