"""What gives away a text that is no caption: file names, addresses, contact data, shop and consent texts, residue.

No pattern tries the same characters in many ways, so that a hostile text costs no more than a long one.
Sources: COYO and data-juicer for contact data and classes of characters; the rest is what alt texts of the web hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Measure = Callable[[str], float]


def _words(*parts: str) -> str:
    return "|".join(parts)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


CAMERA_WORDS = "img|dsc[nf]?|dscf|pict|gopr|dji|pxl|mvi|wp|p|image|photo|picture|screen ?shot|untitled"
PICTURE_ENDINGS = r"\.(?:jpe?g|png|gif|webp|avif|bmp|tiff?|svg|heic)"
FILE_NAME = _pattern(
    rf"(?:\S+{PICTURE_ENDINGS}"  # one word with the ending of a picture
    rf"|(?:file|image|datei|fichier|archivo):.*{PICTURE_ENDINGS}"  # a title of a wiki's file page
    rf"|(?:{CAMERA_WORDS})[ _-]*\(?\d{{2,}}[\d _:()-]*(?:{PICTURE_ENDINGS})?"  # what cameras and phones write
    r"|[^\s_]+(?:_[^\s_]+){2,}"  # one word of underscores
    r"|(?=\S*\d)[0-9a-f]{12,}"  # a hash
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a UUID
    r"|[\d\W_]*)"
)
TOKEN = re.compile(r"(?=\S*\d)(?=\S*[a-z])(?=\S*[A-Z])[A-Za-z0-9_-]{16,}")  # an id: digits, small letters and capitals

WEB_ADDRESS = _pattern(r"(?:https?://|www\.)\S+|[^\s@]+@[^\s@]+\.[a-z]{2,}")

MAIL = r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
PHONE = (
    r"(?<![\w.-])(?:\+\d{1,3}[ .()/-]{0,2}\d{1,4}(?:[ .()/-]{1,2}\d{2,5}){1,5}|\+\d{9,15}"
    r"|\(\d{2,5}\)[ ./-]?\d{3,4}[ .-]\d{3,5}|\d{3}[.-]\d{3}[.-]\d{4})(?!\w)"
)
OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
IP_ADDRESS = rf"(?<![\w.]){OCTET}(?:\.{OCTET}){{3}}(?![\w.])"
PERSONAL = _pattern(_words(MAIL, PHONE, IP_ADDRESS))

PLACEHOLDER = _pattern(
    r"(?:no )?(?:image|photo|picture|thumbnail|avatar|logo|icon|placeholder|untitled|banner|default|spacer|blank)s?"
    r"(?: (?:image|photo|picture|icon|thumbnail))?(?: not)?(?: available| unavailable| found| placeholder| missing)?"
    r"(?: coming soon)?[ #-]{0,2}\d{0,4}"
    r"|image may contain\b.*|click (?:to|for) (?:enlarge|zoom|view|see)\b.*|(?:view|see) (?:full[- ]size|larger"
    r"|original)\b.*"
    r"|coming soon\W*|loading\W*|advertisement|lorem ipsum\b.*|alt(?: text| tag)?|slide(?:show)? ?\d*"
    r"|(?:user|profile) (?:image|photo|picture|avatar|icon)|undefined|n/?a"
)
STOCK = _pattern(
    r"\b(?:stock (?:photo|photograph|image|picture|vector|illustration|footage|art)|royalty[- ]free|free download"
    r"|(?:photo|image|vector|illustration|picture)s?|clip ?art|shutterstock|getty ?images|istock(?:photo)?|alamy"
    r"|dreamstime|depositphotos|123rf|adobe ?stock|stock|premium|hd|4k|download|png|transparent|background|of|for"
    r"|the|a)\b"
)
STOCK_SIGN = _pattern(
    r"\bstock (?:photo|image|picture|vector|illustration|footage|art)|royalty[- ]free|\bshutterstock\b|getty ?images"
    r"|\bistock|\bdreamstime\b|\bdepositphotos\b|\b123rf\b|\badobe ?stock\b"
)
RESIDUE = _pattern(
    r"<!--|</?(?:a|b|i|u|p|s|br|hr|em|li|ol|td|tr|ul|div|img|h[1-6]|font|span|table|strong|script|style|iframe"
    r"|figure)"
    r"(?:\s[^<>]*)?/?>"
    r"|\b(?:href|src|srcset|class|style|alt|width|height|onclick)\s?=\s?[\"']"
    r"|\{\{[^{}]*\}\}|\{%|<\?php|<%"
    r"|\[/?(?:caption|gallery|url|img|embed|vc_\w+)\b[^\[\]]*\]"
    r"|&(?:nbsp|amp|quot|lt|gt|#\d{1,7})\b"
    r"|\bfunction ?\([^()]*\) ?\{|\bdocument\.\w+|\bwindow\.\w+|\bvar \w+ ?="
)
PRICE = _pattern(
    r"(?:[$€£¥₹₽₩]|\b(?:usd|eur|gbp|jpy|chf|inr|rs\.?|us\$)) ?\d[\d.,]*(?:[-–]\d[\d.,]*)?"
    r"|\b\d[\d.,]* ?(?:[€£¥₹₽₩$]|(?:usd|eur|gbp|jpy|chf|inr|euros?|dollars?|pounds?)\b)"
    r"|\b\d{1,2} ?% off\b|\b(?:buy now|add to (?:cart|basket|bag|wishlist)|free shipping|in stock|out of stock"
    r"|sold out|sale"
    r"|special offer|price|from|only|now|was|each|sku:? ?\S+|qty:? ?\d*)\b"
)
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
DATE = _pattern(
    rf"\b(?:{DAY},? )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)?[ .-]{MONTH}(?:,?[ -]\d{{4}})?(?!\w)"
    rf"|\b(?:{DAY},? )?{MONTH}[ -]\d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?\b|\b{MONTH},? \d{{4}}\b"
    r"|\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b"
    r"|\b\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]\.?m\b\.?)?|\b(?:posted|taken|published|updated|uploaded|on|at)\b"
)
CONSENT = _pattern(
    r"\bcookies? (?:policy|consent|settings|preferences)|\b(?:use|uses|using|accept|accepting|reject|allow)(?: all"
    r"| of| our)?"
    r" cookies|\bby (?:continuing|using (?:this|our) (?:site|website))|\bprivacy policy\b|\bterms (?:of|and) (?:use"
    r"|service"
    r"|conditions)\b|\ball rights reserved\b|\b(?:enable|requires?|activate) javascript\b"
    r"|\bjavascript is (?:disabled|off"
    r"|required)\b|\bsubscribe to our\b|\bnewsletter\b|\b(?:please )?(?:sign|log) ?in (?:to|with|or)\b"
    r"|\bcaptcha\b|\bgdpr\b"
)
MAKERS = (
    "canon|nikon|sony|fujifilm|fuji|olympus|panasonic|pentax|leica|kodak|casio|samsung|minolta|konica|ricoh|sigma|gopro"
    "|hasselblad|huawei|xiaomi|lge?|htc|motorola|hp"
)
CAMERA = _pattern(
    rf"(?:{MAKERS})(?: (?:corporation|optical co\.?,? ?ltd\.?|eos|powershot|ixus|coolpix|cyber-?shot|finepix|lumix"
    rf"|optio"
    r"|digital(?: still)?(?: ?camera)?s?|camera(?: pictures)?|dsc|mark|mk|alpha|rebel|easyshare|[ivx]+"
    r"|\w*\d\w*(?:-\w+)?))+"
    r"|exif[_ ]jpeg[_ ]picture|jpeg[_ ]picture|processed with \w+(?: with \w+ preset)?|created (?:by|with) \w+"
    r"|sony dsc|(?:apple )?iphone ?\d*\w*(?: pro| plus| max| mini)*"
)
# a species as biologists write it: a genus, an epithet with a Latin ending, perhaps more of them and an author
SCIENTIFIC = re.compile(
    r"(?:×|x )?[A-Z][a-z]{2,40}(?: \([A-Z][a-z]+\))?(?: (?:var\.|subsp\.|ssp\.|f\.|cf\.|aff\.|×|x))?"
    r" [a-z-]{2,40}(?:us|um|is|ae|ii|ei|ensis|ense|oides|ans|ens|ator|atrix|or|ax|ix|ex|ops|as|es|os|on|a|e|i|o)"
    r"(?: (?:(?:var\.|subsp\.|ssp\.|f\.) )?[a-z-]{3,40}){0,2}(?: \(?[A-Z][\w.'& ,-]{0,40}\)?)?"
)


def whole(pattern: re.Pattern[str]) -> Measure:
    """1 where the text is nothing else."""
    return lambda text: float(pattern.fullmatch(text) is not None)


def count(pattern: re.Pattern[str]) -> Measure:
    """How often it occurs."""
    return lambda text: float(sum(1 for _ in pattern.finditer(text)))


def share(pattern: re.Pattern[str]) -> Measure:
    """How much of the letters and digits belongs to it."""

    def measure(text: str) -> float:
        seen = sum(map(str.isalnum, text))
        return sum(map(str.isalnum, "".join(pattern.findall(text)))) / seen if seen else 0.0

    return measure


def file_name(text: str) -> float:
    """1 for the name of a file, a hash or an id."""
    return float(FILE_NAME.fullmatch(text) is not None or TOKEN.fullmatch(text) is not None)


def stock_share(text: str) -> float:
    """How much of a text with a stock agency's words is nothing else: a caption that ends in them stays one."""
    return share(STOCK)(text) if STOCK_SIGN.search(text) else 0.0


def price_share(text: str) -> float:
    """How much of a text with a price is a price and a shop's words."""
    found = PRICE.findall(text)
    return share(PRICE)(text) if any(any(map(str.isdigit, one)) for one in found) else 0.0


def date_share(text: str) -> float:
    """How much of a text is a date and a time."""
    found = DATE.findall(text)
    return share(DATE)(text) if any(any(map(str.isdigit, one)) for one in found) else 0.0


def is_scientific(text: str) -> bool:
    """Whether it reads like the Latin name of a species: a caption however short, and in no language."""
    return SCIENTIFIC.fullmatch(text) is not None
