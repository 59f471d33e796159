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
    "undecodable": Reason(
        "The bytes are none of our records.", "Look at who wrote the message: entityflow topics tail TOPIC-dlq."
    ),
    "query-refused": Reason(
        "A search provider will not answer this query.", "entityflow topics tail query-dlq tells what it said."
    ),
    "answer-changed": Reason(
        "A search provider's answer has another shape than its table says.",
        "Compare the table with the provider's documentation (docs/providers.md), then entityflow dlq replay.",
    ),
    "unknown-provider": Reason(
        "A query names a provider that the domain file does not have.", "Add it under providers, or reset the topic."
    ),
    "kills-process": Reason(
        "The process died again and again with this record in work, the last time with nothing else.",
        "Look at the record: entityflow dlq show; replay it when the service can bear it.",
    ),
    "result-too-large": Reason(
        "A result was over the size limit of its topic.", "Lower the stored picture size or raise the topic's limit."
    ),
}

# fetcher and filter: what a person asked to have removed never comes back
REFUSALS = {
    "forgotten": Reason(
        "Somebody asked that the picture, its address, page or host be forgotten.",
        "Nothing: it stays away.",
    ),
}

# an item of the graph that is not written as an entity
HARVESTER = {
    "no-label": Reason(
        "The graph has no word for the item that a person would use.", "Add a language to the domain file's languages."
    ),
}

# the filter's: what a picture or a text lacks
FILTER = {
    "blank": Reason("The picture shows one colour or a dot: it has nothing to learn from or to compare."),
    "broken-picture": Reason("The bytes do not decode to a picture.", "Nothing; other addresses of it are tried."),
    "too-small": Reason("A side of the picture is too short.", "Lower filter.min_side_pixels in the domain file."),
    "extreme-aspect": Reason("The picture is a strip.", "Raise filter.max_aspect in the domain file."),
    "too-few-bytes": Reason("The picture has as few bytes as a tracking pixel."),
    "icon": Reason("A small picture of a few flat colours: a button, a bullet."),
    "blurred": Reason("The picture is out of focus.", "Lower filter.thresholds.blurred in the domain file."),
    "denied-page": Reason("The picture or its page lies on a denied host.", "Change filter.denied_pages."),
    "near-heldout": Reason("The picture is nearly one that is held out: training on it would spoil the measure."),
    "benchmark": Reason("A benchmark has the picture.", "Change filter.max_benchmark_distance in the domain file."),
    "no-text": Reason("No text came with the address.", "Import it with a text column, or use a provider with texts."),
    "empty-text": Reason("Nothing of the text is left after cleaning."),
    "long-text": Reason("The text is no caption.", "Raise filter.max_text_characters in the domain file."),
    "no-letters": Reason("The text is digits and signs."),
    "short-text": Reason("The text says too little.", "Lower filter.min_text_characters in the domain file."),
    "file-name": Reason("The text is the name of a file."),
    "web-address": Reason("The text is a web or mail address."),
    "personal-data": Reason("The text holds a mail address, a telephone number or an IP address."),
    "price": Reason("The text is mostly a price and a shop's words."),
    "date": Reason("The text is mostly a date."),
    "mostly-digits": Reason("The text is a serial number.", "Set filter.thresholds in the domain file."),
    "camera-text": Reason("The text is what a camera or a phone writes into every picture."),
    "stock-text": Reason("The text is mostly a stock agency's words."),
    "consent-text": Reason("The text is about cookies, terms or signing in."),
    "html-residue": Reason("The text holds remains of a page's code."),
    "placeholder-text": Reason("The text stands on many pages for any picture."),
    "common-text": Reason("The text stands beside many pictures.", "Raise filter.max_text_pictures."),
    "host-text": Reason("Most pictures of the host bear this text: it is the site's, not theirs."),
    "repeated-words": Reason("Half of the text is one word."),
    "repeated-characters": Reason("A run of one character fills the text."),
    "foreign-language": Reason("A long text in no wanted language.", "Change filter.languages in the domain file."),
    "unknown-picture": Reason("The address was known, but not its picture, and asking again did not help."),
}

