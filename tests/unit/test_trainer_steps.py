"""Pictures, steps, checkpoints and the published model: all that needs torch, on models of a few thousand weights."""

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from structlog.testing import capture_logs
from typer.testing import CliRunner

from entityflow.errors import Retryable, UsageError, UserError
from services.trainer.accumulating import backward_in_parts
from services.trainer.averaging import wearing
from services.trainer.batches import Batch
from services.trainer.building import build_trainer
from services.trainer.checkpoints import Checkpoint, complete_steps, copies, folder, read_newest
from services.trainer.clip import Clip, build_clip
from services.trainer.command import app
from services.trainer.judging import read_classes
from services.trainer.keeping import Keeper
from services.trainer.knowledge import EntityTexts, Knowledge
from services.trainer.ledger import Entry, Ledger, ShardRef
from services.trainer.pictures import NUMBERS, crop_box, decode, open_picture, recolour, training_view
from services.trainer.plans import plan_new
from services.trainer.randomness import uniforms
from services.trainer.ranks import Ranks
from services.trainer.reasons import BadPicture
from services.trainer.recipe import Recipe, make_recipe
from services.trainer.registry import CHAMPION, alias, list_models, pull_model, read_file
from services.trainer.retention import Kept, superfluous
from services.trainer.settings import TrainerSettings
from services.trainer.shard_cache import file_sha256
from services.trainer.shard_log import FolderLog, News, find_tars
from services.trainer.shard_room import FilesInPlace, ShardRoom
from services.trainer.state import RunState
from services.trainer.stepping import Step, Stepper
from services.trainer.store import Folder
from services.trainer.trainer import Trainer
from services.trainer.watching import Watch
from tests.trainer_shards import COLOURS, jpeg, shard
from tests.waiting import eventually

CPU = torch.device("cpu")
KNOWN = Knowledge(
    "v", {f"Q-{name}": EntityTexts(f"{name} thing", (f"{name} thing",), name, (), None) for name in COLOURS}
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def small(**changes: int | float) -> Recipe:
    """32-pixel pictures, batches of 8."""
    base = replace(make_recipe(TrainerSettings(), None), image_pixels=32, context_length=16, batch_size=8, passes=3)
    return replace(base, warmup_steps=2, ema_half_life_steps=2, group_steps=4, **changes)  # type: ignore[arg-type]


def trainer(
    tars: Path,
    out: Path,
    recipe: Recipe | None = None,
    stop: threading.Event | None = None,
    log: FolderLog | None = None,
) -> Trainer:
    settings = TrainerSettings(trainer_exit_when_idle=True, trainer_checkpoint_steps=2, trainer_threads=1)
    log, room = log or FolderLog(find_tars([tars])), ShardRoom(FilesInPlace(), heldout_share=0.2)
    chosen, ended = recipe or small(), stop or threading.Event()
    return build_trainer(settings, chosen, Folder(out), log, room, lambda _model: None, ended, Ranks(), out, KNOWN)


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of 20 samples each."""
    root = tmp_path_factory.mktemp("tars")
    shard(root / "a.tar", 20)
    shard(root / "b.tar", 20, first=20)
    return root


@pytest.fixture(scope="module")
def finished(tars: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A run that was not disturbed."""
    run = trainer(tars, tmp_path_factory.mktemp("run"))
    run.run()
    return run


@pytest.fixture(scope="module")
def clip() -> Clip:
    return build_clip(small())


# --- pictures ---


def test_a_training_view_is_a_crop_of_the_picture_with_its_colour() -> None:
    picture = decode(jpeg(COLOURS["green"], width=90, height=60), 50)

    views = [training_view(picture, 32, uniforms(NUMBERS, n)) for n in range(20)]

    assert picture.shape == (3, 60, 90)
    assert all(view.shape == (3, 32, 32) and view.dtype == torch.uint8 for view in views)
    assert all(view[1].float().mean() >= view[0].float().mean() - 1 for view in views)
    assert not torch.equal(views[0], views[1])


def test_colours_change_by_the_numbers_and_now_and_then_go() -> None:
    images = torch.tensor([0.8, 0.4, 0.2]).view(1, 3, 1, 1).expand(3, 3, 4, 4)

    same, darker, grey = recolour(images, torch.tensor([[0.5, 0.525], [0.0, 0.525], [0.5, 0.01]]))

    assert torch.allclose(same, images[0])
    assert torch.allclose(darker, images[0] * 0.7)
    assert torch.allclose(grey, images[0].mean(0))


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (64, 64)])
@pytest.mark.parametrize("number", [0.0, 0.5, 0.999999])
def test_a_crop_never_leaves_its_picture(size: tuple[int, int], number: float) -> None:
    top, left, height, width = crop_box(*size, np.full(NUMBERS, number))

    assert 0 <= top <= top + height <= size[0]
    assert 0 <= left <= left + width <= size[1]
    assert height > 0 < width


