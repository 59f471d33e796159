"""The embedded broker keeps `image` and `filtered-pair` without time limit; what all readers have finished goes here.

So a pause of days loses nothing, and a laptop's disk does not fill with pictures that are in shards already.
"""

from __future__ import annotations

from entityflow.admin import Admin, Place
from entityflow.settings import Settings
from entityflow.topics import Topic, load_topics

TRIMMED = ("image", "filtered-pair")


def trim(settings: Settings) -> int:
    """Delete the records that all groups of a trimmed topic have committed; returns how many were deleted."""
    admin = Admin(settings)
    finished: dict[Place, int] = {}
    for name in TRIMMED:
        finished |= _finished(admin, load_topics()[name], settings)
    starts = admin.starts(finished)
    due = {place: offset for place, offset in finished.items() if offset > starts[place]}
    admin.delete_up_to(due)
    return sum(offset - starts[place] for place, offset in due.items())


def _finished(admin: Admin, topic: Topic, settings: Settings) -> dict[Place, int]:
    committed = [admin.committed(group.name, topic.name) for group in topic.groups]
    partitions = range(topic.count(settings.small_topics))
    return {(topic.name, partition): min(done.get(partition, 0) for done in committed) for partition in partitions}