# the fetcher's: why an address gave no picture
FETCHER = {
    "not-web": Reason("The address is neither http nor https (data:, ftp:, file: ...)."),
    "relative-address": Reason("The address has no host, and no page to resolve it against."),
    "bad-address": Reason("The text cannot be parsed as an address."),
    "bad-host": Reason("The host has an empty label, or one that DNS cannot hold."),
    "credentials-in-address": Reason("The address carries a user name or password: it was not meant for others."),
    "address-too-long": Reason("The address has more than 8192 characters."),
    "private-address": Reason(
        "The host lies in a private net: a page of the web may not send us there.",
        "For servers of your own: ENTITYFLOW_FETCHER_LOCAL_SERVERS, or ENTITYFLOW_FETCHER_ALLOW_LOOPBACK=true.",
    ),
    "forbidden-port": Reason("The address names a port that is not open to us.", "Add it to ENTITYFLOW_FETCHER_PORTS."),
    "known-bad": Reason(
        "The bytes are on the list of known-bad hashes: nothing of them was kept but their SHA-256.",
        "Look at the log for what to report to whom.",
    ),
    "bad-hash-unknown": Reason(
        "The service of known-bad hashes gave no answer, at every try.",
        "Look at ENTITYFLOW_FETCHER_BAD_HASHES_SERVICE.",
    ),
    "no-contact": Reason(
        "No contact address is set, so nothing is requested from the Internet.", "Set ENTITYFLOW_CONTACT and run again."
    ),
    "robots-denied": Reason("robots.txt disallows the address for us."),
    "robots-unavailable": Reason("robots.txt could not be read for a server fault, at every try."),
    "opted-out": Reason(
        "The site refuses training: X-Robots-Tag, Content-Usage or Content-Signal says so, or an opt-out list."
    ),
    "tdm-reserved": Reason("The site reserves text and data mining (tdm-reservation: 1, or its tdmrep.json)."),
    "host-denied": Reason(
        "The host is on the deny list of whoever runs this.",
        "ENTITYFLOW_FETCHER_DENIED_HOSTS and ..._DENIED_HOSTS_FILE.",
    ),
    "license-refused": Reason(
        "The candidate's licence is not on the list, or it has none.", "Add it to ENTITYFLOW_FETCHER_LICENSES."
    ),
    "opt-out-unknown": Reason(
        "The opt-out service gave no answer, at every try.", "Look at ENTITYFLOW_FETCHER_OPT_OUT_SERVICE."
    ),
    "not-found": Reason("The server says that there is nothing (404, 410)."),
    "forbidden": Reason("The server refuses this request (401, 403, 451)."),
    "client-error": Reason("The server finds fault with the request (another 4xx)."),
    "server-error": Reason("The server failed at every try (5xx, 408, 425)."),
    "throttled": Reason(
        "The host asked for patience (429, 503) at every try.", "Raise ENTITYFLOW_FETCHER_DELAY_SECONDS."
    ),
    "timeout": Reason("No whole answer within the time, at every try.", "Raise ENTITYFLOW_FETCHER_TIMEOUT_SECONDS."),
    "dns-failure": Reason("The name of the host could not be looked up, at every try."),
    "connection-failed": Reason("No connection to the host, at every try."),
    "connection-broken": Reason("The server closed the connection without an answer, at every try."),
    "tls-failure": Reason("The certificate of the host does not hold."),
    "bad-http": Reason("The answer breaks the rules of HTTP, or has a header of over 64 KiB."),
    "incomplete-body": Reason("Fewer bytes came than were promised, at every try."),
    "bad-encoding": Reason("The body was packed, and does not unpack."),
    "too-many-bytes": Reason("The body is too large.", "Raise ENTITYFLOW_FETCHER_MAX_BYTES."),
    "bad-redirect": Reason("A redirect leads to no address."),
    "redirect-loop": Reason("Redirects lead in a circle."),
    "too-many-redirects": Reason("More redirects than ENTITYFLOW_FETCHER_MAX_HOPS."),
    "empty": Reason("The answer has no bytes."),
    "not-an-image": Reason("The first bytes are those of no picture: a page, a film, an endless stream."),
    "unsupported-format": Reason("A picture, but neither JPEG, PNG, WebP, GIF nor AVIF."),
    "truncated": Reason("Picture data is missing at the end."),
    "too-many-pixels": Reason("The picture would take too much memory.", "Raise ENTITYFLOW_FETCHER_MAX_PIXELS."),
    "decoder-crashed": Reason("The process that decoded the picture ended."),
    "decoder-timeout": Reason(
        "The picture was not decoded within the time.", "Raise ENTITYFLOW_FETCHER_DECODE_SECONDS."
    ),
}

REASONS: dict[str, Reason] = {**ENDINGS, **REJECTIONS, **REFUSALS, **HARVESTER, **FETCHER, **FILTER}
