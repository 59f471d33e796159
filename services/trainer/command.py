"""`entityflow train` on shards that lie on this machine, and `entityflow model` for what was published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entityflow.cli.servers import require
from entityflow.errors import UsageError, UserError
from entityflow.settings import load_settings
from services.trainer.registry import CHAMPION, LATEST, Published, alias, find_model, list_models, promote, pull_model
from services.trainer.settings import TrainerSettings
from services.trainer.store import Store

if TYPE_CHECKING:
    from services.trainer.recipe import Recipe
    from services.trainer.trainer import Trainer

SCHEMA = 1
HELDOUT_SHARE = 0.05  # of shards without held-out tars

app = typer.Typer(no_args_is_help=True, help="List, pull, evaluate and promote models.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Name = Annotated[str | None, typer.Option(help="Name of the model; else the domain's.")]


def train(
    shards: Annotated[list[str], typer.Argument(help="Folders or tars of WebDataset shards, ours or img2dataset's.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and the model; a run goes on from it.")],
    model: Annotated[str, typer.Option(help="tiny, or a model name of open_clip.")] = "",
    passes: Annotated[int | None, typer.Option(min=1, help="Draws of each sample.")] = None,
    batch: Annotated[int | None, typer.Option(min=2, help="Samples in a batch.")] = None,
    knowledge: Annotated[Path | None, typer.Option(help="knowledge/VERSION.parquet: names and natural types.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train CLIP on shards that you have already.

    Example: entityflow train ./pairs --out ./run --model ViT-B-32 --batch 256
    """
    given = {"trainer_model": model, "trainer_passes": passes, "trainer_batch_size": batch}
    settings = load_settings(
        TrainerSettings,
        trainer_exit_when_idle=True,
        **{name: value for name, value in given.items() if value},
    )
    trainer = train_folder(settings, [local(shard) for shard in shards], out, knowledge)
    if not trainer.ranks.leads:
        return
    published = trainer.published or _last(trainer.around.store, trainer.recipe)
    files = pull_model(trainer.around.store, published.name, published.version, out / "model")
    if as_json:
        print(json.dumps({"schema": SCHEMA, **_plain(published), "folder": str(out / "model")}))
        return
    print(out / "model")
    for name, value in published.metrics.items():
        typer.echo(f"{name:24} {value:.4g}", err=True)
    typer.echo(f"{len(files)} files; open_clip loads them as local-dir:{out / 'model'}", err=True)


def train_folder(settings: TrainerSettings, paths: list[Path], out: Path, knowledge: Path | None) -> Trainer:
    """Until every sample was drawn often enough. Raises UserError where there is nothing to train on, typer.Exit after
    a signal: then a checkpoint is written, and the same call goes on from it."""
    from entityflow.domain import load_domain
    from entityflow.logs import configure_logs
    from services.trainer.building import build_trainer
    from services.trainer.knowledge import parse_knowledge
    from services.trainer.ranks import ranks_from_environment
    from services.trainer.recipe import make_recipe
    from services.trainer.shard_log import FolderLog, find_tars
    from services.trainer.shard_room import FilesInPlace, ShardRoom
    from services.trainer.stopping import stop_on_signals
    from services.trainer.store import Folder

    configure_logs(settings.log_level, settings.log_format, "trainer")
    log, room = FolderLog(find_tars(paths)), ShardRoom(FilesInPlace(), HELDOUT_SHARE)
    recipe = make_recipe(settings, load_domain(settings.domain) if settings.domain else None)
    known = parse_knowledge(knowledge.stem, knowledge.read_bytes()) if knowledge else None
    ranks = ranks_from_environment()
    with stop_on_signals(ranks) as stop:
        trainer = build_trainer(settings, recipe, Folder(out), log, room, lambda _model: None, stop, ranks, out, known)
        try:
            entries = trainer.run().ledger.entries.values()
        finally:
            ranks.leave()
    if stop.is_set():
        typer.echo(f"stopped at step {trainer.state.step}; the same command goes on from there", err=True)
        raise typer.Exit(stop.code)
    if ranks.leads and all(entry.lost for entry in entries):
        lost = "; ".join(f"{Path(entry.ref.shard_id).name}: {entry.lost}" for entry in entries)
        raise UserError(f"no shard can be trained on ({lost})", hint="the lines above say why")
    return trainer


def local(shard: str) -> Path:
    """Raises UsageError for an address: a shard is a file here, and never a command to run."""
    if ":" in shard.split("/")[0] and not Path(shard).exists():
        raise UsageError(f"{shard!r} is no file on this machine", hint="bring shards here first: shards pull DIR")
    return Path(shard)


