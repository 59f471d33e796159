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

# the filter's: what a picture or a text lacks
FILTER = {
    "blank": Reason("The picture shows one colour or a dot: it has nothing to learn from or to compare."),
    "broken-picture": Reason("The bytes do not decode to a picture.", "Nothing; other addresses of it are tried."),
    "too-small": Reason("A side of the picture is too short.", "Lower filter.min_side_pixels in the domain file."),
    "extreme-aspect": Reason("The picture is a strip.", "Raise filter.max_aspect in the domain file."),
    "too-few-bytes": Reason("The picture has as few bytes as a tracking pixel."),
    "no-text": Reason("No text came with the address.", "Import it with a text column, or use a provider with texts."),
    "empty-text": Reason("Nothing of the text is left after cleaning."),
    "long-text": Reason("The text is no caption.", "Raise filter.max_text_characters in the domain file."),
    "no-letters": Reason("The text is digits and signs."),
    "short-text": Reason("The text says too little.", "Lower filter.min_text_characters in the domain file."),
    "file-name": Reason("The text is the name of a file."),
    "web-address": Reason("The text is a web or mail address."),
    "placeholder-text": Reason("The text stands on many pages for any picture."),
    "repeated-words": Reason("Half of the text is one word."),
    "repeated-characters": Reason("A run of one character fills the text."),
    "foreign-language": Reason("A long text in no wanted language.", "Change filter.languages in the domain file."),
    "unknown-picture": Reason("The address was known, but not its picture, and asking again did not help."),
}

REASONS: dict[str, Reason] = {**ENDINGS, **REJECTIONS, **FILTER}
