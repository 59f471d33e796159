"""A Wikidata-shaped graph of living things, made from the NCBI taxonomy with its Wikidata ids.

It holds every taxon with a QID that has a common name or a picture in the demo corpus, and all their ancestors with a
QID: some tens of thousands of entities, so that it loads in seconds. P18 names the pictures of the corpus. NCBI's
nearest ancestor with a QID stands for P171; there is one sitelink where there is an English Wikipedia article.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from entityflow.embedded.cache import cache_dir
from entityflow.embedded.corpus import Picture, build_corpus, read_corpus, taxon_words
from entityflow.embedded.jars import Say
from entityflow.embedded.making import making
from entityflow.embedded.packages import TAXA, unpacked
from entityflow.embedded.taxonomy import Taxonomy

FORMAT = 3
MAX_PICTURES = 5  # P18 statements of one entity

WD, WDT = "http://www.wikidata.org/entity/", "http://www.wikidata.org/prop/direct/"
RDFS_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
DESCRIPTION, SITELINKS = "http://schema.org/description", "http://wikiba.se/ontology#sitelinks"
INTEGER = "http://www.w3.org/2001/XMLSchema#integer"
TAXON, PICTURES = "Q16521", "http://pictures.demo.test/"

# Wikidata's items for NCBI's ranks
RANK_ITEMS = {
    "species": "Q7432",
    "genus": "Q34740",
    "family": "Q35409",
    "order": "Q36602",
    "class": "Q37517",
    "phylum": "Q38348",
    "kingdom": "Q36732",
    "subspecies": "Q68947",
}


def build_graph(say: Say) -> Path:
    """The graph as an N-Triples file in the cache; made once for a corpus."""
    corpus = build_corpus(say)
    folder = cache_dir() / "graph" / f"{corpus.name}-{TAXA.version}-{FORMAT}"
    if not folder.exists():
        package = unpacked(TAXA, say)
        assert package is not None
        say("writing the knowledge graph")
        with making(folder) as scratch, (scratch / "graph.nt").open("w") as file:
            file.writelines(f"{triple} .\n" for triple in triples(Taxonomy(package), read_corpus(corpus)))
    return folder / "graph.nt"


def triples(taxonomy: Taxonomy, pictures: list[Picture]) -> Iterator[str]:
    """The lines of the graph without their closing dot, entity by entity in the order of taxon ids."""
    shown: dict[int, list[Picture]] = defaultdict(list)
    for picture in pictures:
        taxon = taxonomy.find(picture.taxon) if picture.taxon else None
        if taxon is not None and taxonomy.qid(taxon) is not None:
            shown[taxon].append(picture)
    words: dict[int, list[str]] = defaultdict(list)
    for word, name in taxon_words().items():
        if (taxon := taxonomy.find(name)) is not None:
            words[taxon].append(word)
    for taxon in _with_ancestors(taxonomy, [*taxonomy.named(), *shown]):
        yield from _entity(taxonomy, taxon, words.get(taxon, []), shown.get(taxon, []))


def _with_ancestors(taxonomy: Taxonomy, taxa: list[int]) -> list[int]:
    kept: set[int] = set()
    for taxon in taxa:
        if taxonomy.qid(taxon) is not None and taxon not in kept:
            kept.add(taxon)
            kept.update(ancestor for ancestor in taxonomy.lineage(taxon) if taxonomy.qid(ancestor) is not None)
    return sorted(kept)


def _entity(taxonomy: Taxonomy, taxon: int, words: list[str], pictures: list[Picture]) -> Iterator[str]:
    item = f"<{WD}{taxonomy.qid(taxon)}>"
    scientific = taxonomy.line("scientific_name", taxon) or str(taxon)
    common = taxonomy.line("common_name", taxon)
    # Wikidata labels an item with the name that people use, which is the picture's word where there is one
    label = _usual(words, pictures) if words and pictures else common or scientific
    yield f"{item} <{RDFS_LABEL}> {_text(label, 'en')}"
    yield f"{item} <{WDT}P31> <{WD}{TAXON}>"
    yield f"{item} <{WDT}P225> {_text(scientific)}"
    yield f"{item} <{WDT}P685> {_text(str(taxon))}"
    if rank := RANK_ITEMS.get(taxonomy.rank(taxon)):
        yield f"{item} <{WDT}P105> <{WD}{rank}>"
    parent = next((qid for above in taxonomy.lineage(taxon) if (qid := taxonomy.qid(above))), None)
    if parent is not None:
        yield f"{item} <{WDT}P171> <{WD}{parent}>"
    for name in dict.fromkeys([*([common] if common else []), *words]):
        yield f"{item} <{WDT}P1843> {_text(name, 'en')}"
    if summary := taxonomy.summary(taxon):
        yield f"{item} <{DESCRIPTION}> {_text(summary, 'en')}"
    links = 1 if taxonomy.line("en_wiki_title", taxon) else 0
    yield f'{item} <{SITELINKS}> "{links}"^^<{INTEGER}>'
    for picture in pictures[:MAX_PICTURES]:
        yield f"{item} <{WDT}P18> <{PICTURES}{picture.id}>"


def _usual(words: list[str], pictures: list[Picture]) -> str:
    """The word that most pictures of the thing use; among equals the first."""
    texts = [f"{picture.title} {picture.alt}".lower() for picture in pictures]

    def uses(word: str) -> int:
        """A plural counts, the beginning of another word ("chick" in "chicken") does not."""
        return sum(re.search(rf"\b{re.escape(word)}s?\b", text) is not None for text in texts)

    return max(words, key=uses)


def _text(value: str, lang: str = "") -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")
    return f'"{escaped}"@{lang}' if lang else f'"{escaped}"'
