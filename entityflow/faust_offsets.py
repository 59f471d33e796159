"""Before Faust joins a group: is everything that the group has still to read there, and of the topic that it knew?"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from entityflow.admin import Admin, Place
from entityflow.errors import LossDetected
from entityflow.metrics import LOSSES, SKIPPED
from entityflow.settings import Settings
from entityflow.stage.marks import read_mark
from entityflow.stage.seen import ACCEPT


def check_offsets(group: str, settings: Settings, uuids: Mapping[str, str]) -> None:
    """Every partition must have a committed offset that its topic still holds; raises LossDetected otherwise.

    With `accept_loss` the group is moved to the first record there is, and what was skipped is counted.
    """
    admin = Admin(settings)
    counts = admin.partitions(uuids)
    for topic, uuid in uuids.items():
        places = [(topic, partition) for partition in range(counts[topic])]
        done, low, high = admin.committed(group, topic), admin.starts(places), admin.ends(places)
        marks = {partition: read_mark(note) for partition, note in admin.notes(group, topic).items()}
        lost = {}
        for place in places:
            mark, partition = marks.get(place[1]), place[1]
            of_another = mark is not None and mark.topic_uuid != uuid
            if of_another or not low[place] <= done.get(partition, -1) <= high[place]:
                lost[partition] = low[place]
        if lost:
            _accept(group, settings, topic, {p: done.get(p) for p in lost}, low, high)
            admin.commit(group, topic, lost, note=uuid)


def _accept(
    group: str,
    settings: Settings,
    topic: str,
    lost: Mapping[int, int | None],
    low: Mapping[Place, int],
    high: Mapping[Place, int],
) -> None:
    """`lost`: committed offset by partition. Raises LossDetected unless the settings accept it."""
    if not settings.accept_loss:
        partition = min(lost)
        raise LossDetected(
            f"records are gone: group {settings.group_name(group)}, partition {partition} of"
            f" {settings.topic_name(topic)}: committed {'nothing' if lost[partition] is None else lost[partition]},"
            f" the topic holds {low[topic, partition]} to {high[topic, partition]}",
            hint=ACCEPT,
        )
    skipped = sum(max(0, low[topic, partition] - (at or 0)) for partition, at in lost.items())
    SKIPPED.labels(group, topic).inc(skipped)
    LOSSES.labels(group, topic).inc(len(lost))
    structlog.get_logger().error("loss_accepted", topic=topic, partitions=sorted(lost), skipped=skipped)
