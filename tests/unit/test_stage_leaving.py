"""A stop while something around us is away: no failure, no other try, nothing committed."""

from pathlib import Path

import pytest

from entityflow.codec import encode
from entityflow.errors import Retryable
from entityflow.records import Record, Seal
from entityflow.settings import Settings
from entityflow.stage import Batch, Received, Shell
from tests.memory_broker import MemoryBroker

PAIRS = "filtered-pair"


class Away:
    """A handler whose store is away for good, or for so many starts; at the third try the shell is told to stop."""

    def __init__(self, shell: Shell, starts: int = 0) -> None:
        self._shell, self.tries, self.closed = shell, 0, False
        self.starts_to_fail = starts

    def start(self) -> int | None:
        if self.starts_to_fail:
            self.starts_to_fail -= 1
            raise Retryable("object-store-away")
        return None

    def step(self, batch: list[Received[Record]]) -> Batch:
        self.tries += 1
        if self.tries == 3:
            self._shell.stop()
        raise Retryable("object-store-away")

    def tick(self) -> Batch | None:
        return None

    def close(self) -> None:
        self.closed = True


def line(folder: Path) -> tuple[Shell, MemoryBroker]:
    """One record waits."""
    settings = Settings(state_dir=folder, metrics_port=0, small_topics=True)
    broker = MemoryBroker(settings, partitions=1)
    broker.log(PAIRS)[0].append((b"k", encode(Seal(partition=0, start=0, cause="age")), {}, 0))
    return Shell("sharder", settings, broker), broker


@pytest.mark.parametrize("starts", [0, 2])
def test_a_stop_while_the_store_is_away_leaves_the_work_to_the_next_owner(tmp_path: Path, starts: int) -> None:
    shell, broker = line(tmp_path)
    handler = Away(shell, starts)
    shell.batch(PAIRS, lambda partition, uuid: handler, max_records=10)

    code = shell.run()

    assert code == 0
    assert handler.closed
    assert (handler.starts_to_fail, handler.tries) == (0, 3)
    assert broker.commits["sharder", PAIRS] == {}
