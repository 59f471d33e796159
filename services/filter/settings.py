"""Settings of the filter; what a pair must be is in the domain file."""

from __future__ import annotations

from pydantic import Field

from entityflow.domain import Domain, FilterRules, load_domain
from entityflow.errors import UsageError
from entityflow.settings import Settings
from services.filter.judging import Rules
from services.filter.picture_rules import PictureLimits, picture_rules
from services.filter.text_rules import TextLimits, text_rules


class FilterSettings(Settings):
    filter_concurrency: int = Field(128, gt=0, description="images judged or waiting for the index at once")
    filter_ask_again_seconds: float = Field(30.0, gt=0, description="without an answer of the index")

    filter_examples: int = Field(50, ge=0, description="pictures kept a reason, for people to look at")
    filter_examples_seconds: float = Field(5.0, gt=0, description="how often they are written")

    def domain_section(self) -> tuple[FilterRules, float]:
        """The domain's filter section and its share of held-out samples; defaults without a domain."""
        if self.domain is None:
            return FilterRules(), float(Domain.model_fields["heldout_share"].default)
        domain = load_domain(self.domain)
        return domain.filter, domain.heldout_share


def rules_of(section: FilterRules) -> Rules:
    """Both tables as a domain wants them. Raises UsageError for a threshold of no rule."""
    known = {rule.reason for rule in text_rules(TextLimits())} | {
        rule.reason for rule in picture_rules(PictureLimits())
    }
    if unknown := sorted(section.thresholds.keys() - known):
        raise UsageError(
            f"filter.thresholds.{unknown[0]}: no rule has this name", hint=f"the rules are {', '.join(sorted(known))}"
        )
    return Rules(
        PictureLimits(
            min_side_pixels=section.min_side_pixels, max_aspect=section.max_aspect, thresholds=section.thresholds
        ),
        TextLimits(
            min_characters=section.min_text_characters,
            max_characters=section.max_text_characters,
            languages=section.languages,
            thresholds=section.thresholds,
        ),
        denied_pages=section.denied_pages,
    )