def test_pictures_that_are_no_plain_jpeg_are_decoded_too(tmp_path: Path) -> None:
    path = tmp_path / "p"
    Image.new("CMYK", (40, 30), (0, 255, 255, 0)).save(path, "JPEG")
    cmyk = decode(path.read_bytes(), 20)
    Image.new("P", (40, 30)).save(path, "PNG")

    assert cmyk.shape == decode(path.read_bytes(), 20).shape == (3, 30, 40)


def test_a_plain_jpeg_looks_like_pillows_and_a_large_one_is_decoded_smaller() -> None:
    plain, large = (jpeg(COLOURS["red"], width=width, height=300) for width in (310, 800))
    ours, reduced = decode(plain, 200), decode(large, 100)

    pillows = torch.from_numpy(np.array(open_picture(plain))).permute(2, 0, 1)

    assert (ours.float() - pillows.float()).abs().max() <= 2
    assert reduced.shape == (3, 150, 400)


def test_bytes_that_are_no_picture_raise_one_typed_error() -> None:
    for data in (b"", b"\xff\xd8\xff cut", b"GIF89a", jpeg(COLOURS["red"])[:200]):
        with pytest.raises(BadPicture):
            open_picture(data)


# --- texts as tokens ---


@pytest.mark.parametrize("context", [16, 32, 77])
def test_a_long_caption_still_ends_in_the_end_token(context: int) -> None:
    clip = build_clip(small(context_length=context))

    tokens = clip.tokenize(["leopard " * 200, "a cat"])

    assert tokens.shape == (2, context)
    assert tokens[0, -1] == tokens[1].max() == 49407


# --- steps ---


