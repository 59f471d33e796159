"""The tables that ship beside this file, and those that a user writes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from entityflow.errors import UsageError
from entityflow.providers.table import ProviderTable
from entityflow.yaml_positions import read_document

REFUSED = "refused.yaml"


@cache
def provider_names() -> tuple[str, ...]:
    """The providers that ship, by name."""
    folder = files("entityflow.providers")
    return tuple(sorted(one.name.removesuffix(".yaml") for one in folder.iterdir() if _is_table(one.name)))


def _is_table(name: str) -> bool:
    return name.endswith(".yaml") and name != REFUSED


@cache
def provider_table(name: str) -> ProviderTable:
    """A provider that ships. Raises KeyError for any other name."""
    if name not in provider_names():
        raise KeyError(name)
    return read_provider(Path(str(files("entityflow.providers").joinpath(f"{name}.yaml"))))


@cache
def refused_providers() -> Mapping[str, str]:
    """Providers that are left out on purpose, and why."""
    plain = read_document(Path(str(files("entityflow.providers").joinpath(REFUSED)))).plain
    return {str(name): str(why) for name, why in plain.items()}


def read_provider(path: Path) -> ProviderTable:
    """The table in a file. Raises UsageError with one line a mistake."""
    document = read_document(path)
    try:
        return ProviderTable.model_validate(document.plain)
    except ValidationError as exc:
        told = []
        for error in exc.errors(include_url=False):
            loc = tuple(part for part in error["loc"] if part != "[key]")
            if error["type"] == "extra_forbidden":
                told.append(document.complaint(loc, "not known"))
            else:
                told.append(document.complaint(loc, error["msg"].removeprefix("Value error, ")))
        raise UsageError("\n".join(complaint.line for complaint in sorted(told))) from exc
