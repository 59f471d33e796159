"""A small service on the real shell, run as a process of its own by test_shell.py.

The label of an entity says what its step does: `wait NAME` until the file NAME exists in the folder of the test,
`bug` raises ValueError, `kill` kills the process, `reject` raises Rejected, `away` raises Retryable until the file
`back` exists.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from entityflow.errors import Rejected, Retryable
from entityflow.records import Entity, Fingerprint, Image, Match, Permission, Query, Url
from entityflow.settings import load_settings
from entityflow.stage import Batch, Received, Send, Shell

FOLDER = Path(sys.argv[2])


async def ask(received: Received[Entity]) -> list[Send]:
    entity = received.record
    word, _, name = entity.label.partition(" ")
    if word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "bug":
        raise ValueError(entity.id)
    if word == "reject":
        raise Rejected("not-good", entity.id)
    if word == "away" and not (FOLDER / "back").exists():
        (FOLDER / "tried").touch()
        raise Retryable("provider-away")
    while word == "wait" and not (FOLDER / name).exists():
        await asyncio.sleep(0.01)
    return [
        Send("query", Query(id=entity.id, entity_id=entity.id, text=entity.label, lang="en", kind="noun", budget=1))
    ]


class Answers:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def start(self) -> int | None:
        return None

    def step(self, batch: list[Received[Fingerprint]]) -> Batch:
        if any(one.record.image_id == "kill" for one in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        return Batch([Send("match", Match(image_id=one.record.image_id, seq=one.message.offset)) for one in batch])

    def tick(self) -> Batch | None:
        return None

    def close(self) -> None:
        (FOLDER / "closed").touch()


def main() -> int:
    mode = sys.argv[1]
    if mode == "map":
        shell = Shell("query_builder", load_settings())
        shell.map("entity", ask, concurrency=50)
    elif mode == "table":
        shell = Shell("query_builder", load_settings())
        known: dict[str, int] = {}

        async def counted(received: Received[Entity]) -> list[Send]:
            text = f"{len(known)} known"
            return [
                Send("query", Query(id=received.record.id, entity_id="e", text=text, lang="en", kind="noun", budget=1))
            ]

        shell.table("coverage", lambda key, record, message: known.update({key: message.offset}), follows="entity")
        shell.map("entity", counted, concurrency=50)
    elif mode == "guarded":
        shell = Shell("fetcher", load_settings())

        async def seen(received: Received[Url]) -> list[Send]:
            (FOLDER / received.record.url_id).touch()
            return []

        shell.map("url", seen, concurrency=50)
    elif mode == "fetching":
        shell = Shell("fetcher", load_settings())

        async def found(received: Received[Url]) -> list[Send]:
            await asyncio.sleep(0.05)
            allowed = Permission(decision="allowed")
            url, origin = received.record, received.message.origin
            image = Image(image_id=url.url_id, permission=allowed, candidate=url, url_origin=origin)
            return [Send("image", image)]

        shell.map("url", found, concurrency=1)
    elif mode == "filtering":
        shell = Shell("filter", load_settings())

        async def judged(received: Received[Image]) -> list[Send]:
            image_id, origin = received.record.image_id, received.message.origin
            return [Send("fingerprint", Fingerprint(image_id=image_id, origin=origin, passed=True), partition=0)]

        shell.map("image", judged, concurrency=50)
    elif mode == "crowded":
        shell = Shell("query_builder", load_settings())

        async def crowd() -> None:
            """More wake-ups than the loop's own pipe holds, while the loop is busy."""
            for _ in range(5000):
                asyncio.get_running_loop().call_soon_threadsafe(lambda: None)
            (FOLDER / "crowded").touch()
            while not (FOLDER / "go").exists():
                time.sleep(0.01)

        shell.every(3600, crowd)
    else:
        shell = Shell("index", load_settings())
        shell.batch("fingerprint", lambda partition, uuid: Answers(), max_records=10)
    return shell.run()


if __name__ == "__main__":
    sys.exit(main())
