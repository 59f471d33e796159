"""How far the logs of what was learned are folded into shards: it saves reading, for a second fold changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from entityflow.objects import ObjectMissing, Objects

KEY = "rewrites/progress.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`amends`: by partition, where to read on. `checked`: by partition, the last offset of the shards that were held
    against the tombstones before `tombstones`.
    """

    amend_uuid: str = ""
    tombstone_uuid: str = ""
    amends: Mapping[str, int] = field(default_factory=dict)
    tombstones: int = 0
    checked: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, objects: Objects, amend_uuid: str, tombstone_uuid: str) -> Progress:
        """From the beginning where there is none, or where a topic was made anew."""
        try:
            plain = json.loads(objects.get(KEY))
        except ObjectMissing:
            plain = {}
        known = cls(**{name: plain[name] for name in cls.__slots__ if name in plain})
        fresh = cls(amend_uuid=amend_uuid, tombstone_uuid=tombstone_uuid)
        if known.amend_uuid == amend_uuid:
            fresh = replace(fresh, amends=known.amends)
        if known.tombstone_uuid == tombstone_uuid:
            fresh = replace(fresh, tombstones=known.tombstones, checked=known.checked)
        return fresh

    def write(self, objects: Objects) -> None:
        objects.put(KEY, json.dumps({"schema": 1, **asdict(self)}, sort_keys=True).encode())
