"""One line a minute for each running service: how much it took, how fast, and what it ended candidates with."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

EVERY_SECONDS = 60.0
NAMED_RESULTS = 3

Totals = tuple[int, Counter[str]]  # records taken, candidates ended by result


def totals_of(exposition: str) -> Totals:
    """From a service's /metrics."""
    taken, ended = 0, Counter[str]()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == "entityflow_consumed_total":
                taken += int(sample.value)
            elif sample.name == "entityflow_outcomes_total":
                ended[sample.labels["result"]] += int(sample.value)
    return taken, ended


def line(totals: Totals, taken_before: int, seconds: float) -> str:
    """`1234 records, 12.3/s; accepted 80, not-found 5, merged 3`."""
    taken, ended = totals
    results = ", ".join(f"{result} {count}" for result, count in ended.most_common(NAMED_RESULTS))
    return f"{taken} records, {max(0, taken - taken_before) / seconds:.1f}/s" + (f"; {results}" if results else "")


async def tell(addresses: Mapping[str, str], say: Callable[[str], None]) -> None:
    """For ever. A service that does not answer has no line; one that was started again counts anew."""
    before: dict[str, int] = {}
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        for name, address in dict(addresses).items():
            exposition = await asyncio.to_thread(_read, address + "/metrics")
            if exposition is not None:
                totals = totals_of(exposition)
                say(f"{name} | {line(totals, before.get(name, 0), EVERY_SECONDS)}")
                before[name] = totals[0]


def _read(address: str) -> str | None:
    try:
        with urlopen(address, timeout=2) as answer:
            return str(answer.read().decode("utf-8", "replace"))
    except (URLError, OSError):
        return None
