"""`entityflow report`: what came of everything so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from entityflow.cli.output import print_json
from entityflow.cli.servers import settings_with

if TYPE_CHECKING:
    from entityflow.funnel import Funnel
    from entityflow.records import Model


def report(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Counts from entities to the model, and why candidates were dropped.

    Every candidate counts once: accepted, else merged, else its last reason; `pending` have not ended yet.

    Example: entityflow report --json
    """
    from entityflow.funnel import read_funnel

    funnel = read_funnel(settings_with("kafka"))
    if as_json:
        print_json(document(funnel))
    else:
        print("\n".join(lines(funnel)))


def document(funnel: Funnel) -> dict[str, Any]:
    """The JSON shape that scripts rely on: fields are only added."""
    return {
        "topics": dict(funnel.topics),
        "entities": funnel.entities,
        "queries": funnel.queries,
        "candidates": funnel.candidates,
        "images": funnel.images,
        "outcomes": funnel.endings.counts,
        "accepted": funnel.endings.accepted,
        "merged": funnel.endings.merged,
        "pending": funnel.pending,
        "shards": {"count": len(funnel.shards), "samples": funnel.samples, "heldout": funnel.heldout},
        "model": _model(funnel.model),
    }


def _model(model: Model | None) -> dict[str, Any] | None:
    if model is None:
        return None
    return {
        "version": model.version,
        "promoted": model.promoted,
        "accuracy": model.metrics.get("accuracy"),
        "chance": model.metrics.get("chance"),
        "metrics": model.metrics,
    }


def lines(funnel: Funnel) -> list[str]:
    counted: list[tuple[str, object]] = [
        ("entities", funnel.entities),
        ("queries", funnel.queries),
        ("candidates", funnel.candidates),
        ("images", funnel.images),
        ("pairs", funnel.endings.accepted),
        ("merged", funnel.endings.merged),
        ("pending", funnel.pending),
        ("samples", f"{funnel.samples} training, {funnel.heldout} held out"),
        ("shards", len(funnel.shards)),
    ]
    text = [f"{name:<12}{value}" for name, value in counted]
    if dropped := funnel.endings.dropped:
        text += [
            "",
            "dropped, by reason (docs/reasons.md)",
            *(f"  {count:>6}  {word}" for word, count in dropped.items()),
        ]
    return [*text, "", *model_lines(funnel.model)]


def model_lines(model: Model | None) -> list[str]:
    if model is None:
        return ["model       none yet"]
    state = "promoted" if model.promoted else f"not promoted: {model.why}"
    found = [
        _accuracy(model.metrics, "accuracy", "chance", "natural types"),
        _accuracy(model.metrics, "entity_accuracy", "entity_chance", "entities"),
    ]
    return [f"model       {model.version} ({state})", *(line for line in found if line)]


def _accuracy(metrics: dict[str, float], name: str, chance: str, over: str) -> str | None:
    """`accuracy over natural types  before 0.09, now 0.41 (95 % interval 0.33-0.49), chance 0.08`."""
    if name not in metrics:
        return None
    before = f"before {metrics[f'{name}_before']:.3f}, " if f"{name}_before" in metrics else ""
    interval = (
        f" (95 % interval {metrics[f'{name}_low']:.3f}-{metrics[f'{name}_high']:.3f})"
        if f"{name}_low" in metrics
        else ""
    )
    majority = (
        f", the commonest alone {metrics['majority']:.3f}" if name == "accuracy" and "majority" in metrics else ""
    )
    shown = f"{before}now {metrics[name]:.3f}{interval}, chance {metrics.get(chance, 0):.3f}{majority}"
    return f"  accuracy over {over}: {shown}"
