"""`entityflow import --out`: stack, topics, the list, the services that it needs, seal, and a copy of the shards."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from entityflow.cli.environment import stack_dir
from entityflow.cli.grow import bring_up
from entityflow.cli.output import Steps
from entityflow.settings import Settings, load_settings

PARTS = ("kafka", "s3")
SERVICES = ("fetcher", "filter", "index", "sharder", "coverage")


def import_through(send: Callable[[Settings], None], out: Path, directory: Path | None = None) -> None:
    """`send` puts the rows on `url`. The same list again fetches and writes only what is missing."""
    from entityflow.admin import create_topics
    from entityflow.cli.line import run_through
    from entityflow.cli.run import trim_quietly
    from entityflow.cli.shards import pull

    steps = Steps()
    folder = directory or stack_dir()
    with steps.step("stack"):
        bring_up(folder, PARTS)
        os.environ.setdefault("ENTITYFLOW_COVERAGE_QUIET_SECONDS", "1")
        settings = load_settings(Settings)
    with steps.step("topics"):
        create_topics(settings)
    with steps.step("import"):
        send(settings)
    with steps.step("services"):
        run_through(settings, SERVICES, folder)
        if settings.small_topics:
            trim_quietly(settings)
    with steps.step("pull"):
        pull(out)
