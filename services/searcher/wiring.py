"""What a searcher is made of, from the providers of its domain and its settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType

from entityflow.chosen_providers import ChosenProvider
from entityflow.faust_stage import FaustStage
from entityflow.kafka import AckedProducer
from entityflow.objects import Objects
from entityflow.settings import Settings
from entityflow.stage import Send
from entityflow.stage.producing import Sender
from services.searcher.pacing import Pace
from services.searcher.spending import ALWAYS, DAY, MONTH, Cap

CLOSE_SECONDS = 10.0


def caps_of(chosen: ChosenProvider) -> list[Cap]:
    """What may be sent for ever, in a day, in a month."""
    quota = chosen.quota
    caps = ((ALWAYS, chosen.max_requests), (DAY, quota.per_day), (MONTH, quota.per_month))
    return [Cap(window, requests) for window, requests in caps if requests is not None]


def pace_of(chosen: ChosenProvider, stage: FaustStage) -> Pace:
    return Pace(chosen.quota.seconds_between, lambda: stage.share("query"))


class BucketLedger:
    """The ledger of spent requests in the bucket."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._objects.put_if_absent(key, data)

    def names(self, prefix: str) -> Sequence[str]:
        return [stored.key for stored in self._objects.list(prefix)]


class Sending:
    """A producer for records that no record led to: questions that come back."""

    def __init__(self, service: str, settings: Settings) -> None:
        self._service, self._settings = service, settings
        self._failures: list[Exception] = []

    async def __aenter__(self) -> Sending:
        self._producer = AckedProducer(self._settings, self._failures.append)
        self._sender = Sender(self._service, self._settings, self._producer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close(CLOSE_SECONDS)

    async def send(self, sends: Iterable[Send]) -> None:
        """Returns when all are acknowledged; raises what the broker refused for good."""
        if self._failures:
            raise self._failures[0]
        await self._sender.send(sends)
