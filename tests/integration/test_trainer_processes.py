"""Training in processes of its own: several together, one that is killed, one that is asked to stop."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from services.trainer.checkpoints import complete_steps
from services.trainer.plan_shelf import PlanShelf
from services.trainer.registry import list_models
from services.trainer.store import Folder
from tests.trainer_metrics import steps_taken
from tests.trainer_process import free_port
from tests.trainer_shards import shard
from tests.waiting import eventually

SECONDS = 120


def start(arguments: list[str], rank: int = 0, size: int = 1, port: int = 0) -> subprocess.Popen[bytes]:
    place = {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return subprocess.Popen([sys.executable, "-m", "tests.trainer_process", *arguments], env={**os.environ, **place})


def run(arguments: list[str], size: int = 1) -> list[int]:
    """Start the processes, wait for all; their exit codes."""
    port = free_port()
    processes = [start(arguments, rank, size, port) for rank in range(size)]
    try:
        return [process.wait(SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def gradients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gradients")
    assert run(["gradients", str(out)]) == [0]
    return out


@pytest.mark.parametrize("loss", ["clip", "siglip"])
@pytest.mark.parametrize(("size", "parts"), [(2, 1), (4, 1), (1, 4), (2, 2)])
def test_processes_and_parts_have_the_gradients_of_one_process_that_takes_all_at_once(
    gradients: Path, loss: str, size: int, parts: int
) -> None:
    one = load_file(gradients / f"{loss}-1-1.safetensors")

    many = load_file(gradients / f"{loss}-{size}-{parts}.safetensors")

    assert one.keys() == many.keys()
    assert "logit_scale" in one
    for name, gradient in one.items():
        assert (gradient - many[name]).norm() <= 1e-12 * max(float(gradient.norm()), 1e-3), name


def test_two_processes_share_one_small_shard_and_end_after_equal_steps(tmp_path: Path) -> None:
    shard(tmp_path / "tars/a.tar", 40)
    shard(tmp_path / "tars/a.heldout.tar", 8, first=40)

    codes = run(["train", str(tmp_path / "tars"), str(tmp_path / "out"), "1"], size=2)

    assert codes == [0, 0]
    (plan,) = PlanShelf(Folder(tmp_path / "out")).of_group(0)
    assert (plan.steps, plan.draws) == (10, 40)
    assert steps_taken(tmp_path / "out") == 10
    assert len(list(list_models(Folder(tmp_path / "out")))) == 1


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed")
    shard(root / "tars/a.tar", 30)
    assert run(["train", str(root / "tars"), str(root / "out"), "4"]) == [0]
    return root


def published(out: Path) -> str:
    """The version holds a hash of the weights: equal versions are equal to the bit."""
    (model,) = list_models(Folder(out))
    return model.version


def test_a_run_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path, undisturbed: Path) -> None:
    arguments = ["train", str(undisturbed / "tars"), str(tmp_path), "4"]
    process = start(arguments)
    eventually(lambda: steps_taken(tmp_path) >= 7, SECONDS)
    process.send_signal(signal.SIGKILL)
    process.wait()

    codes = run(arguments)

    assert codes == [0]
    resumed = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(resumed) > len(set(resumed))
    assert published(tmp_path) == published(undisturbed / "out")


def test_a_run_that_is_asked_to_stop_writes_a_checkpoint_and_leaves_with_zero(
    tmp_path: Path, undisturbed: Path
) -> None:
    process = start(["train", str(undisturbed / "tars"), str(tmp_path), "1000"])
    eventually(lambda: steps_taken(tmp_path) >= 2, SECONDS)

    process.send_signal(signal.SIGTERM)

    assert process.wait(SECONDS) == 0
    assert complete_steps(Folder(tmp_path))[0] == steps_taken(tmp_path)
