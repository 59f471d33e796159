"""Which of the names that a graph holds are words for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from entityflow.records import Synonym
from services.entity_harvester.answers import Term

MUL = "mul"  # Wikidata's tag for a label that is the same in most languages
TAXON_LANGUAGE = "la"
LABEL = "label"  # of a synonym: what another wanted language calls the item
IDENTIFIER = re.compile(r"[QPL][1-9][0-9]*\Z")
INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\ufeff]+")


def clean_name(text: str) -> str:
    """On one line, without control characters and outer blanks."""
    return " ".join(INVISIBLE.sub(" ", text).split())


def best_label(item: str, labels: Iterable[Term], languages: Sequence[str]) -> Term | None:
    """The label in the first wanted language that has one, else `mul`, else without language, else any.

    The item's own identifier is what label services answer where they know nothing: it is no label.
    """
    order = [*languages, MUL, ""]
    usable = [
        Term(name, label.lang)
        for label in labels
        if (name := clean_name(label.value)) and not (IDENTIFIER.match(name) and name == item)
    ]
    return min(usable, key=lambda label: (_rank(order, label.lang), label.lang, label.value), default=None)


def _rank(order: Sequence[str], lang: str) -> int:
    return order.index(lang) if lang in order else len(order)


def other_labels(item: str, labels: Iterable[Term], languages: Sequence[str], chosen: str) -> list[tuple[str, Term]]:
    """The labels in the wanted languages besides the chosen one, one a language, as names of the kind `label`."""
    found = []
    for lang in languages:
        label = best_label(item, [one for one in labels if one.lang == lang], [lang])
        if label is not None and label.value.casefold() != chosen.casefold():
            found.append((LABEL, label))
    return found


def synonyms(label: str, named: Iterable[tuple[str, Term]], limit: int) -> tuple[Synonym, ...]:
    """The other names (kind, term), common names first, each once whatever its case."""
    rank = {LABEL: 0, "common": 1, "alias": 2, "taxon": 3}
    known = {label.casefold()}
    found = []
    for kind, term in sorted(named, key=lambda name: (rank[name[0]], name[1].lang, name[1].value)):
        text = clean_name(term.value)
        if text and text.casefold() not in known and not IDENTIFIER.match(text):
            known.add(text.casefold())
            lang = TAXON_LANGUAGE if kind == "taxon" else term.lang or MUL
            found.append(Synonym(text=text, lang=lang, kind=kind))
    return tuple(found[:limit])
