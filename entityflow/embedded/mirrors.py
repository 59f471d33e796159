"""The mirror of Maven Central that a user's Maven settings name; jgo does not read them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from entityflow.errors import UserError

CENTRAL = {"*", "central", "external:*"}


def central_mirror(settings: Path) -> str | None:
    """The first `<mirror>` that stands for Central in a settings.xml; none where there is no file or no such mirror."""
    try:
        root = ElementTree.parse(settings).getroot()
    except FileNotFoundError:
        return None
    except (OSError, ElementTree.ParseError) as exc:
        raise UserError(f"{settings} cannot be read: {exc}", hint="mend the file, or move it away") from exc
    for mirror in root.iterfind(".//{*}mirror"):
        names = {name.strip() for name in (mirror.findtext("{*}mirrorOf") or "").split(",")}
        url = (mirror.findtext("{*}url") or "").strip()
        if url and names & CENTRAL and "!central" not in names:
            return url.rstrip("/")
    return None
