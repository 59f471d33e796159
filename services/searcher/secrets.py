"""Keys of providers: ENTITYFLOW_SECRET_NAME in the environment. They are never logged, kept or put into a record."""

from __future__ import annotations

import os
from collections.abc import Mapping

from entityflow.errors import UsageError
from entityflow.providers import ProviderTable

VARIABLE = "ENTITYFLOW_SECRET_"


def secrets_of(table: ProviderTable, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Those that are set, by name. Raises UsageError where one is missing that the provider needs."""
    found = {name: environment.get(VARIABLE + name, "").strip() for name in table.secrets()}
    for name in table.needs:
        if not found[name]:
            raise UsageError(
                f"provider {table.name} wants a key: {VARIABLE}{name} is not set",
                hint=f"{table.terms.url} tells where to get one; or take {table.name} out of the domain file",
            )
    for name, secret in found.items():
        if not secret.isprintable() or not secret.isascii():
            raise UsageError(f"{VARIABLE}{name}: printable ASCII characters only")
    return {name: secret for name, secret in found.items() if secret}
