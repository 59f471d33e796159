"""Dead letters back to where they came from: key, value, id and partition as they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from entityflow.admin import require_topics
from entityflow.kafka import Headers
from entityflow.letters import Letter, Letters, Original, Wanted, replayed_headers
from entityflow.resending import Rate, Raw, Resender
from entityflow.settings import Settings
from entityflow.topics import load_topics

ATTEMPT = "attempt"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Letters that go back, and how many do not: they were sent again before, or name no original."""

    letters: tuple[Letter, ...] = ()
    before: int = 0
    homeless: int = 0


def choose(letters: Letters, wanted: Wanted, *, again: bool = False, limit: int | None = None) -> Chosen:
    """What a replay would send, oldest first."""
    chosen: list[Letter] = []
    before = homeless = 0
    for letter in filter(wanted.has, letters):
        if letter.original is None:
            homeless += 1
        elif letters.replayed_at(letter) is not None and not again:
            before += 1
        elif limit is None or len(chosen) < limit:
            chosen.append(letter)
    return Chosen(tuple(chosen), before, homeless)


def replay(settings: Settings, letters: Sequence[Letter], rate: Rate) -> int:
    """Send letters back; returns how many. A chunk is acknowledged before it is remembered as sent.

    Whoever is killed between the two sends the chunk twice: its ids are the same, so nothing counts twice.
    """
    require_topics(settings, {letter.topic for letter in letters})
    sent = 0
    with Resender("cli", settings) as resender:
        for topic in dict.fromkeys(letter.topic for letter in letters):
            of_topic = [letter for letter in letters if letter.topic == topic]
            for chunk in rate.chunks(of_topic):
                resender.send([message_again(letter) for letter in chunk])
                resender.send([_marker(topic, chunk)])
                sent += len(chunk)
    return sent


def message_again(letter: Letter) -> Raw:
    """The original message; only its `attempt` header counts the tries that it had since."""
    message, original = letter.message, letter.original
    assert original is not None
    headers = [(name, value) for name, value in letter.own_headers if name != ATTEMPT]
    attempt: tuple[str, bytes | None] = (ATTEMPT, b"%d" % letter.attempts)
    return letter.topic, message.key, message.value, cast(Headers, [*headers, attempt]), original[1]


def _marker(topic: str, letters: Iterable[Letter]) -> Raw:
    originals: list[Original] = [letter.original for letter in letters if letter.original is not None]
    return load_topics()[topic].dlq, None, None, replayed_headers(originals), None
