"""The SPARQL that is asked: texts only.

The closure stands in a sub-select of its own: with names and ORDER BY beside it, engines walk it once a row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from entityflow.domain import Domain

ENTITY = "http://www.wikidata.org/entity/"
PREFIXES = """\
PREFIX wd: <http://www.wikidata.org/entity/>
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX wikibase: <http://wikiba.se/ontology#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
PREFIX schema: <http://schema.org/>
"""
Question = Callable[[list[str]], str]  # the question for a batch of ids
IMAGE, TAXON_NAME, COMMON_NAME = "wdt:P18", "wdt:P225", "wdt:P1843"
# what a picture can show, with how it is said before a noun; from the list of EntityNet's makers (arXiv 2505.02746)
ATTRIBUTES = (
    ("wdt:P462", "{}"),  # colour
    ("wdt:P186", "{}"),  # made from material
    ("wdt:P1552", "{}"),  # has characteristic
    ("wdt:P527", "{} of"),  # has part
)
VERSION = "schema:version|^schema:about/schema:version"
# on the item itself (Wikidata's query service) or on its data node (mirrors of the dump)
SITELINKS = "wikibase:sitelinks|^schema:about/wikibase:sitelinks"


def item_id(iri: str) -> str | None:
    """`Q729` of an entity's IRI, none for anything else."""
    tail = iri.removeprefix(ENTITY)
    return tail if tail != iri and tail[:1] == "Q" and tail[1:].isdigit() else None


def members(domain: Domain, limit: int, offset: int) -> str:
    """Rows (item, sitelinks), the most popular first; among equals the older item."""
    order = "ORDER BY DESC(?sitelinks) STRLEN(STR(?item)) STR(?item)"
    return f"{_fame(member_pattern(domain))} {order} LIMIT {limit} OFFSET {offset}"


def still_members(domain: Domain, ids: Iterable[str]) -> str:
    """Rows (item, sitelinks) of those that belong to the domain."""
    return _fame(member_pattern(domain, ids))


def _fame(pattern: str) -> str:
    return (
        f"SELECT ?item (MAX(COALESCE(?links, 0)) AS ?sitelinks) WHERE {{ {pattern}"
        f" OPTIONAL {{ ?item {SITELINKS} ?links }} }} GROUP BY ?item"
    )


def member_pattern(domain: Domain, among: Iterable[str] = ()) -> str:
    """The pattern that binds ?item to every entity of the domain (of `among`, where given)."""
    filters = domain.filters
    chosen = f"VALUES ?item {{ {_items(among)} }}" if among else ""
    roots = _items(item.id for item in domain.roots)
    parts = [
        f"{{ SELECT DISTINCT ?item WHERE {{ {chosen} VALUES ?root {{ {roots} }} ?item {_below(domain)} ?root }} }}",
        f"FILTER(?item NOT IN ({roots.replace(' ', ', ')}))",
        f'FILTER(STRSTARTS(STR(?item), "{ENTITY}Q"))',
    ]
    if filters.image:
        parts.append(f"FILTER EXISTS {{ ?item {IMAGE} ?image }}")
    if filters.min_sitelinks:
        parts.append(f"FILTER EXISTS {{ ?item {SITELINKS} ?fame FILTER(?fame >= {filters.min_sitelinks}) }}")
    parts += [f"FILTER NOT EXISTS {{ ?item wdt:{name} ?has_{name} }}" for name in filters.without]
    if filters.exclude:
        bad = _items(item.id for item in filters.exclude)
        parts.append(
            f"MINUS {{ SELECT DISTINCT ?item WHERE {{ VALUES ?bad {{ {bad} }} ?item {_below(domain)} ?bad }} }}"
        )
        parts.append(f"FILTER(?item NOT IN ({bad.replace(' ', ', ')}))")
    return " ".join(parts)


