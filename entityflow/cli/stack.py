"""`entityflow up`, `down`, `status`, `doctor`: the local stack and the machine under it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from entityflow.cli.environment import load_stack, stack_dir
from entityflow.cli.output import print_json, print_table, say

Dir = Annotated[Path | None, typer.Option("--dir", help="Folder of the local stack; else .stack.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def up(
    only: Annotated[str, typer.Option(help="Some parts, by comma: kafka,s3,sparql,web.")] = "",
    directory: Dir = None,
    as_json: Json = False,
) -> None:
    """Start what does not run, and wait until it answers.

    Servers go on when the command ends. A second `up` starts only what is down.

    Example: entityflow up --only kafka,s3
    """
    from entityflow.embedded.supervisor import Stack

    stack = Stack(directory or stack_dir())
    stack.up([name.strip() for name in only.split(",") if name.strip()], say)
    say(f"ready; variables in {stack.environment_file}")
    _show(stack.folder, as_json)


def down(directory: Dir = None) -> None:
    """Stop every server of the stack; what they hold stays in its folder.

    Example: entityflow down
    """
    from entityflow.cli.console import stop_console
    from entityflow.embedded.supervisor import Stack

    folder = directory or stack_dir()
    stop_console(folder.absolute())
    ran = Stack(folder).down()
    say(f"stopped {', '.join(ran)}" if ran else f"nothing ran in {folder}")


def status(directory: Dir = None, as_json: Json = False) -> None:
    """What runs, under which pid, on which ports. `killed` is what ended without `down`; `up` starts it again.

    Example: entityflow status --json
    """
    _show(directory or stack_dir(), as_json)


def _show(folder: Path, as_json: bool) -> None:
    from entityflow.embedded.supervisor import Stack

    parts = Stack(folder).status()
    if as_json:
        print_json({"dir": str(folder.absolute()), "parts": [asdict(part) for part in parts]})
        return
    rows = [(part.name, part.state, part.pid or "-", _ports(part.ports)) for part in parts]
    print_table(("part", "state", "pid", "ports"), rows)


def _ports(ports: dict[str, int]) -> str:
    return " ".join(f"{name}={port}" for name, port in ports.items()) or "-"


def doctor(directory: Dir = None, as_json: Json = False) -> None:
    """Look at versions, disk, names, ports, the broker and S3, and say the cure of what is not ok.

    Exit code 1 when something is not ok.

    Example: entityflow doctor
    """
    from entityflow.embedded.doctor import examine
    from entityflow.settings import Settings, load_settings

    folder = directory or stack_dir()
    load_stack(folder)
    findings = examine(folder.absolute(), load_settings(Settings))
    ok = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ok": ok, "findings": [asdict(finding) for finding in findings]})
    else:
        rows = [(one.name, "ok" if one.ok else "NOT OK", one.value, one.cure or "") for one in findings]
        print_table(("what", "", "found", "cure"), rows)
    raise typer.Exit(0 if ok else 1)
