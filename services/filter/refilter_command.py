"""`entityflow refilter`: what changed rules do to the samples that are in shards already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Annotated, Any

import typer

from entityflow.cli.output import print_json, print_table, say
from entityflow.cli.servers import require
from entityflow.domain import FilterRules
from entityflow.errors import UsageError
from entityflow.objects import Objects
from entityflow.records import Amend, Entity
from entityflow.settings import Settings, load_settings
from entityflow.stage import Send, produce_all, read_topic
from services.filter.refiltering import REFILTER, REFILTER_TEXT, Bounds, EntityNames, Refilter, Refiltered, Repeats
from services.filter.samples import Samples
from services.filter.settings import FilterSettings, rules_of
from services.filter.text_rules import name_key

SHOWN = 20  # examples a reason
SCALARS = (
    "min_side_pixels",
    "max_aspect",
    "min_text_characters",
    "max_text_characters",
    "max_benchmark_distance",
    "max_text_pictures",
)


def refilter(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; write nothing.")] = False,
    changed: Annotated[
        list[str] | None, typer.Option("--set", help="RULE=LIMIT or a filter setting, to try; with --dry-run.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Judge what is in shards by the rules of today, and amend what they drop.

    It leaves with the next `entityflow shards rewrite`. What was amended before is not amended again.

    Example: entityflow refilter --dry-run --set max_aspect=2.5 --set repeated-words=0.3
    """
    if changed and not dry_run:
        raise UsageError("--set is to try things: it needs --dry-run", hint="write the limit into the domain file")
    settings = load_settings(FilterSettings)
    section = _changed(settings.domain_section()[0], changed or [])
    rules = rules_of(section)
    require(settings, "kafka", "s3")
    samples = Samples(Objects(settings))
    repeats = Repeats(samples)
    bounds = Bounds(section.max_text_pictures, section.max_benchmark_distance)
    refiltering = Refilter(rules, bounds, _names(settings), repeats)
    seen, found = 0, []
    for sample in samples:
        seen += 1
        if (verdict := refiltering.judge(sample)) is not None:
            found.append(verdict)
    known = _amended(settings)
    new = [amend for one in found if (amend := one.amend()) not in known]
    if not dry_run:
        produce_all("cli", settings, (Send("amend", amend) for amend in new), ["amend"])
    _show(found, {"samples": seen, "new": len(new), "dry_run": dry_run}, as_json)


def _changed(section: FilterRules, words: Iterable[str]) -> FilterRules:
    """The section with other limits. Raises UsageError for what is none."""
    for word in words:
        name, _, text = word.partition("=")
        try:
            limit = float(text)
        except ValueError:
            raise UsageError(f"--set {word}: {text!r} is no number", hint="RULE=LIMIT, for example price=0.3") from None
        if name in SCALARS:
            plain = section.model_dump() | {name: int(limit) if limit.is_integer() else limit}
        else:
            plain = section.model_dump() | {"thresholds": {**section.thresholds, name: limit}}
        try:
            section = FilterRules.model_validate(plain)
        except ValueError as exc:
            raise UsageError(f"--set {word}: not allowed", hint="docs/filtering.md lists rules and limits") from exc
    return section


def _names(settings: Settings) -> EntityNames:
    found: dict[str, frozenset[str]] = {}
    for _, record in read_topic(settings, "entity"):
        if isinstance(record, Entity):
            names = (record.label, *(synonym.text for synonym in record.synonyms))
            found[record.id] = frozenset(map(name_key, names))
    return found


def _amended(settings: Settings) -> set[Amend]:
    return {
        record
        for _, record in read_topic(settings, "amend")
        if isinstance(record, Amend) and record.kind in (REFILTER, REFILTER_TEXT)
    }


def _show(found: list[Refiltered], counts: dict[str, Any], as_json: bool) -> None:
    removed = Counter(one.reason for one in found if one.reason is not None)
    texts = Counter(reason for one in found for _, reason in one.texts)
    if as_json:
        print_json(
            {
                **counts,
                "removed": dict(removed.most_common()),
                "texts": dict(texts.most_common()),
                "examples": list(_examples(found)),
            }
        )
        return
    rows = [(reason, "sample", count) for reason, count in removed.most_common()]
    print_table(
        ("reason", "what", "count"), [*rows, *((reason, "text", count) for reason, count in texts.most_common())]
    )
    fate = "nothing was written" if counts["dry_run"] else f"{counts['new']} amends written"
    say(f"{counts['samples']} samples: {removed.total()} would leave, {texts.total()} texts of others; {fate}")


def _examples(found: list[Refiltered]) -> Iterator[dict[str, Any]]:
    """The first samples and texts of each reason."""
    rows: list[dict[str, Any]] = []
    for one in found:
        if one.reason is not None:
            rows.append({"image_id": one.image_id, "reason": one.reason, "text": None})
        rows += [{"image_id": one.image_id, "reason": reason, "text": text.text} for text, reason in one.texts]
    for _, group in groupby(sorted(rows, key=_reason), key=_reason):
        yield from islice(group, SHOWN)


def _reason(row: dict[str, Any]) -> str:
    return str(row["reason"])
