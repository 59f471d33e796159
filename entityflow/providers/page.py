"""The table of docs/providers.md: `python -m entityflow.providers.page`; a test compares."""

from __future__ import annotations

import sys

from entityflow.providers.loading import provider_names, provider_table, refused_providers
from entityflow.providers.table import ProviderTable, Quota

HEAD = """\
| name | what | asked with | key | pages | limits | price for 1,000 | licence | texts | terms |
|---|---|---|---|---|---|---|---|---|---|
"""
REFUSED_HEAD = """\
| left out | why |
|---|---|
"""


def page() -> str:
    """Providers that ship, then those that are left out."""
    known = "".join(f"{_row(provider_table(name))}\n" for name in provider_names())
    refused = "".join(f"| {name} | {why} |\n" for name, why in sorted(refused_providers().items()))
    return f"{HEAD}{known}\n{REFUSED_HEAD}{refused}"


def _row(table: ProviderTable) -> str:
    paging = table.paging
    cells = (
        f"`{table.name}`",
        table.title,
        "kinds " + ", ".join(table.kinds) if table.kinds else "every query",
        ", ".join(name + ("" if name in table.needs else " (optional)") for name in table.secrets()) or "none",
        f"{paging.max_pages} of {paging.max_per_page}",
        _limits(table.quota),
        f"${table.price_per_1000:g}" if table.price_per_1000 else "free",
        table.licences,
        table.texts,
        f"[read {table.terms.read}]({table.terms.url}): {table.terms.note}",
    )
    return f"| {' | '.join(cells)} |"


def _limits(quota: Quota) -> str:
    windows = ("second", "minute", "hour", "day", "month")
    said = [(getattr(quota, f"per_{window}"), window) for window in windows]
    return ", ".join(f"{count:g} a {window}" for count, window in said if count) or "not said"


if __name__ == "__main__":
    sys.stdout.write(page())
