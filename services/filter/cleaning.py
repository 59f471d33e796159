"""Web text as people should read it: mojibake repaired, entities unescaped, invisible marks gone, blanks collapsed."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

import ftfy
from ftfy.fixes import remove_terminal_escapes

MAX_RAW_CHARACTERS = 20_000  # what is longer is no caption, and cleaning it would cost seconds
MAX_ROUNDS = 6  # of unescaping and repairing: feeds escape twice, sometimes thrice

ZWNJ, ZWJ = "\u200c", "\u200d"
KEYCAP = "\u20e3"
BLACK_FLAG, LAST_TAG = "\U0001f3f4", "\U000e007f"

# Letters and symbols that show nothing: Hangul fillers, the blank Braille pattern, the object replacement character.
BLANK_LOOKING = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0\u2800\ufffc"), " ")

ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

# Only the encoding: quotes, ligatures and wide letters are as the writer wanted them.
REPAIR = ftfy.TextFixerConfig(unescape_html=False, replace_lossy_sequences=False, explain=False)


def clean_text(text: str) -> str:
    """One line without surrogates, controls, bidi marks or stray joiners, in NFC; cleaning it again changes nothing."""
    text = text[:MAX_RAW_CHARACTERS]
    for _ in range(MAX_ROUNDS):
        cleaned = _once(text)
        if cleaned == text:
            break
        text = cleaned
    return text


def _once(text: str) -> str:
    text = _joined_surrogates(ENTITY.sub(_character, text))
    text = ftfy.fix_encoding(text, REPAIR)
    text = remove_terminal_escapes(text).translate(BLANK_LOOKING)
    text = "".join(_visible(text))
    return " ".join(unicodedata.normalize("NFC", text).split())


def _character(entity: re.Match[str]) -> str:
    """What an entity with its semicolon stands for: `AT&T` and `a<b` are none. Halves of a pair stay halves for now."""
    name = entity[1]
    if name.startswith("#"):
        number = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
        if 0xD800 <= number <= 0xDFFF:
            return chr(number)
        if number == 0:
            return ""
    return html.unescape(entity[0])


def _joined_surrogates(text: str) -> str:
    """Two halves that stand together become their character; a half alone has no meaning and goes."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")


def _visible(text: str) -> Iterator[str]:
    """The characters that stay: controls become blanks, format characters go unless they bind their neighbours."""
    in_flag = False
    for position, character in enumerate(text):
        before = text[position - 1] if position else ""
        after = text[position + 1] if position + 1 < len(text) else ""
        in_flag = character == BLACK_FLAG or (in_flag and _is_tag(character))
        category = unicodedata.category(character)
        if category == "Cc":
            if character.isspace():
                yield " "
        elif category == "Cf":
            if _binds(character, before, after) or (_is_tag(character) and in_flag):
                yield character
        elif _is_selector(character):
            if before and not before.isspace():
                yield character
        elif not _is_noncharacter(character):
            yield character


def _binds(character: str, before: str, after: str) -> bool:
    """A joiner inside an emoji or a word. At an end, beside a blank, or doubled it is stray."""
    if character == ZWJ and _is_pictographic(before) and _is_pictographic(after):
        return True
    return character in (ZWJ, ZWNJ) and _in_word(before) and _in_word(after)


def _is_pictographic(character: str) -> bool:
    """Symbols, their selectors and skin tones, keycaps, and the last tag of a flag."""
    return bool(character) and (
        unicodedata.category(character) in ("So", "Sk", "Sm")
        or _is_selector(character)
        or character in (KEYCAP, LAST_TAG)
    )


def _in_word(character: str) -> bool:
    return bool(character) and unicodedata.category(character)[0] in "LM" and not _is_selector(character)


def _is_selector(character: str) -> bool:
    """Variation selectors: how the character before is drawn."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _is_tag(character: str) -> bool:
    return "\U000e0020" <= character <= LAST_TAG


def _is_noncharacter(character: str) -> bool:
    return "\ufdd0" <= character <= "\ufdef" or ord(character) & 0xFFFE == 0xFFFE
