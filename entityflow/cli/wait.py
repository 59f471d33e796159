"""`entityflow wait`: until everything has run through the line; then the open shards are sealed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from entityflow.cli.output import print_json, say
from entityflow.cli.servers import settings_with
from entityflow.errors import UserError
from entityflow.progress import SHARDER, Observer, Pace, Progress, Reader, describe, readers_above_the_sharder
from entityflow.settings import Settings

PASS_SECONDS = 2.0
LINE_SECONDS = 5.0

Sleep = Callable[[float], None]


class TimedOut(UserError):
    """What was waited for did not come in time."""


def wait(
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds; without it there is no limit.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Wait until no service has anything left, seal, and wait for the shards.

    At the time-out the open shards are sealed all the same, what is left is listed, and the exit code is 1.

    Example: entityflow wait --timeout 600
    """
    settings = settings_with("kafka", "s3")
    left = wait_and_seal(settings, timeout)
    if as_json:
        print_json({"left": [{"group": group, "topic": topic, "count": n} for (group, topic), n in left.items()]})
    if left:
        raise TimedOut(
            f"after {timeout:g} s there is still left: {describe(left)}",
            hint="are these services running? entityflow run --all; what came through is sealed",
        )


def wait_and_seal(settings: Settings, timeout: float | None = None, sleep: Sleep = time.sleep) -> dict[Reader, int]:
    """Returns what is left: nothing, unless the time was over."""
    from entityflow.cli.seal import seal_open_shards

    begun = time.monotonic()
    observer = Observer(settings)
    left = until_through(observer, readers_above_the_sharder(), timeout, sleep)
    sealed = seal_open_shards(settings)
    say(f"sealed {sealed} open shards")
    rest = None if timeout is None else max(PASS_SECONDS * 5, timeout - (time.monotonic() - begun))
    return {**left, **until_through(observer, [SHARDER], rest, sleep)}


def until_through(
    observer: Observer,
    chosen: Sequence[Reader],
    timeout: float | None,
    sleep: Sleep = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[Reader, int]:
    """Until two looks in a row see every chosen reader at its end and the same ends; what is left at time-out."""
    begun, spoken, pace = clock(), clock(), Pace()
    before: Progress | None = None
    while True:
        now = observer.look()
        left = now.of(chosen)
        if not left and before is not None and before.ends == now.ends and not before.of(chosen):
            return {}
        if timeout is not None and clock() - begun >= timeout:
            return left
        pace.add(clock(), sum(left.values()))
        if left and clock() - spoken >= LINE_SECONDS:
            spoken = clock()
            say(f"left: {describe(left)}{_eta(pace)}")
        before = now
        sleep(PASS_SECONDS if left else PASS_SECONDS / 2)


def _eta(pace: Pace) -> str:
    seconds = pace.seconds_left()
    return f"; about {seconds:.0f} s" if seconds is not None else ""