@app.command("list")
def list_command(name: Name = None, as_json: AsJson = False) -> None:
    """Published models, oldest first.

    Example: entityflow model list --json
    """
    store, name = _store(), name or _name()
    models = list(list_models(store, name))
    if as_json:
        aliases = {which: alias(store, name, which) for which in (LATEST, CHAMPION)}
        print(json.dumps({"schema": SCHEMA, "name": name, **aliases, "models": [_plain(model) for model in models]}))
        return
    for model in models:
        accuracy = model.metrics.get("accuracy")
        figure = "-" if accuracy is None else f"{accuracy:.3f}"
        print(f"{model.version}\t{figure}\t{'promoted' if model.promoted else 'kept back'}\t{model.why}")


@app.command()
def pull(
    directory: Annotated[Path, typer.Argument(help="Folder to write the model into.")],
    version: Annotated[str | None, typer.Option(help="A version, latest or champion; else champion.")] = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Bring a model here, as open_clip loads it: create_model_and_transforms("local-dir:DIR").

    Example: entityflow model pull ./model
    """
    store, name = _store(), name or _name()
    found = find_model(store, name, version or CHAMPION).version
    files = pull_model(store, name, found, directory)
    if as_json:
        print(json.dumps({"schema": SCHEMA, "name": name, "version": found, "files": [str(file) for file in files]}))
        return
    print(directory)
    typer.echo(f"{name} {found}: {len(files)} files; open_clip loads them as local-dir:{directory}", err=True)


@app.command()
def evaluate(
    classes: Annotated[Path, typer.Option(help="Text file, one class a line.")],
    images: Annotated[Path, typer.Option(help="Folder of pictures; one folder a class gives an accuracy.")],
    directory: Annotated[
        Path | None, typer.Option("--dir", help="A model in a folder; else the published one.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="A version, latest or champion; else champion.")] = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Name pictures of yours among classes of yours.

    Example: entityflow model evaluate --classes classes.txt --images ./pictures --dir ./model
    """
    from tempfile import TemporaryDirectory

    import torch

    from services.trainer.clip import load_folder
    from services.trainer.judging import answer, read_classes, read_pictures, summary
    from services.trainer.zero_shot import Reader

    names = read_classes(classes)
    pictures, broken = read_pictures(images, names)
    with TemporaryDirectory() as scratch:
        clip = load_folder(directory or _pulled(Path(scratch), name, version))
    reader, scale = Reader(clip, torch.device("cpu")), clip.logit_scale()
    found = summary(answer(reader, scale, names, pictures), names, broken)
    if as_json:
        print(json.dumps({"schema": SCHEMA, **found}))
        return
    for item in found["results"]:
        print(f"{item['path']}\t{item['answer']}\t{item['score']:.3f}")
    if found["accuracy"] is not None:
        typer.echo(f"accuracy {found['accuracy']:.3f} ({found['accuracy_low']:.3f} to {found['accuracy_high']:.3f}) on "
                   f"{found['labelled']} pictures, chance {found['chance']:.3f}", err=True)  # fmt: skip
    for path in broken:
        typer.echo(f"{path}: no picture that can be read", err=True)


@app.command("promote")
def promote_command(
    version: Annotated[str, typer.Argument(help="The version that becomes champion.")],
    why: Annotated[str, typer.Option(help="Kept with the model.")] = "promoted by hand",
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Make a version the champion, whatever the gate said.

    Example: entityflow model promote 00000400-1a2b3c4d --why "checked by eye"
    """
    from entityflow.stage import Send, produce_all
    from services.trainer.publisher import record_of

    settings, store, name = load_settings(TrainerSettings), _store(), name or _name()
    require(settings, "kafka")
    published = promote(store, find_model(store, name, version), why)
    produce_all("trainer", settings, [Send("model", record_of(store, published))], ["model"])
    if as_json:
        print(json.dumps({"schema": SCHEMA, "name": name, **_plain(published)}))
        return
    print(published.version)


def _pulled(folder: Path, name: str | None, version: str | None) -> Path:
    store, name = _store(), name or _name()
    pull_model(store, name, find_model(store, name, version or CHAMPION).version, folder)
    return folder


def _store() -> Store:
    from services.trainer.bucket import Bucket

    settings = load_settings(TrainerSettings)
    require(settings, "s3")
    return Bucket(settings)


def _name() -> str:
    from entityflow.domain import load_domain
    from services.trainer.recipe import make_recipe

    settings = load_settings(TrainerSettings)
    return make_recipe(settings, load_domain(settings.domain) if settings.domain else None).name


def _last(store: Store, recipe: Recipe) -> Published:
    return list(list_models(store, recipe.name))[-1]


def _plain(model: Published) -> dict[str, Any]:
    return {"version": model.version, "promoted": model.promoted, "why": model.why, "at": model.at,
            "metrics": dict(model.metrics)}  # fmt: skip