def batch(clip: Clip, seed: int = 0, count: int = 8) -> Batch:
    images = torch.randint(0, 255, (count, 3, 32, 32), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    tokens = clip.tokenize([f"text {n} {seed}" for n in range(count)])
    return Batch(images, tokens, torch.full((count, 2), 0.5), ("k",) * count, 0.0)


def test_the_temperature_never_passes_one_hundred_however_steep_its_gradient(clip: Clip) -> None:
    stepper = Stepper(build_clip(small()), small(learning_rate=0.5), Ranks(), CPU)
    stepper.model.logit_scale.data.fill_(math.log(99.9))  # type: ignore[operator, union-attr]
    first = batch(clip)

    steps = [stepper.take(first) for _ in range(30)]

    assert max(step.logit_scale for step in steps) <= 100.001
    assert min(step.logit_scale for step in steps) >= 0.999
    assert all(step.finite for step in steps)


def test_a_step_that_is_not_finite_leaves_the_weights_and_is_told(clip: Clip) -> None:
    stepper = Stepper(build_clip(small()), small(), Ranks(), CPU)
    before = {name: value.clone() for name, value in stepper.model.named_parameters()}
    broken = batch(clip)
    stepper.model.logit_scale.data.fill_(float("nan"))  # type: ignore[operator, union-attr]
    before["logit_scale"] = stepper.model.logit_scale.detach().clone()  # type: ignore[operator, union-attr]

    step = stepper.take(broken)

    assert not step.finite
    after = dict(stepper.model.named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in before if name != "logit_scale")


def test_many_bad_steps_in_a_row_end_the_run_and_name_the_last_good_checkpoint(tars: Path, tmp_path: Path) -> None:
    run = trainer(tars, tmp_path)
    run._saved_step = 12

    bad = Step(float("nan"), float("nan"), 1e-3, 14.0, False)
    for _ in range(19):
        run._judge(bad)

    with pytest.raises(UserError, match=r"20 steps in a row.*checkpoint of step 12"):
        run._judge(bad)


def test_biases_and_norms_are_not_decayed() -> None:
    stepper = Stepper(build_clip(small()), small(), Ranks(), CPU)
    decayed, others = stepper.optimizer.param_groups

    assert decayed["weight_decay"] == 0.2
    assert others["weight_decay"] == 0.0
    assert all(parameter.ndim >= 2 for parameter in decayed["params"])
    assert any(parameter is stepper.model.logit_scale for parameter in others["params"])


VIT = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def test_both_passes_over_a_part_draw_the_same_random_numbers() -> None:
    model, drawn = torch.nn.Linear(4, 4), []

    def forward(_part: int) -> dict[str, torch.Tensor]:
        drawn.append(torch.rand(2, 4))
        features = model(drawn[-1])
        return {"image_features": features, "text_features": features, "logit_scale": model.bias.sum()}

    def product(outputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return (outputs["image_features"] * outputs["text_features"] * outputs["logit_scale"]).sum()

    backward_in_parts(model, forward, 3, product)

    assert all(torch.equal(first, second) for first, second in zip(drawn[:3], drawn[3:], strict=True))
    assert not torch.equal(drawn[0], drawn[1])


def test_a_run_with_dropped_patches_in_parts_goes_on_to_the_same_weights(tars: Path, tmp_path: Path) -> None:
    (tmp_path / "vit.json").write_text(json.dumps(VIT))
    recipe = replace(small(patch_dropout=0.5, parts=2), model=str(tmp_path / "vit.json"), loss="siglip")
    whole = trainer(tars, tmp_path / "whole", recipe)
    whole.run()
    trainer(tars, tmp_path / "halves", recipe, StopAfter(5)).run()

    halves = trainer(tars, tmp_path / "halves", recipe)
    halves.run()

    assert all(torch.equal(value, weights(halves)[name]) for name, value in weights(whole).items())
    assert open_clip_scores(tmp_path / "whole", tmp_path / "model").keys() >= {"logit_scale", "logit_bias"}


def open_clip_scores(run: Path, folder: Path) -> dict[str, torch.Tensor]:
    """What open_clip's model of the run's export gives for one pair."""
    (model,) = list_models(Folder(run))
    pull_model(Folder(run), model.name, model.version, folder)
    loaded, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}", output_dict=True)
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["a blue thing"])
    found: dict[str, torch.Tensor] = loaded(transform(open_picture(jpeg(COLOURS["blue"])))[None], tokens)
    return found


# --- models and weights to start from ---


def test_a_run_starts_from_the_weights_of_a_folder_at_another_picture_size(finished: Trainer, tmp_path: Path) -> None:
    version = alias(finished.around.store, "clip", CHAMPION)
    assert version is not None
    pull_model(finished.around.store, "clip", version, tmp_path)

    as_weights = build_clip(replace(small(), pretrained=f"local-dir:{tmp_path}"))
    as_model = build_clip(replace(small(), model=f"local-dir:{tmp_path}"))

    published = finished.stepper.average.tensors
    for built in (as_weights, as_model):
        assert all(torch.equal(value, published[name]) for name, value in built.model.state_dict().items())


@pytest.mark.parametrize(
    ("model", "pretrained", "named"),
    [
        ("no-such-model", "", "no-such-model"),
        ("absent.json", "", "absent.json"),
        ("local-dir:absent", "", "open_clip_config.json"),
        ("hf-hub:some/model", "", "local-dir:"),
        ("tiny", "no-such-weights", "no-such-weights"),
    ],
)
def test_a_model_that_cannot_be_built_is_named_with_the_cure(model: str, pretrained: str, named: str) -> None:
    with pytest.raises(UsageError) as refused:
        build_clip(replace(small(), model=model, pretrained=pretrained))

    assert named in f"{refused.value} {refused.value.hint}"


# --- a run ---


def weights(run: Trainer) -> dict[str, torch.Tensor]:
    return {**run.stepper.model.state_dict(), **{f"average/{k}": v for k, v in run.stepper.average.tensors.items()}}


def test_a_run_draws_each_sample_as_often_as_asked_and_publishes_one_model(finished: Trainer) -> None:
    store = finished.around.store

    entries = finished.state.ledger.usable()
    (model,) = list_models(store)

    samples = sum(entry.samples for entry in entries)
    assert 3 * samples <= finished.state.step * 8 < 3 * samples + 16
    assert alias(store, "clip", CHAMPION) == model.version
    assert model.metrics["types"] == 4
    assert 0 <= model.metrics["accuracy_low"] <= model.metrics["accuracy"] <= model.metrics["accuracy_high"] <= 1
    assert model.metrics["chance"] == 0.25
    assert "accuracy_before" in model.metrics
    assert model.metrics["heldout"] + samples == 40


