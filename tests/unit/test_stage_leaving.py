"""A stop while something around us is away: no failure, no other try, nothing committed."""

from pathlib import Path

from entityflow.codec import encode
from entityflow.errors import Retryable
from entityflow.records import Record, Seal
from entityflow.settings import Settings
from entityflow.stage import Batch, Received, Shell
from tests.memory_broker import MemoryBroker

PAIRS = "filtered-pair"


class Away:
    """A handler whose store is away for good; at the third try the shell is told to stop."""

    def __init__(self, shell: Shell) -> None:
        self._shell, self.tries, self.closed = shell, 0, False

    def start(self) -> int | None:
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


def test_a_stop_while_the_store_is_away_leaves_the_work_to_the_next_owner(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, metrics_port=0, small_topics=True)
    broker = MemoryBroker(settings, partitions=1)
    broker.log(PAIRS)[0].append((b"k", encode(Seal(partition=0, start=0, cause="age")), {}, 0))
    shell = Shell("sharder", settings, broker)
    handler = Away(shell)
    shell.batch(PAIRS, lambda partition, uuid: handler, max_records=10)

    code = shell.run()

    assert code == 0
    assert handler.closed
    assert handler.tries == 3
    assert broker.commits["sharder", PAIRS] == {}
