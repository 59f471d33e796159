"""Whether a model takes the champion's place: only what is surely worse is kept back.

Both answer for the same pictures, so it is their differences that are drawn again and again (paired bootstrap): it sees
less than a comparison of two intervals would hide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.trainer.evaluation import Evaluation, Hits
from services.trainer.randomness import uniforms
from services.trainer.registry import Published

RESAMPLES = 1000
HELDOUT_MARGIN, GUARD_MARGIN = 0.003, 0.005  # what may be lost for the sake of newer knowledge


@dataclass(frozen=True)
class Verdict:
    """`alert`: a person should look, for the model gets worse."""

    promoted: bool
    why: str
    alert: bool = False


@dataclass(frozen=True)
class Difference:
    """Of two accuracies on the same pictures, and its 95 % interval."""

    now: float
    then: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.now:.3f} against {self.then:.3f} (difference {self.low:+.3f} to {self.high:+.3f})"


def judge(
    now: Evaluation,
    then: Evaluation | None,
    guard_now: Hits,
    guard_then: Hits,
    champion: Published | None,
) -> Verdict:
    """`then`: the champion on the same pictures; none where it cannot be run any more: its figures are taken."""
    if champion is None:
        return Verdict(True, _first(now.metrics))
    if then is None:
        return _by_figures(now.metrics, champion)
    guard = difference(guard_now, guard_then)
    if guard and guard.high < -GUARD_MARGIN:
        return Verdict(False, f"guard set {guard}: surely below {champion.version}", alert=True)
    found = difference(now.types, then.types) or difference(now.entities, then.entities)
    if found is None:
        return Verdict(True, "no held-out picture with a known entity: nothing to judge by")
    if found.high < -HELDOUT_MARGIN:
        return Verdict(False, f"accuracy {found}: surely below {champion.version}", alert=True)
    return Verdict(True, f"accuracy {found} of {champion.version}")


def difference(now: Hits, then: Hits) -> Difference | None:
    """None where no picture has a truth."""
    pairs = [(a, b) for a, b in zip(now, then, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    ours, theirs = np.array(pairs, dtype=np.int64).T
    low, high = bootstrap(ours - theirs)
    return Difference(float(ours.mean()), float(theirs.mean()), low, high)


def bootstrap(differences: Sequence[int] | np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[float, float]:
    """The middle 95 % of the means of RESAMPLES draws with replacement; always the same for the same differences."""
    values = np.asarray(differences)
    count = len(values)
    means = [
        values[(uniforms(count, "bootstrap", count, turn) * count).astype(np.int64)].mean() for turn in range(RESAMPLES)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _first(metrics: Mapping[str, float]) -> str:
    if "accuracy" not in metrics:
        return "the first model; no held-out picture with a natural type: nothing to judge by"
    return f"the first model: accuracy {metrics['accuracy']:.3f}, chance {metrics['chance']:.3f}"


def _by_figures(metrics: Mapping[str, float], champion: Published) -> Verdict:
    if "accuracy" not in metrics or "accuracy" not in champion.metrics:
        return Verdict(True, f"{champion.version} cannot be compared with")
    now, then = metrics["accuracy"], champion.metrics["accuracy"]
    compared = f"accuracy {now:.3f} against {then:.3f} of {champion.version}"
    worse = metrics["accuracy_high"] < then
    return Verdict(not worse, f"{compared}: surely below" if worse else compared, alert=worse)
