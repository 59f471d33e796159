"""Why a candidate, a text or a record was dropped: every stable word, what it means, and what a user can do.

A reason that is not listed here must not be written; `docs/reasons.md` is made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    meaning: str
    cure: str = ""


ENDINGS = {
    "accepted": Reason("The picture became a pair, and then a sample of a shard."),
    "merged": Reason("The picture is known already: its texts and sources were added to the sample that has it."),
}

# dead letters: our own code could not process the record
REJECTIONS = {
    "undecodable": Reason("The bytes are none of our records.", "Look at who wrote the message: entityflow dlq show."),
    "query-refused": Reason(
        "A search provider will not answer this query.", "entityflow dlq show tells what it said."
    ),
    "unknown-provider": Reason(
        "A query names a provider that the domain file does not have.", "Add it under providers, or reset the topic."
    ),
    "result-too-large": Reason(
        "A result was over the size limit of its topic.", "Lower the stored picture size or raise the topic's limit."
    ),
}

REASONS: dict[str, Reason] = {**ENDINGS, **REJECTIONS}