class StopAfter(threading.Event):
    """Set when it was asked `count` times: a SIGTERM between two steps."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.mark.parametrize("after", [4, 9])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    tars: Path, tmp_path: Path, finished: Trainer, after: int
) -> None:
    first = trainer(tars, tmp_path, stop=StopAfter(after))
    first.run()

    second = trainer(tars, tmp_path)
    second.run()

    assert 0 < first.state.step < finished.state.step
    assert second.state == finished.state
    assert all(torch.equal(value, weights(second)[name]) for name, value in weights(finished).items())


def test_a_cut_checkpoint_is_passed_over_and_the_one_before_leads_to_the_same_weights(
    tars: Path, tmp_path: Path, finished: Trainer
) -> None:
    trainer(tars, tmp_path, stop=StopAfter(12)).run()
    newest, before = complete_steps(Folder(tmp_path))[:2]
    part = tmp_path / folder(newest) / "model.safetensors"
    part.write_bytes(part.read_bytes()[:9000])

    with capture_logs() as logs:
        second = trainer(tars, tmp_path)
        second.run()

    torn = next(line for line in logs if line["event"] == "checkpoint_torn")
    assert torn["checkpoint"] == folder(newest)
    assert next(line for line in logs if line["event"] == "resumed")["step"] == before
    assert all(torch.equal(value, weights(second)[name]) for name, value in weights(finished).items())


def test_a_checkpoint_without_manifest_does_not_exist(tars: Path, tmp_path: Path) -> None:
    trainer(tars, tmp_path, stop=StopAfter(9)).run()
    steps = complete_steps(Folder(tmp_path))
    (tmp_path / folder(steps[0]) / "manifest.json").unlink()

    newest = read_newest(Folder(tmp_path), small().architecture())

    assert newest is not None
    assert newest.step == steps[1]


def test_a_checkpoint_of_another_model_is_recognised(tars: Path, tmp_path: Path) -> None:
    trainer(tars, tmp_path, stop=StopAfter(5)).run()

    with capture_logs() as logs:
        found = read_newest(Folder(tmp_path), small(image_pixels=48).architecture())

    assert found is None
    assert logs[0]["event"] == "checkpoint_foreign"


DAY = 86_400.0


def test_the_newest_the_last_of_each_day_and_those_of_promoted_models_stay() -> None:
    written = [Kept(step, step * DAY / 4) for step in range(40)] + [Kept(40, 9.9 * DAY)]
    written[2] = replace(written[2], promoted=True)

    removed = superfluous(written, newest=3, days=4)

    assert sorted(set(range(41)) - set(removed)) == [2, 27, 31, 35, 38, 39, 40]


def test_superfluous_checkpoints_are_removed_and_that_of_the_promoted_model_stays(finished: Trainer) -> None:
    store = finished.around.store
    steps = complete_steps(store)

    assert len(steps) == 3
    assert json.loads(store.get(f"{folder(steps[0])}promoted.json"))["version"] == alias(store, "clip", CHAMPION)


class SlowStore(Folder):
    """Lets a put begin only when it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.open = threading.Event()
        self.waiting = threading.Event()

    def put(self, key: str, value: bytes | Path) -> None:
        self.waiting.set()
        assert self.open.wait(10)
        super().put(key, value)


def test_training_goes_on_while_a_checkpoint_is_written_and_its_tensors_stay_those_of_its_step(tmp_path: Path) -> None:
    store = SlowStore(tmp_path)
    told: list[int] = []
    keeper = Keeper(store, 3, lambda checkpoint: told.append(checkpoint.step))
    weight = torch.zeros(3)

    keeper.begin(Checkpoint(7, {"architecture": "a"}, {"model": copies({"w": weight})}))
    assert store.waiting.wait(10)
    busy, before = keeper.busy, list(told)
    weight += 1
    store.open.set()

    assert keeper.finish()
    assert (busy, before, told) == (True, [], [7])
    kept = read_newest(store, "a")
    assert kept is not None
    assert torch.equal(kept.parts["model"]["w"], torch.zeros(3))


class AwayStore(Folder):
    def put(self, key: str, value: bytes | Path) -> None:
        raise Retryable("s3", "away")


