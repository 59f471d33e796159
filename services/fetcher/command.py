"""`entityflow inspect url`: may an address be fetched, and what says so; asked on the web or judged from files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from entityflow.addresses import BadAddress, WebAddress, parse_address
from entityflow.cli.output import print_json, print_table
from entityflow.errors import UsageError
from entityflow.http import WebClient, open_session
from entityflow.reach import Reach
from entityflow.settings import load_settings
from services.fetcher.bodies import ByteBudget
from services.fetcher.candidates import OF_PERMISSION, printable
from services.fetcher.lists import OperatorLists
from services.fetcher.permission import judge_answer
from services.fetcher.politeness import HostDown, Hosts, Parked
from services.fetcher.questions import OPT_OUT, Questions, asking
from services.fetcher.robots import Robots, parse_robots
from services.fetcher.service import fetchers_reach, operator_lists, patience, robots_cache, visit_limits
from services.fetcher.settings import FetcherSettings
from services.fetcher.tdm import TdmRule, parse_tdmrep
from services.fetcher.visits import Visitor, robots_refusal

ALLOWED, DENIED, INVALID = "allowed", "denied", "invalid"
REFUSED_UNASKED = frozenset(("private-address", "no-contact", "host-denied", "forbidden-port"))


@dataclass(frozen=True, slots=True)
class Decision:
    outcome: str
    reason: str | None = None
    evidence: tuple[str, ...] = ()
    crawl_delay: float | None = None


def inspect_url(
    urls: Annotated[list[str], typer.Argument(help="Addresses.", metavar="URL...")],
    robots: Annotated[
        Path | None, typer.Option("--robots", help="A robots.txt that every host is taken to have.")
    ] = None,
    tdmrep: Annotated[
        Path | None, typer.Option("--tdmrep", help="A tdmrep.json that every host is taken to have.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", help="'Name: value' of an answer; may be given again.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Judge by the text of the address alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """The permission decision for addresses, with its evidence; with --robots, --tdmrep, --header or --offline nothing
    is asked.

    Example: entityflow inspect url --robots robots.txt --header 'X-Robots-Tag: noai' https://example.org/a.jpg
    """
    settings = load_settings(FetcherSettings)
    reach = fetchers_reach(settings)
    lists = operator_lists(settings)
    if offline or robots is not None or tdmrep is not None or header:
        said = replace(_robots_of(robots), tdm=_tdm_of(tdmrep))
        judge = Papers(reach, lists, said, _headers_of(header or []))
        results = [_result(url, judge.decide) for url in urls]
    else:
        results = asyncio.run(_ask(urls, settings, reach, lists))
    if as_json:
        print_json({"results": results})
    else:
        columns = ("outcome", "reason", "host_key", "request")
        print_table(columns, [["-" if row[name] is None else row[name] for name in columns] for row in results])


def _robots_of(path: Path | None) -> Robots:
    if path is None:
        return Robots("robots.txt: not asked")
    return parse_robots(_bytes_of("--robots", path))


def _tdm_of(path: Path | None) -> tuple[TdmRule, ...]:
    return () if path is None else parse_tdmrep(_bytes_of("--tdmrep", path))


def _bytes_of(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(
            f"{option} {str(path)!r}: {exc.strerror}", hint="give a file as a site would serve it"
        ) from exc


def _headers_of(lines: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [line.partition(":") for line in lines]
    for line, (name, colon, _) in zip(lines, pairs, strict=True):
        if not colon or not name.strip():
            raise UsageError(f"--header {line!r}: not a header", hint="write it like 'X-Robots-Tag: noai'")
    return [(name.strip(), value.strip()) for name, _, value in pairs]


@dataclass(frozen=True, slots=True)
class Papers:
    """Decides by given files alone."""

    reach: Reach
    lists: OperatorLists
    robots: Robots
    headers: list[tuple[str, str]]

    def decide(self, address: WebAddress) -> Decision:
        judgement = judge_answer(self.headers, self.robots.tdm_rule(address))
        evidence = (*self.robots.notes, *judgement.evidence)
        refusal = self.reach.refusal(address)
        if refusal is not None and refusal != "no-contact":
            return Decision(DENIED, refusal, (f"host: {address.host}, port {address.port}",))
        if refused := self.lists.refusal(address):
            return Decision(DENIED, refused.reason, refused.evidence)
        found = robots_refusal(self.robots, address)
        delay = self.robots.crawl_delay
        if found is not None:
            return Decision(DENIED, found[0], (found[1], *evidence), delay)
        said = f"{self.robots.source}: allowed" if self.robots.rules else self.robots.source
        outcome = DENIED if judgement.reason else ALLOWED
        return Decision(outcome, judgement.reason, (said, *evidence), delay)


def _result(url: str, decide: Any) -> dict[str, Any]:
    try:
        address = parse_address(url)
    except BadAddress as exc:
        return _row(url, None, Decision(INVALID, exc.reason, (exc.detail,)))
    return _row(url, address, decide(address))


def _row(url: str, address: WebAddress | None, decision: Decision) -> dict[str, Any]:
    return {
        "url": printable(url),
        "canonical": address.canonical if address else None,
        "request": address.request if address else None,
        "url_id": address.url_id if address else None,
        "host_key": address.host_key if address else None,
        "crawl_delay": decision.crawl_delay,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "evidence": [printable(item) for item in decision.evidence],
    }


async def _ask(urls: list[str], settings: FetcherSettings, reach: Reach, lists: OperatorLists) -> list[dict[str, Any]]:
    key = settings.fetcher_opt_out_key.get_secret_value()
    async with open_session(reach) as session, asking(settings.fetcher_opt_out_service, key, OPT_OUT) as opt_out:
        web = WebClient(session, reach, settings.fetcher_timeout_seconds)
        inquiry = Inquiry(web, settings, lists, opt_out)
        rows = []
        for url in urls:
            try:
                address = parse_address(url)
            except BadAddress:
                rows.append(_result(url, None))
            else:
                rows.append(_row(url, address, await inquiry.decide(address)))
        return rows


class Inquiry:
    """Decides as the fetcher would: robots.txt, the request, each redirect; what came is thrown away."""

    def __init__(
        self, web: WebClient, settings: FetcherSettings, lists: OperatorLists, opt_out: Questions | None
    ) -> None:
        self._robots = robots_cache(web, settings)
        self._budget = ByteBudget(settings.fetcher_max_bytes)
        self._max_hops = settings.fetcher_max_hops
        hosts = Hosts(patience(settings), time.time)
        limits = visit_limits(settings)
        self._visitor = Visitor(web, hosts, self._robots, limits, time.time, lambda address: False, lists, opt_out)

    async def decide(self, address: WebAddress) -> Decision:
        try:
            decision = await self._follow(address)
        except (Parked, HostDown):
            decision = Decision(DENIED, "throttled", ("the host asked to be left alone for a while",))
        robots = self._robots.known(address)
        return replace(decision, crawl_delay=robots.crawl_delay if robots else None)

    async def _follow(self, address: WebAddress) -> Decision:
        evidence: list[str] = []
        for hop in range(self._max_hops + 1):
            async with self._budget.lease() as lease:
                visit = await self._visitor.visit(address, hop, lease)
            evidence += visit.evidence
            evidence += [f"redirects to {past.request}" for past in visit.trail[1:]]
            if visit.moved_to is None:
                break
            address = visit.moved_to
            evidence.append(f"redirects to {address.request}")
        failure = visit.failure
        if failure is None:
            return Decision(ALLOWED, None, tuple(evidence))
        unasked = failure.reason in REFUSED_UNASKED or "request" not in visit.milliseconds
        if failure.reason in OF_PERMISSION or unasked:
            return Decision(DENIED, failure.reason, (*evidence, failure.detail))
        return Decision(ALLOWED, None, (*evidence, f"answer: {failure}"))
