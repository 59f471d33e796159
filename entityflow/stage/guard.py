"""Retention never eats work: a stage takes no input while a group below it is close to losing records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from entityflow.admin import Admin
from entityflow.settings import Settings
from entityflow.topics import Group, Topic, load_topics

SHARE_OF_RETENTION = 0.25


def guarding(service: str) -> list[tuple[Topic, Group]]:
    """The groups that a service must not outrun, by `guards` in topics.yaml."""
    return [(topic, group) for topic in load_topics().values() for group in topic.groups if service in group.guards]


class RetentionGuard:
    """Says whether a group below is behind what was written `25 % of retention` ago, and which one."""

    def __init__(self, service: str, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._watched = [
            (topic, group, retention)
            for topic, group in guarding(service)
            if (retention := topic.retention_ms(settings.small_topics)) is not None
        ]
        self._admin = Admin(settings) if self._watched else None

    def behind(self) -> str | None:
        """`group on topic` of the first one that is too far behind; none when input may go on."""
        for topic, group, retention in self._watched:
            if self._is_behind(topic, group, retention):
                return f"{group.name} on {topic.name}"
        return None

    def _is_behind(self, topic: Topic, group: Group, retention_ms: int) -> bool:
        assert self._admin is not None
        places = [(topic.name, partition) for partition in range(topic.count(self._settings.small_topics))]
        horizon = int(self._clock() * 1000 - SHARE_OF_RETENTION * retention_ms)
        due = self._admin.at(places, horizon)
        ends = self._admin.ends(places)
        committed = self._admin.committed(group.name, topic.name)
        return any(
            committed.get(partition, 0) < (ends[place] if due[place] < 0 else due[place])
            for place in places
            for partition in (place[1],)
        )


def cycles(edges: Iterable[tuple[str, str]]) -> list[str]:
    """Names on a cycle of `waits for` edges; a guard on a cycle could stop the line for good."""
    graph: dict[str, set[str]] = {}
    for a, b in edges:
        graph.setdefault(a, set()).add(b)
    return sorted(name for name in graph if _reaches(graph, name, name))


def _reaches(graph: dict[str, set[str]], start: str, goal: str) -> bool:
    todo, seen = list(graph.get(start, ())), set[str]()
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            todo.extend(graph.get(name, ()))
    return False
