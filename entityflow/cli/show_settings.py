"""`entityflow settings`: every value in force, and where it came from."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from entityflow.cli.environment import set_by_somebody
from entityflow.cli.output import print_json, print_table
from entityflow.cli.services import SERVICES
from entityflow.settings import ENV_PREFIX, Settings, load_settings

SECRET = {"kafka_security"}  # passwords may be among its properties


def show_settings(
    changed: Annotated[bool, typer.Option("--changed", help="Only those that are not the default.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Values in force, secrets hidden, and where each came from: environment, the stack's file, a file here, default.

    Example: entityflow settings --changed
    """
    rows = [row for row in _rows() if not changed or row["from"] != "default"]
    if as_json:
        print_json({"settings": rows})
    else:
        print_table(["variable", "value", "from"], [[row["variable"], row["value"], row["from"]] for row in rows])


def _rows() -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    kinds: list[type[Settings]] = [Settings, *_of_services()]
    for kind in kinds:
        settings = load_settings(kind)
        for name in kind.model_fields:
            value = getattr(settings, name)
            rows.setdefault(name, _row(name, value, name in settings.model_fields_set))
    return list(rows.values())


def _of_services() -> list[type[Settings]]:
    modules = [import_module(f"services.{name}.settings") for name in SERVICES]
    found = [one for module in modules for one in vars(module).values()]
    return [one for one in found if isinstance(one, type) and issubclass(one, Settings) and one is not Settings]


def _row(name: str, value: Any, is_set: bool) -> dict[str, Any]:
    variable = ENV_PREFIX + name.upper()
    return {"variable": variable, "value": _shown(name, value), "from": _origin(variable) if is_set else "default"}


def _shown(name: str, value: Any) -> str:
    hidden = value.get_secret_value() if isinstance(value, SecretStr) else value if name in SECRET else None
    if hidden:
        return "***"
    return "" if value is None or isinstance(value, SecretStr) else str(value)


def _origin(variable: str) -> str:
    if set_by_somebody(variable):
        return "environment"
    if variable in os.environ:
        return "stack"
    in_file = Path(".env").is_file() and variable in Path(".env").read_text(encoding="utf-8")
    return ".env" if in_file else "entityflow.yaml"
