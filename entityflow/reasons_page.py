"""docs/reasons.md: `python -m entityflow.reasons_page > docs/reasons.md`."""

from __future__ import annotations

import sys

from entityflow.reasons import REASONS

HEAD = """# Reasons

Made from `entityflow/reasons.py` by `python -m entityflow.reasons_page > docs/reasons.md`; a test compares.
`entityflow report` counts candidates by these words, `entityflow topics tail outcome --where result=WORD` shows them.

| reason | meaning | cure |
|---|---|---|
"""


def page() -> str:
    rows = (f"| `{word}` | {reason.meaning} | {reason.cure} |" for word, reason in sorted(REASONS.items()))
    return HEAD + "".join(f"{row}\n" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(page())
