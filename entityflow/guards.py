"""Who waits for whom, by `guards` in topics.yaml; looked at whenever that file is read."""

from __future__ import annotations

from collections.abc import Iterable

Edge = tuple[str, str]  # a service, and the group that it waits for


def cycles(edges: Iterable[Edge]) -> list[str]:
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


def check_guard(topic: str, writers: Iterable[str], group: str, line: str, guards: Iterable[str]) -> None:
    """Raises ValueError for a guard that cannot work: only main-line groups guard, and only writers of their topic."""
    wrong = sorted(set(guards) - set(writers))
    if wrong:
        raise ValueError(f"topics.yaml: {group} on {topic} guards {', '.join(wrong)}, which does not write there")
    if line != "main" and list(guards):
        raise ValueError(f"topics.yaml: {group} on {topic} is on the {line} line and must not guard")


def check_no_cycle(edges: Iterable[Edge]) -> None:
    """Raises ValueError with the names of services that would wait for one another for ever."""
    if found := cycles(edges):
        raise ValueError(f"topics.yaml: guards form a cycle: {', '.join(found)} would wait for one another")
