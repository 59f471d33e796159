"""`entityflow run`: services in the foreground, one process each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from entityflow.cli.figures import tell
from entityflow.cli.output import say
from entityflow.cli.servers import require
from entityflow.cli.services import SERVICES, known
from entityflow.cli.supervision import Supervisor, stop_when_asked
from entityflow.errors import UsageError, UserError
from entityflow.settings import Settings, load_settings

TRIM_SECONDS = 60.0
ACCEPT_LOSS = "ENTITYFLOW_ACCEPT_LOSS"


def run(
    services: Annotated[list[str] | None, typer.Argument(help="Names of services, as in services/.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All ten services.")] = False,
    directory: Annotated[Path | None, typer.Option("--dir", help="Folder of the local stack.")] = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Go on where offsets or topics are gone, and count what was lost.")
    ] = False,
) -> None:
    """Run services until Ctrl-C; what crashes is started again.

    The first Ctrl-C or SIGTERM lets each service finish what it holds, the second ends at once; neither loses anything.

    Example: entityflow run fetcher filter
    """
    names = list(SERVICES) if every else known(services or [])
    if not names:
        raise UsageError("no service is named", hint=f"--all, or one of: {', '.join(SERVICES)}")
    settings = load_settings(Settings)
    check_servers(settings)
    raise typer.Exit(asyncio.run(_run(names, settings, directory or settings.stack_dir, accept_loss)))


def check_servers(settings: Settings) -> None:
    """Raises UserError where the broker, one of its topics or the object store is not as every service needs it."""
    from entityflow.admin import require_topics
    from entityflow.objects import Objects
    from entityflow.topics import load_topics

    require(settings, "kafka", "s3")
    require_topics(settings, load_topics())
    Objects(settings).ensure_bucket()


async def _run(names: list[str], settings: Settings, directory: Path, accept_loss: bool) -> int:
    supervisor = Supervisor(directory, say)
    with stop_when_asked(supervisor, say) as asked:
        supervisor.start(names, {ACCEPT_LOSS: "true"} if accept_loss else None)
        say(f"{len(names)} services; logs in {directory / 'logs'}; Ctrl-C stops")
        beside = [asyncio.create_task(tell(supervisor.addresses, say)), asyncio.create_task(keep_small(settings))]
        ends = (asked.wait(), supervisor.gave_up.wait(), _all_ended(supervisor, names))
        waits = [asyncio.ensure_future(end) for end in ends]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in (*waits, *beside):
            task.cancel()
        await supervisor.stop()
        return supervisor.code


async def keep_small(settings: Settings) -> None:
    """On the embedded broker, which keeps everything: delete pictures that every reader has finished with."""
    while settings.small_topics:
        await asyncio.sleep(TRIM_SECONDS)
        await asyncio.to_thread(trim_quietly, settings)


def trim_quietly(settings: Settings) -> None:
    """What cannot be deleted now is deleted the next time."""
    from entityflow.trim import trim

    try:
        trim(settings)
    except UserError as exc:
        say(f"nothing was deleted: {exc}")


async def _all_ended(supervisor: Supervisor, names: list[str]) -> bool:
    for name in names:
        await supervisor.finish(name)
    return True
