"""The services by name, in the order that data flows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from entityflow.errors import UsageError

SERVICES = (
    "entity_harvester",
    "query_builder",
    "searcher",
    "fetcher",
    "filter",
    "index",
    "sharder",
    "trainer",
    "coverage",
    "console",
)


def known(names: Iterable[str]) -> list[str]:
    """The services that were named (`-` counts as `_`), in the order of the line. UsageError for a wrong name."""
    wanted = {name.replace("-", "_") for name in names}
    for name in sorted(wanted - set(SERVICES)):
        near = get_close_matches(name, SERVICES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"services: {', '.join(SERVICES)}"
        raise UsageError(f"no service {name!r}", hint=hint)
    return [name for name in SERVICES if name in wanted]
