"""`entityflow import`: a list of addresses that somebody has, into the line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entityflow.cli.output import print_json, say
from entityflow.cli.servers import settings_with
from entityflow.errors import UserError
from entityflow.settings import Settings

if TYPE_CHECKING:
    from entityflow.importing import Candidate, Fault
    from entityflow.stage import Send

TOPIC = "url"
PREVIEWED_ROWS = 100
KEPT_FAULTS = 10_000
SAID_FAULTS = 20


def import_list(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL, Parquet (img2dataset's too), or an address a line.")],
    url_col: Annotated[str, typer.Option(help="The column of addresses.")] = "url",
    text_col: Annotated[str | None, typer.Option(help="The column of texts.")] = None,
    entity_col: Annotated[str | None, typer.Option(help="The column of entity ids.")] = None,
    page_col: Annotated[str | None, typer.Option(help="The column of page addresses.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N rows.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the shards: starts the stack, fetches, filters, seals and pulls.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Send a list of addresses into the line: each row becomes a candidate of its own.

    A row that is wrong is told with its line number and does not stop the rest; sending a list again adds nothing.

    Example: entityflow import urls.csv --url-col url --text-col caption --dry-run
    """
    from entityflow.importing import Columns, candidates, open_list

    rows = candidates(open_list(file), Columns(url_col, text_col, entity_col, page_col))
    count = Count(quiet=as_json)
    sends = count.sends(islice(rows, limit))
    if dry_run:
        for _ in sends:
            pass
    elif out is not None:
        from entityflow.cli.import_through import import_through

        import_through(lambda settings: produce(settings, sends), out)
    else:
        produce(settings_with("kafka"), sends)
    if text_col is None:
        say("no --text-col: the filter drops a picture without any text")
    if as_json:
        print_json(count.document(dry_run))
    elif dry_run:
        for row in count.preview:
            print("\t".join(str(value if value is not None else "").replace("\n", "\\n") for value in row.values()))
    say(f"{count.rows} rows, {count.accepted} {'would be sent' if dry_run else 'sent'}, {count.faults} wrong")
    if count.rows and not count.accepted:
        raise UserError(f"no row of {file} can be used", hint="--dry-run --json tells what is wrong with each")


def produce(settings: Settings, sends: Iterator[Send]) -> None:
    from entityflow.stage import produce_all

    produce_all("import", settings, sends, [TOPIC])


@dataclass
class Count:
    """What has become of the rows so far; faults beyond the first ones are only counted."""

    quiet: bool
    rows: int = 0
    accepted: int = 0
    faults: int = 0
    kept: list[Fault] = field(default_factory=list)
    preview: list[dict[str, Any]] = field(default_factory=list)

    def sends(self, rows: Iterator[Candidate | Fault]) -> Iterator[Send]:
        from entityflow.importing import Fault
        from entityflow.stage import Send

        for row in rows:
            self.rows += 1
            if isinstance(row, Fault):
                self._wrong(row)
                continue
            self.accepted += 1
            if len(self.preview) < PREVIEWED_ROWS:
                self.preview.append({"line": row.line, "url": row.url.address, "text": row.text})
            yield Send(TOPIC, row.url, key=row.host_key)

    def _wrong(self, fault: Fault) -> None:
        self.faults += 1
        if len(self.kept) < KEPT_FAULTS:
            self.kept.append(fault)
        if not self.quiet and self.faults <= SAID_FAULTS:
            say(f"line {fault.line}: {fault.column or 'row'} {fault.value!r} {fault.message}")
        elif not self.quiet and self.faults == SAID_FAULTS + 1:
            say("more rows are wrong: --json tells all")

    def document(self, dry_run: bool) -> dict[str, Any]:
        """The JSON shape that scripts rely on: fields are only added."""
        document: dict[str, Any] = {
            "rows": self.rows,
            "accepted": self.accepted,
            "errors": [asdict(fault) for fault in self.kept],
            "errors_left_out": self.faults - len(self.kept),
        }
        return {**document, "preview": self.preview} if dry_run else document
