"""Which topics a service has seen, by uuid: one that was made anew is a loss, and not a first start.

With a deleted topic the broker deletes the offsets of its groups, so that `topics create` would begin the new one at 0
as if nothing had ever been there. What was seen is therefore kept apart, beside two other topics: as metadata of an
offset of `SERVICE-seen`, a group without members. It survives process, pod and machine; one of the two may be deleted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import structlog

from entityflow.admin import Admin
from entityflow.errors import LossDetected
from entityflow.metrics import LOSSES
from entityflow.settings import Settings

ANCHORS = ("entity", "tombstone")  # small topics that every deployment has and never deletes by age
ACCEPT = "--accept-loss (or ENTITYFLOW_ACCEPT_LOSS=true) goes on at the first record there is, and counts what was lost"


def recognise(service: str, settings: Settings, uuids: Mapping[str, str]) -> None:
    """Compare topics with those that the service saw last, and remember them.

    Raises LossDetected where one was made anew; with `accept_loss` that is logged and counted instead.
    """
    admin = Admin(settings)
    seen = _seen(admin, service)
    changed = {topic: seen[topic] for topic, uuid in uuids.items() if seen.get(topic, uuid) != uuid}
    for topic, old in sorted(changed.items()):
        what = _told(admin, service, topic, old, uuids[topic])
        if not settings.accept_loss:
            raise LossDetected(what, hint=ACCEPT)
        LOSSES.labels(service, topic).inc()
        structlog.get_logger().error("loss_accepted", topic=topic, what=what)
    _remember(admin, service, {**seen, **uuids})


def _told(admin: Admin, service: str, topic: str, old: str, new: str) -> str:
    places = [(topic, partition) for partition in range(admin.partitions([topic])[topic])]
    low, high = admin.starts(places), admin.ends(places)
    done = admin.committed(service, topic)
    place = max(places, key=lambda at: high[at] - low[at])
    return (
        f"records are gone: {admin.settings.topic_name(topic)} was made anew (uuid {old} before, {new} now):"
        f" group {admin.settings.group_name(service)}, partition {place[1]}:"
        f" committed {done.get(place[1], 'nothing')}, the topic holds {low[place]} to {high[place]}"
    )


def _seen(admin: Admin, service: str) -> dict[str, str]:
    """uuid by topic; what anybody else wrote there says nothing."""
    found: dict[str, str] = {}
    for anchor in ANCHORS:
        note = admin.notes(_group(service), anchor).get(0, "")
        try:
            found.update({str(topic): str(uuid) for topic, uuid in json.loads(note or "{}").items()})
        except (ValueError, AttributeError):
            continue
    return found


def _remember(admin: Admin, service: str, uuids: Mapping[str, str]) -> None:
    """Written at each start, changed or not: an offset without members is forgotten after its retention."""
    text = json.dumps(dict(sorted(uuids.items())), separators=(",", ":"))
    anchors = admin.partitions(ANCHORS)
    if not anchors:
        structlog.get_logger().warning("topics_not_remembered", missing=list(ANCHORS), cure="entityflow topics create")
    for anchor in anchors:
        admin.commit(_group(service), anchor, {0: 0}, note=text)


def _group(service: str) -> str:
    return f"{service}-seen"
