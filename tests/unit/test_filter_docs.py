"""The page about filtering lists the rules as they are."""

import re
from pathlib import Path

from services.filter.picture_rules import PictureLimits, picture_rules
from services.filter.text_rules import TextLimits, text_rules

PAGE = Path(__file__).parents[2] / "docs" / "filtering.md"


def test_both_tables_of_rules_are_documented_in_their_order():
    documented = re.findall(r"^\| ([a-z-]+) \| .+ \| (?:above|below) ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    rules = [*text_rules(TextLimits()), *picture_rules(PictureLimits())]

    assert documented == [rule.reason for rule in rules]
