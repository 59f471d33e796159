"""Files below `shards/` that no reader needs: of no manifest, or of a version that another has replaced."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from entityflow.objects import ObjectMissing, Objects, StoredObject
from entityflow.shards import MANIFEST, ROOT, Manifest, decode_manifest

ORPHAN, SUPERSEDED, FORGOTTEN = "orphan", "superseded", "forgotten"
PLANS = "training/plans/"
PLANS_IN_USE = 3  # a trainer that resumes may go back to the plan before the newest


@dataclass(frozen=True, slots=True)
class Leftover:
    """orphan: its writer was killed before the manifest, or a rival was faster. superseded: a later version has
    replaced it, `since` then; forgotten: that version had something to forget, so this file goes at once.
    """

    key: str
    bytes: int
    why: str
    since: datetime

    def may_go(self, now: datetime, safe_age: timedelta, planned: frozenset[str]) -> bool:
        """Whether nobody can be about to use it: not its writer, nor a trainer whose plan names it."""
        if self.why == FORGOTTEN:
            return True
        return now - self.since >= safe_age and self.key not in planned


def leftovers(objects: Objects) -> list[Leftover]:
    """By key. Files are listed before manifests are read: one that comes meanwhile is seen by neither."""
    stored = {item.key: item for item in objects.list(ROOT)}
    versions: dict[tuple[str, str], list[Manifest]] = {}
    for key in stored:
        if match := MANIFEST.match(key):
            versions.setdefault((match[1], match[2]), []).append(decode_manifest(objects.get(key)))
    named: set[str] = set()
    replaced: dict[str, Leftover] = {}
    for manifests in versions.values():
        ordered = sorted(manifests, key=lambda one: one.version)
        named |= {item.key for item in ordered[-1].objects}
        replaced.update({one.key: one for one in _replaced(ordered, stored)})
    orphans = {
        key: Leftover(key, item.size, ORPHAN, item.modified)
        for key, item in stored.items()
        if key not in replaced and not MANIFEST.match(key)
    }
    found = {**orphans, **replaced}
    return [found[key] for key in sorted(found) if key not in named]


def _replaced(versions: list[Manifest], stored: Mapping[str, StoredObject]) -> Iterator[Leftover]:
    """Files of all versions but the last, oldest first."""
    for at, manifest in enumerate(versions[:-1]):
        later = versions[at + 1 :]
        why = FORGOTTEN if any(one.folded and one.folded.forgotten for one in later) else SUPERSEDED
        for item in manifest.objects:
            if item.key in stored:
                yield Leftover(item.key, stored[item.key].size, why, stored[later[0].key].modified)


def delete(objects: Objects, chosen: Iterable[Leftover]) -> Iterator[Leftover]:
    """Those that are deleted: one that was written again since it was found stays."""
    for leftover in chosen:
        now = next((item for item in objects.list(leftover.key) if item.key == leftover.key), None)
        if now is not None and (leftover.why != ORPHAN or now.modified == leftover.since):
            objects.delete(leftover.key)
            yield leftover


def planned_files(objects: Objects) -> frozenset[str]:
    """Tars that the newest plans of a trainer name: it reads them until it has trained on them."""
    keys = sorted(item.key for item in objects.list(PLANS) if item.key.endswith(".json"))
    found: set[str] = set()
    for key in keys[-PLANS_IN_USE:]:
        try:
            plan = json.loads(objects.get(key))
        except ObjectMissing:
            continue  # a trainer that began anew has removed it
        for source in plan.get("sources", []):
            found |= {source["ref"].get("tar"), source["ref"].get("heldout_tar")} - {None}
    return frozenset(found)
