"""docs/domains.md and docs/providers.md: their examples are valid, their table is the code's."""

import re
from pathlib import Path

from entityflow.chosen_providers import chosen_providers
from entityflow.domain import Domain, Queries, load_domain
from entityflow.planning import Assumptions, make_plan
from entityflow.providers import read_provider
from entityflow.providers.page import page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_worked_example_is_a_domain_with_a_plan(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "domains.md").read_text(), re.DOTALL)
    (tmp_path / "owls.yaml").write_text(block)

    domain = load_domain(tmp_path / "owls.yaml")

    plan = make_plan(domain, chosen_providers(domain), domain.limits.entities or 0, Assumptions())
    assert plan.queries > 250
    assert plan.dollars == 0


def test_every_section_of_a_domain_is_explained() -> None:
    text = (DOCS / "domains.md").read_text()

    assert [name for name in Domain.model_fields if name != "name" and f"`{name}`" not in text] == []
    assert {"graph_attributes", "attribute_min_sitelinks", "per_entity"} <= set(Queries.model_fields)


def test_the_table_of_ones_own_is_a_provider(tmp_path: Path) -> None:
    text = (DOCS / "providers.md").read_text()
    block = text[text.index("    name: shop") : text.index("\nIn braces")]
    (tmp_path / "shop.yaml").write_text(re.sub("^    ", "", block, flags=re.MULTILINE))

    assert read_provider(tmp_path / "shop.yaml").secrets() == ("SHOP_KEY",)


def test_the_table_of_providers_is_made_from_theirs() -> None:
    assert (DOCS / "providers.md").read_text().endswith(page())