def test_a_store_that_is_away_costs_a_checkpoint_and_not_the_run(tmp_path: Path) -> None:
    keeper = Keeper(AwayStore(tmp_path), 3, lambda _checkpoint: None)

    with capture_logs() as logs:
        keeper.begin(Checkpoint(7, {}, {}))
        written = keeper.finish()

    assert not written
    assert [line["event"] for line in logs] == ["checkpoint_failed"]


def test_a_second_start_without_new_shards_trains_nothing(tars: Path, finished: Trainer) -> None:
    again = trainer(tars, Path(finished.around.store.uri("")))

    again.run()

    assert again.state.step == finished.state.step
    assert len(list(list_models(finished.around.store))) == 1


def test_a_shard_that_is_gone_in_the_middle_ends_its_group_and_the_run_goes_on_without_it(tmp_path: Path) -> None:
    shard(tmp_path / "tars/a.tar", 20)
    shard(tmp_path / "tars/b.tar", 20, first=20)
    trainer(tmp_path / "tars", tmp_path / "run", stop=StopAfter(5)).run()
    (tmp_path / "tars/b.tar").unlink()

    second = trainer(tmp_path / "tars", tmp_path / "run")
    second.run()

    lost = {Path(name).name: entry.lost for name, entry in second.state.ledger.entries.items()}
    assert lost == {"a.tar": None, "b.tar": "gone"}
    assert second.state.ledger.missing_draws(3) == 0


class VersionsLog(FolderLog):
    """The versions of one shard, as far as their tars were there when it was made; each may follow the other."""

    def __init__(self, *versions: ShardRef) -> None:
        super().__init__([])
        self._versions = [ref for ref in versions if Path(ref.tar).exists() or ref.version == 1]

    def since(self, position: int) -> News:
        return News(tuple(self._versions[position:][-1:]), len(self._versions))


def versions(folder: Path) -> tuple[ShardRef, ShardRef]:
    """24 samples, of which the rewrite keeps 16; the second tar is still to be moved to its place."""
    old, ready = shard(folder / "v1.tar", 24), shard(folder / "ready.tar", 16)
    first = ShardRef(shard_id="p000-000000000000", version=1, tar=str(old), sha256=file_sha256(old))
    return first, replace(first, version=2, tar=str(folder / "v2.tar"), sha256=file_sha256(ready))


@pytest.mark.parametrize("forgotten", [True, False])
def test_a_new_version_is_the_same_data_and_ends_a_group_at_its_checkpoint_where_the_old_tar_is_withdrawn(
    tmp_path: Path, forgotten: bool
) -> None:
    refs = versions(tmp_path)
    trainer(tmp_path, tmp_path / "run", stop=StopAfter(2), log=VersionsLog(*refs)).run()
    (tmp_path / "ready.tar").rename(refs[1].tar)
    if forgotten:
        Path(refs[0].tar).unlink()

    with capture_logs() as logs:
        run = trainer(tmp_path, tmp_path / "run", log=VersionsLog(*refs))
        run.run()

    (entry,) = run.state.ledger.entries.values()
    assert (entry.ref.version, entry.samples) == (2, 14)
    assert entry.drawn >= 3 * 14
    assert any(line["event"] == "plan_withdrawn" for line in logs) is forgotten
    groups = [(line["group"], line["taken"]) for line in logs if line["event"] == "group"]
    assert groups[0] == ((1, 0) if forgotten else (0, 2))


def test_the_watch_sees_a_withdrawn_tar_while_the_group_is_under_way(tmp_path: Path) -> None:
    refs = versions(tmp_path)
    (tmp_path / "ready.tar").rename(refs[1].tar)
    entry = Entry(ref=refs[0], samples=24)
    plan = plan_new(small(), Ledger(), [entry], RunState().place(None))
    watch = Watch(VersionsLog(*refs), ShardRoom(FilesInPlace()), 0.001)

    while_it_is_there = [watch.withdrawn(plan) for _ in range(20)]
    Path(refs[0].tar).unlink()

    eventually(lambda: watch.withdrawn(plan), 10)
    assert not any(while_it_is_there)
    watch.close()


