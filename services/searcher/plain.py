"""Texts of search results as people read them: without markup."""

from __future__ import annotations

from html.parser import HTMLParser

UNREAD = ("script", "style", "template")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in UNREAD
        self.parts.append(" " if tag in BREAKING else "")

    def handle_endtag(self, tag: str) -> None:
        self._unread = max(0, self._unread - (tag in UNREAD))
        self.parts.append(" " if tag in BREAKING else "")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.parts.append(data)


BREAKING = frozenset(
    ("br", "p", "div", "li", "ul", "ol", "td", "tr", "table", "h1", "h2", "h3", "h4", "blockquote", "hr")
)


def plain_text(value: object) -> str | None:
    """One line without tags and character references; none where there are no words, or no text at all."""
    if not isinstance(value, str):
        return None
    text = value
    if "<" in text or "&" in text:
        reader = _Reader()
        reader.feed(text)
        reader.close()
        text = "".join(reader.parts)
    return " ".join(text.split()) or None
