"""Wherever a member stops, what it has committed is done, and the next one does the rest."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from entityflow.codec import encode
from entityflow.errors import Rejected, Retryable
from entityflow.records import Entity, Query
from entityflow.settings import load_settings
from entityflow.stage import Received, Send, Shell
from tests.shell_lines import InMemory, run_until

QUICK = {"commit_seconds": 0.001, "drain_seconds": 0.001, "log_level": "critical", "log_format": "json"}
WAYS = ("ok", "rejected", "stuck once", "never while stopping")


@settings(max_examples=15, deadline=None)
@given(
    ways=st.lists(st.sampled_from(WAYS), min_size=1, max_size=25),
    stops=st.lists(st.integers(0, 25), max_size=4),
    concurrency=st.integers(1, 8),
)
def test_any_stops_leave_only_finished_records_behind_the_commit(ways, stops, concurrency):
    line = InMemory(load_settings(**QUICK))
    for number, way in enumerate(ways):
        entity = Entity(id=f"Q{number}", label=way, lang="en")
        line.put("entity", entity.id.encode(), encode(entity), number % 2, {})

    for last, stop in [*((False, stop) for stop in stops), (True, 0)]:
        member = Member(line, concurrency, patient=last)
        code = run_until(member.shell, member.all_done if last else lambda m=member, n=stop: m.begun >= min(n, m.most))

        ended = Counter(message.key for topic in ("query", "entity-dlq") for message in line.all(topic))
        committed = line.committed("query_builder", "entity")
        behind = [m for m in line.all("entity") if m.offset < committed.get(m.partition, 0)]
        assert code == 0
        assert {message.key for message in behind} <= set(ended)

    assert set(ended) == {f"Q{number}".encode() for number in range(len(ways))}


class Member:
    """One process after the other; only the last one waits for the records that are stuck."""

    def __init__(self, line: InMemory, concurrency: int, patient: bool) -> None:
        self._line, self._patient = line, patient
        self._stuck: set[str] = set()
        committed = line.committed("query_builder", "entity")
        total = sum(len(log) for log in line.broker.log("entity"))
        self.begun, self.most = 0, min(concurrency, total - sum(committed.values()))
        self.shell = Shell("query_builder", line.settings, line.broker)
        self.shell.map("entity", self._step, concurrency=concurrency)

    def all_done(self) -> bool:
        committed = self._line.committed("query_builder", "entity")
        return all(committed.get(p, 0) == len(log) for p, log in enumerate(self._line.broker.log("entity")))

    async def _step(self, received: Received[Entity]) -> list[Send]:
        entity = received.record
        self.begun += 1
        if entity.label == "rejected":
            raise Rejected("not-good", entity.id)
        if entity.label == "stuck once" and not self._patient and entity.id not in self._stuck:
            self._stuck.add(entity.id)
            raise Retryable("provider-away")
        if entity.label == "never while stopping" and not self._patient:
            raise Retryable("provider-away")
        return [Send("query", Query(id=entity.id, entity_id=entity.id, text="t", lang="en", kind="noun", budget=1))]
