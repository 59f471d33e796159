"""What items are called, as the graph says it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.entity_harvester import questions
from services.entity_harvester.answers import Row, Term
from services.entity_harvester.labels import MUL, best_label
from services.entity_harvester.sparql import Sparql

MAX_ATTRIBUTES = 8
MAX_ATTRIBUTE_CHARACTERS = 40


@dataclass(frozen=True)
class Names:
    labels: dict[str, list[Term]] = field(default_factory=lambda: defaultdict(list))
    descriptions: dict[str, list[Term]] = field(default_factory=lambda: defaultdict(list))
    others: dict[str, list[tuple[str, Term]]] = field(default_factory=lambda: defaultdict(list))  # alias, common, taxon
    images: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    attributes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    revisions: dict[str, str] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        item, kind, value = questions.item_id(row["item"].value), row["kind"].value, row["value"]
        if item is None:
            return
        match kind:
            case "label":
                self.labels[item].append(value)
            case "description":
                self.descriptions[item].append(value)
            case "image":
                self.images[item].append(value.value)
            case "revision":
                self.revisions[item] = max(self.revisions.get(item, ""), value.value, key=lambda one: (len(one), one))
            case _:
                self.others[item].append((kind, value))


def read_names(sparql: Sparql, items: Sequence[str], ancestors: Sequence[str], languages: Sequence[str]) -> Names:
    """All names of the items and the labels of their ancestors, in the wanted languages or, failing that, in any."""
    names, wanted = Names(), [*languages, MUL, ""]
    _read(names, sparql, items, lambda batch: questions.names(batch, wanted))
    _read(names, sparql, ancestors, lambda batch: questions.labels(batch, wanted))
    nameless = [item for item in (*items, *ancestors) if best_label(item, names.labels[item], languages) is None]
    _read(names, sparql, nameless, questions.any_labels)
    return names


def _read(names: Names, sparql: Sparql, ids: Sequence[str], question: questions.Question) -> None:
    for row in sparql.each(ids, question):
        names.add(row)


def read_attributes(names: Names, sparql: Sparql, items: Sequence[str], languages: Sequence[str]) -> None:
    """What the graph says of the items in a word: "red", "wood", "wing of"; in the first language that has it."""
    found: dict[str, dict[tuple[int, str], list[Term]]] = defaultdict(lambda: defaultdict(list))
    wanted = [*languages, MUL]
    for row in sparql.each(items, lambda batch: questions.attributes(batch, wanted)):
        item, value = questions.item_id(row["item"].value), questions.item_id(row["value"].value)
        if item and value and row["rank"].value.isdigit():
            found[item][int(row["rank"].value), value].append(row["label"])
    for item, values in found.items():
        for (rank, value), labels in sorted(values.items(), key=lambda pair: (pair[0][0], len(pair[0][1]), pair[0][1])):
            label = best_label(value, labels, languages)
            if label is not None and len(label.value) <= MAX_ATTRIBUTE_CHARACTERS:
                names.attributes[item].append(questions.ATTRIBUTES[rank][1].format(label.value))
        del names.attributes[item][MAX_ATTRIBUTES:]


def read_namesakes(sparql: Sparql, labels: Iterable[tuple[str, Term]]) -> set[str]:
    """Those of the items whose label something else in the graph bears too."""
    asked = dict(labels)
    rows = sparql.each(
        list(asked), lambda batch: questions.namesakes((item, asked[item].value, asked[item].lang) for item in batch)
    )
    return {item for row in rows if (item := questions.item_id(row["item"].value))}