def names(ids: Iterable[str], languages: Iterable[str]) -> str:
    """Rows (item, kind, value): labels, descriptions and aliases in the languages, names and pictures of the items."""
    spoken = _spoken(languages)
    branches = (
        ("label", "rdfs:label", spoken),
        ("description", "schema:description", spoken),
        ("alias", "skos:altLabel", spoken),
        ("common", COMMON_NAME, spoken),
        ("taxon", TAXON_NAME, ""),
        ("image", IMAGE, ""),
        ("revision", VERSION, ""),
    )
    return _union(ids, branches)


def attributes(ids: Iterable[str], languages: Iterable[str]) -> str:
    """Rows (item, rank, value, label): what the properties of ATTRIBUTES say of the items; rank is their number."""
    chosen = f"VALUES ?item {{ {_items(ids)} }}"
    parts = [f'{{ {chosen} ?item {name} ?value BIND("{rank}" AS ?rank) }}' for rank, (name, _) in enumerate(ATTRIBUTES)]
    spoken = f"FILTER(LANG(?label) IN ({', '.join(json.dumps(lang) for lang in languages)}))"
    said = " UNION ".join(parts)
    return f"SELECT DISTINCT ?item ?rank ?value ?label WHERE {{ {{ {said} }} ?value rdfs:label ?label {spoken} }}"


def labels(ids: Iterable[str], languages: Iterable[str]) -> str:
    """Rows (item, kind, value): only the labels in the languages."""
    return _union(ids, (("label", "rdfs:label", _spoken(languages)),))


def any_labels(ids: Iterable[str]) -> str:
    """Rows (item, kind, value): the labels in every language, for those that have none in a wanted one."""
    return _union(ids, (("label", "rdfs:label", ""),))


def parents(domain: Domain, ids: Iterable[str]) -> str:
    """Rows (item, property, parent): the edges that lead towards a root, and no others."""
    properties = [*domain.relations.closure, *([domain.relations.instance_of] if domain.relations.instance_of else [])]
    roots = _items(item.id for item in domain.roots)
    return f"""SELECT DISTINCT ?item ?property ?parent WHERE {{
  VALUES ?item {{ {_items(ids)} }} VALUES ?property {{ {" ".join("wdt:" + name for name in properties)} }}
  ?item ?property ?parent . FILTER(?parent != ?item)
  VALUES ?root {{ {roots} }} ?parent ({_closure(domain)})* ?root }}"""


def namesakes(labels: Iterable[tuple[str, str, str]]) -> str:
    """Rows (item): those (id, label, language) whose label something else bears too."""
    rows = " ".join(f"(wd:{item} {_literal(label, lang)})" for item, label, lang in labels)
    others = "?other rdfs:label ?label FILTER(?other != ?item)"
    return f"SELECT DISTINCT ?item WHERE {{ VALUES (?item ?label) {{ {rows} }} {others} }}"


def _spoken(languages: Iterable[str]) -> str:
    return f"FILTER(LANG(?value) IN ({', '.join(json.dumps(lang) for lang in languages)}))"


def _union(ids: Iterable[str], branches: Iterable[tuple[str, str, str]]) -> str:
    chosen = f"VALUES ?item {{ {_items(ids)} }}"
    parts = [
        f'{{ {chosen} ?item {predicate} ?value {rule} BIND("{kind}" AS ?kind) }}' for kind, predicate, rule in branches
    ]
    return f"SELECT DISTINCT ?item ?kind ?value WHERE {{ {' UNION '.join(parts)} }}"


def _below(domain: Domain) -> str:
    up = _closure(domain)
    first = domain.relations.instance_of
    return f"((wdt:{first}/({up})*)|({up})+)" if first else f"({up})+"


def _closure(domain: Domain) -> str:
    return "|".join(f"wdt:{name}" for name in domain.relations.closure)


def _items(ids: Iterable[str]) -> str:
    return " ".join(f"wd:{item}" for item in ids)


def _literal(text: str, lang: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return f"{quoted}@{lang}" if lang else quoted
