"""fetcher: url -> image

Asks each address once, politely and only where it is permitted, decodes what comes in a child process, and writes the
picture as it will be stored; an address that is known gives a sighting without a request. A second stage, the mover,
returns candidates from the retry topics to `url` when their delay is over.
Safe to replay: an address that was answered is known, the ids of image and candidate are functions of their content,
and an address is remembered only after its image is acknowledged.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import structlog

from entityflow.addresses import WebAddress
from entityflow.http import WebClient, open_session, user_agent
from entityflow.reach import Reach, load_reach
from entityflow.records import Host, Record, Url
from entityflow.sandbox import Sandbox
from entityflow.settings import load_settings
from entityflow.stage import Message, Received, Send, Shell
from entityflow.tombstones import Tombstones
from services.fetcher.address_store import address_store
from services.fetcher.bad_hashes import BadHashes, load_digests
from services.fetcher.bodies import ByteBudget
from services.fetcher.candidates import Candidates, Policy
from services.fetcher.known import KnownAddresses
from services.fetcher.lists import OperatorLists, load_lists
from services.fetcher.mover import Mover
from services.fetcher.pace import Terms
from services.fetcher.politeness import Hosts, Patience
from services.fetcher.questions import BAD_HASHES, OPT_OUT, asking
from services.fetcher.robots_cache import RobotsCache
from services.fetcher.settings import FetcherSettings
from services.fetcher.visits import VisitLimits, Visitor

SWEEP_SECONDS = 15.0
LOOK_SECONDS = 1.0
MOVER_CONCURRENCY = 1000


class Fetcher:
    """Everything that a running fetcher holds; what needs the event loop is made in `opened`."""

    def __init__(self, shell: Shell, settings: FetcherSettings, reach: Reach) -> None:
        self._shell, self._settings, self._reach = shell, settings, reach
        self._hosts = Hosts(patience(settings), time.time)
        self.tombstones = Tombstones()
        self._lists = operator_lists(settings)
        self._digests = load_digests(settings.fetcher_bad_hashes_file)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        settings = self._settings
        if self._reach.allow_loopback or self._reach.local_servers:
            servers = sorted(f"{host}:{port}" for host, port in self._reach.local_servers)
            structlog.get_logger().warning("local_servers", loopback=self._reach.allow_loopback, allowed=servers)
        if not self._reach.contact:
            structlog.get_logger().warning("no_contact", effect="nothing is requested from the Internet")
        with (
            address_store(settings.state_dir) as store,
            Sandbox(
                settings.picture_limits, children=settings.fetcher_decoders, seconds=settings.fetcher_decode_seconds
            ) as sandbox,
        ):
            self._known = KnownAddresses(store, time.time)
            async with (
                open_session(self._reach, connections=settings.fetcher_connections) as session,
                asking(
                    settings.fetcher_opt_out_service, settings.fetcher_opt_out_key.get_secret_value(), OPT_OUT
                ) as opt_out,
                asking(
                    settings.fetcher_bad_hashes_service, settings.fetcher_bad_hashes_key.get_secret_value(), BAD_HASHES
                ) as bad_hashes,
            ):
                web = WebClient(session, self._reach, settings.fetcher_timeout_seconds)
                self._robots = robots_cache(web, settings)
                visitor = Visitor(
                    web,
                    self._hosts,
                    self._robots,
                    visit_limits(settings),
                    time.time,
                    self._is_known,
                    self._lists,
                    opt_out,
                )
                self._candidates = Candidates(
                    visitor,
                    self._known,
                    self.tombstones,
                    self._lists,
                    BadHashes(self._digests, bad_hashes),
                    ByteBudget(settings.fetcher_body_bytes),
                    sandbox.decode_soon,
                    self._shell.send,
                    policy(settings),
                    time.time,
                )
                yield

    async def step(self, received: Received[Url]) -> Iterable[Send]:
        return await self._candidates.step(received)

    def learn_address(self, key: str, record: Record | None, message: Message) -> None:
        self._known.learn(key, record, message.partition)

    def read_anew(self, partitions: list[int]) -> None:
        self._known.read_anew(partitions)

    def learn_host(self, key: str, record: Record | None, message: Message) -> None:
        self._hosts.remember(key, record if isinstance(record, Host) else None)

    def took_over(self, partitions: list[int]) -> None:
        self._hosts.took_over()

    async def sweep(self) -> None:
        self._hosts.sweep()
        self._robots.sweep()

    def _is_known(self, address: WebAddress) -> bool:
        """A redirect to a known address ends the visit there; so does one to a forgotten address, which is refused."""
        return self._known.find(address.url_id) is not None or self.tombstones.of_address(address) is not None


def fetchers_reach(settings: FetcherSettings) -> Reach:
    return load_reach(
        settings,
        allow_loopback=settings.fetcher_allow_loopback,
        ports=settings.fetcher_ports,
        local_servers=settings.fetcher_local_servers,
    )


def patience(settings: FetcherSettings) -> Patience:
    return Patience(
        tier_seconds=tuple(settings.retry_seconds.values()),
        park_seconds=settings.fetcher_park_seconds,
        backoff_seconds=settings.fetcher_backoff_seconds,
        max_backoff_seconds=settings.fetcher_max_backoff_seconds,
        forgive_seconds=settings.fetcher_forgive_seconds,
    )


def robots_cache(web: WebClient, settings: FetcherSettings) -> RobotsCache:
    return RobotsCache(
        web,
        time.time,
        seconds=settings.fetcher_robots_seconds,
        unavailable_seconds=min(settings.fetcher_retry_short_seconds, settings.fetcher_robots_seconds),
    )


def visit_limits(settings: FetcherSettings) -> VisitLimits:
    return VisitLimits(
        terms=Terms(settings.fetcher_delay_seconds, settings.fetcher_speedup, settings.fetcher_host_connections),
        local_terms=Terms(settings.fetcher_loopback_delay_seconds, 1.0, settings.fetcher_loopback_connections),
        max_bytes=settings.fetcher_max_bytes,
        max_hops=settings.fetcher_max_hops,
        ask_tdmrep=settings.fetcher_tdmrep,
        own_terms={host: terms.as_terms for host, terms in settings.fetcher_host_terms.items()},
    )


def operator_lists(settings: FetcherSettings) -> OperatorLists:
    return load_lists(
        denied_hosts=settings.fetcher_denied_hosts,
        denied_hosts_file=settings.fetcher_denied_hosts_file,
        opt_out_file=settings.fetcher_opt_out_file,
        licenses=settings.fetcher_licenses,
    )


def policy(settings: FetcherSettings) -> Policy:
    return Policy(
        retry_seconds=tuple(settings.retry_seconds.values()),
        max_attempts=settings.fetcher_max_attempts,
        max_age_seconds=settings.fetcher_max_age_seconds,
        reason_days=settings.fetcher_reason_days,
        permission_days=settings.fetcher_permission_days,
        exhausted_days=settings.fetcher_exhausted_days,
    )


def build(settings: FetcherSettings) -> Shell:
    """The service, wired and not yet running."""
    reach = fetchers_reach(settings)
    user_agent(reach.contact)
    shell = Shell("fetcher", settings)
    fetcher = Fetcher(shell, settings, reach)
    shell.resource(fetcher.opened)
    shell.table("address", fetcher.learn_address, follows="url").on_added = fetcher.read_anew
    shell.table("host", fetcher.learn_host, follows="url").on_added = fetcher.took_over
    shell.table("tombstone", fetcher.tombstones.learn)
    shell.map("url", fetcher.step, concurrency=settings.fetcher_concurrency)
    mover = Mover(time.time, lambda: shell.stopping)
    for topic, seconds in settings.retry_seconds.items():
        shell.map(topic, mover.after(seconds), concurrency=MOVER_CONCURRENCY, group="fetcher-mover")
    shell.every(LOOK_SECONDS, mover.look)
    shell.every(SWEEP_SECONDS, fetcher.sweep)
    return shell


def main() -> None:
    sys.exit(build(load_settings(FetcherSettings)).run())


if __name__ == "__main__":
    main()