def test_new_shards_are_trained_on_with_replay_after_a_restart(tmp_path: Path) -> None:
    shard(tmp_path / "tars/a.tar", 20)
    trainer(tmp_path / "tars", tmp_path / "run").run()
    shard(tmp_path / "tars/b.tar", 20, first=20)

    second = trainer(tmp_path / "tars", tmp_path / "run")
    second.run()

    entries = {Path(name).name: entry for name, entry in second.state.ledger.entries.items()}
    assert entries["b.tar"].drawn >= 3 * entries["b.tar"].samples
    assert entries["a.tar"].drawn > 3 * entries["a.tar"].samples + 8
    assert len(list(list_models(second.around.store))) == 2


# --- the published model ---


def test_pictures_of_ones_own_are_named_among_classes_of_ones_own(finished: Trainer, tmp_path: Path) -> None:
    version = alias(finished.around.store, "clip", CHAMPION)
    assert version is not None
    pull_model(finished.around.store, "clip", version, tmp_path / "model")
    (tmp_path / "classes.txt").write_text("red thing\n\nblue thing\n")
    for number, name in enumerate(("red thing", "blue thing", "elsewhere")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        (tmp_path / "pictures" / name / "1.jpg").write_bytes(jpeg(COLOURS["red"], number))
    (tmp_path / "pictures" / "broken.png").write_bytes(b"no picture")
    given = ["--classes", tmp_path / "classes.txt", "--images", tmp_path / "pictures", "--dir", tmp_path / "model"]

    ran = CliRunner().invoke(app, ["evaluate", *map(str, given), "--json"])

    found = json.loads(ran.stdout)
    assert (found["schema"], found["classes"], found["pictures"], found["labelled"]) == (1, 2, 3, 2)
    assert found["unreadable"] == ["broken.png"]
    assert {row["path"]: row["class"] for row in found["results"]} == {
        "blue thing/1.jpg": "blue thing",
        "elsewhere/1.jpg": None,
        "red thing/1.jpg": "red thing",
    }
    assert all(row["answer"] in ("red thing", "blue thing") and 0.5 <= row["score"] <= 1 for row in found["results"])
    assert found["accuracy"] == found["mean_per_class_recall"]
    assert found["accuracy_low"] <= found["accuracy"] <= found["accuracy_high"]


@pytest.mark.parametrize("text", ["", "only one\n"])
def test_too_few_classes_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes.txt").write_text(text)

    with pytest.raises(UserError, match=r"classes\.txt.*at least two"):
        read_classes(tmp_path / "classes.txt")


def test_the_export_holds_accuracy_by_entity_and_by_cohort(finished: Trainer) -> None:
    (model,) = list_models(finished.around.store)

    details = json.loads(read_file(finished.around.store, model, "evaluation.json"))

    tables = details["tables"]
    assert sum(row["pictures"] for row in tables["entity"].values()) == model.metrics["heldout"]
    assert set(tables["natural_type"]) <= set(COLOURS)
    assert set(tables["bucket"]) <= {"head", "middle", "tail"}
    assert details["cohorts"]["rows"][-1]["step"] == finished.state.step


def test_open_clip_loads_the_published_model_with_equal_features(finished: Trainer, tmp_path: Path) -> None:
    version = alias(finished.around.store, "clip", CHAMPION)
    assert version is not None
    pull_model(finished.around.store, "clip", version, tmp_path)

    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path}")

    picture = transform(open_picture(jpeg(COLOURS["blue"])))[None]
    model.eval()
    with torch.no_grad(), wearing(finished.stepper.model, finished.stepper.average.tensors):
        ours = finished.stepper.model.encode_image(picture)  # type: ignore[operator]
        texts = finished.stepper.model.encode_text(finished.stepper.clip.tokenize(["a blue thing"]))  # type: ignore[operator]
        assert torch.equal(model.encode_image(picture), ours)
        assert torch.equal(model.encode_text(tokenizer(["a blue thing"])), texts)
    assert json.loads((tmp_path / "lineage.json").read_bytes())["step"] == finished.state.step
    assert "local-dir" in (tmp_path / "README.md").read_text()


def test_a_published_file_that_differs_from_its_manifest_is_not_pulled(finished: Trainer, tmp_path: Path) -> None:
    store = Folder(tmp_path / "store")
    for key in finished.around.store.keys("models/"):
        store.put(key, finished.around.store.get(key))
    (model,) = list_models(store)
    store.put(model.key + "open_clip_model.safetensors", b"cut")

    with pytest.raises(UserError, match="open_clip_model"):
        pull_model(store, "clip", model.version, tmp_path / "model")
