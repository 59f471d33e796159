"""entity_harvester: (SPARQL) -> entity

Walks a knowledge graph below the roots of the domain and writes every entity that is new, changed or gone since the
last pass, then the `knowledge/` snapshot that the next pass compares with. Safe to replay: an entity's record is a
function of the graph, the snapshot moves only after every record is acknowledged, and an answer that is not whole ends
the pass before anything is written.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from entityflow.domain import Domain, load_domain
from entityflow.errors import UsageError, UserError
from entityflow.objects import Objects
from entityflow.settings import load_settings
from entityflow.stage import Send, Shell, produce_all
from services.entity_harvester.changes import Changes, after, compare
from services.entity_harvester.harvest import Harvest, harvest
from services.entity_harvester.knowledge import LATEST, make_snapshot, read_latest, write_snapshot
from services.entity_harvester.settings import HarvesterSettings
from services.entity_harvester.sparql import Sparql

T = TypeVar("T")


@dataclass(frozen=True)
class Pass:
    """What one pass found and wrote. `version` is that of the knowledge snapshot."""

    found: Harvest
    changes: Changes
    version: str
    written: int


def run_pass(domain: Domain, settings: HarvesterSettings, limit: int | None = None) -> Pass:
    """Harvest, compare, write. Raises UserError, with nothing written, where the pass is not to be believed."""
    objects = Objects(settings)
    objects.ensure_bucket()
    last = read_latest(objects)
    known = last.entities if last else {}
    found = look(domain, settings, limit, [entity.id for entity in known.values() if not entity.retired])
    changes = compare(known, found.entities, domain.limits.max_vanished_share)
    snapshot = make_snapshot(after(known, found.entities, changes))
    written = produce_all("entity_harvester", settings, [Send("entity", one) for one in changes.all], ["entity"])
    if last is None or snapshot.version != last.version:
        write_snapshot(objects, snapshot)
    structlog.get_logger().info(
        "harvest_done",
        domain=domain.name,
        entities=len(found.entities),
        new=len(changes.new),
        changed=len(changes.changed),
        retired=len(changes.retired),
        unnamed=len(found.unnamed),
        knowledge=snapshot.version,
    )
    return Pass(found, changes, snapshot.version, written)


def look(domain: Domain, settings: HarvesterSettings, limit: int | None, known: list[str]) -> Harvest:
    """Harvest without writing. Raises UserError where the graph holds nothing below the roots."""
    wanted = limit if limit is not None else settings.harvester_limit or domain.limits.entities
    found = harvest(domain, Sparql(settings), wanted, settings.harvester_page_items, known)
    if not found.entities and not known:
        roots = ", ".join(item.id for item in domain.roots)
        raise UserError(
            f"no entity is below {roots} in the graph at {settings.sparql_endpoint}",
            hint="check roots, relations and filters of the domain file",
        )
    return found


def seconds_to_wait(objects: Objects, interval: float, now: datetime) -> float:
    """How long until the next pass is due, by the age of the last one."""
    for stored in objects.list(LATEST):
        return max(0.0, interval - (now - stored.modified).total_seconds())
    return 0.0


async def harvest_when_due(domain: Domain, settings: HarvesterSettings) -> None:
    objects = Objects(settings)
    wait = await _in_thread(lambda: seconds_to_wait(objects, settings.harvester_interval_seconds, datetime.now(UTC)))
    await asyncio.sleep(wait)
    await _in_thread(lambda: run_pass(domain, settings))


async def _in_thread(work: Callable[[], T]) -> T:
    """In a daemon thread: a stop does not wait for an endpoint that thinks for minutes; a pass may end anywhere."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as exc:  # noqa: BLE001 - handed on to the loop, not handled
            done.set_exception(exc)

    threading.Thread(target=run, daemon=True, name="harvest").start()
    return await asyncio.wrap_future(done)


def main() -> None:
    settings = load_settings(HarvesterSettings)
    if settings.domain is None:
        raise UsageError("no domain is set", hint="ENTITYFLOW_DOMAIN=domains/demo.yaml")
    domain = load_domain(settings.domain)
    shell = Shell("entity_harvester", settings)
    shell.every(0.0, lambda: harvest_when_due(domain, settings))
    sys.exit(shell.run())


if __name__ == "__main__":
    main()
