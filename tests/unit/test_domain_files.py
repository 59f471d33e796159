"""A domain file: short to write, and every mistake told at once with its place."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.chosen_providers import chosen_providers
from entityflow.domain import Domain, load_domain
from entityflow.errors import UsageError

DOMAINS = Path(__file__).parents[2] / "domains"


def write(folder: Path, text: str) -> Path:
    path = folder / "owls.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complaints(folder: Path, text: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(UsageError) as caught:
        load_domain(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize("path", sorted(DOMAINS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_domains_that_ship_are_valid(path: Path) -> None:
    assert load_domain(path).name == path.stem


def test_a_name_and_a_root_are_enough(tmp_path: Path) -> None:
    domain = load_domain(write(tmp_path, "name: owls\nroots: [Q25222]\n"))

    assert domain.roots[0].id == "Q25222"
    assert domain.languages == ("en",)
    assert domain.relations.closure == ("P279", "P171")


def test_a_domain_cannot_be_changed_after_loading(tmp_path: Path) -> None:
    domain = load_domain(write(tmp_path, "name: owls\nroots: [Q25222]\n"))

    with pytest.raises(ValueError, match="frozen"):
        domain.name = "larks"  # type: ignore[misc]


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = "name: Owls\nroots: [Q25222, owl]\nlanguges: [en]\nqueries:\n  kinds: [nuon]\n  budget: 0\n"

    told = complaints(tmp_path, text)

    assert told == [
        "1:1: name: 'Owls' is not lower-case letters, digits and '-'",
        "2:17: roots[1].id: 'owl' is not a QID such as Q729",
        "3:1: languges: not known, did you mean languages?",
        "5:11: queries.kinds[0]: 'nuon' is not one of noun, attribute-noun, attribute-type, sketch, did you mean noun?",
        "6:3: queries.budget: input should be greater than or equal to 1, got 0",
    ]


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    assert complaints(tmp_path, "roots: [Q1]\n") == ["1:1: name: is missing"]


def test_an_unknown_key_inside_a_list_has_its_own_place(tmp_path: Path) -> None:
    text = "name: owls\nroots:\n  - id: Q1\n    lable: owl\n"

    assert complaints(tmp_path, text) == ["4:5: roots[0].lable: not known, did you mean label?"]


def test_an_unknown_key_like_no_other_lists_what_is_known(tmp_path: Path) -> None:
    (told,) = complaints(tmp_path, "name: owls\nroots: [Q1]\nrelations: {xyz: 1}\n")

    assert told == "3:13: relations.xyz: not known; known are closure, instance_of"


def test_attributes_of_a_type_that_the_domain_lacks_are_a_mistake(tmp_path: Path) -> None:
    text = "name: owls\nroots: [Q1]\nqueries:\n  type_attributes: {Q5: [red]}\n"

    assert complaints(tmp_path, text) == ["4:21: queries.type_attributes.Q5: neither in natural_types nor a root"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [", "1:8: not YAML: expected the node content, but found '<stream end>'"),
        ("- a\n", "1:1: file: a mapping of keys is wanted"),
        ("", "1:1: file: a mapping of keys is wanted"),
    ],
)
def test_what_is_no_mapping_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    assert complaints(tmp_path, text) == [told]


def test_a_key_that_is_given_twice_is_a_mistake(tmp_path: Path) -> None:
    (told,) = complaints(tmp_path, "name: owls\nname: larks\nroots: [Q1]\n")

    assert told.startswith("2:1: not YAML: found duplicate key")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml: cannot be read: No such file"):
        load_domain(tmp_path / "none.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "owls.yaml"
    path.write_bytes(b"name: \xff\n")

    with pytest.raises(UsageError, match="not UTF-8 text"):
        load_domain(path)


@given(st.text(max_size=200))
def test_any_text_is_a_domain_or_a_usage_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    try:
        domain = load_domain(path)
    except UsageError:
        return
    assert isinstance(domain, Domain)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Domain.model_fields, "other"]), json_values, max_size=5))
def test_any_values_are_a_domain_or_complaints(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    path = tmp_path_factory.getbasetemp() / "values.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")

    try:
        load_domain(path)
    except UsageError as exc:
        assert str(path) in str(exc)


@pytest.mark.parametrize(
    ("providers", "told"),
    [
        ("[opnverse]", "3:13: providers[0].name: 'opnverse' is no provider, did you mean openverse?"),
        ("[demo, pixabay]", "3:19: providers[1].name: pixabay is left out: its terms rule out"),
        ("[demo, demo]", "providers[1].name: demo is there twice"),
        ("[brave]", "providers[0].name: brave costs $5 for 1,000 requests"),
        ("[searxng]", "providers[0].name: searxng has no address of its own: endpoint is wanted"),
        ("[{name: shop, table: shop.yaml}]", "providers[0].table: there is no file"),
        ("[{name: demo, max_dollars: -1}]", "providers[0].max_dollars: input should be greater than or equal to 0"),
    ],
)
def test_a_provider_that_cannot_be_asked_is_a_mistake_of_the_file(tmp_path: Path, providers: str, told: str) -> None:
    (complaint,) = complaints(tmp_path, f"name: owls\nroots: [Q25222]\nproviders: {providers}\n")

    assert told in complaint


def test_a_table_of_ones_own_lies_beside_the_domain_file(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(
        "name: any\ntitle: A shop\nendpoint: https://shop.test/find\nanswer: {hits: 'found[*]', address: url}\n"
        "terms: {url: https://shop.test/terms, read: 2026-11-25}\n"
    )
    domain = load_domain(
        write(tmp_path, "name: owls\nroots: [Q25222]\nproviders: [{name: shop, table: shop.yaml, per_page: 500}]\n")
    )

    (shop,) = chosen_providers(domain)

    assert (shop.name, shop.endpoint, shop.per_page) == ("shop", "https://shop.test/find", 20)
