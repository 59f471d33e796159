"""One request at a time per host, pauses, back-off and parking, in a time that the tests make pass."""

from __future__ import annotations

import asyncio

import pytest

from entityflow.records import Host
from services.fetcher.pace import Terms
from services.fetcher.politeness import HostDown, Hosts, Parked, Patience

PATIENCE = Patience(
    tier_seconds=(10, 60, 600), park_seconds=5, backoff_seconds=20, max_backoff_seconds=100, forgive_seconds=1000
)


class Time:
    """Passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def hosts(time: Time) -> Hosts:
    return Hosts(PATIENCE, time, time.sleep, jitter=lambda: 1.0)


async def request(hosts: Hosts, time: Time, key: str = "a.example", delay: float = 1.0, takes: float = 0.0) -> float:
    """When it began."""
    async with hosts.turn(key, Terms(delay)) as state:
        began = time.now
        await time.sleep(takes)
        hosts.requested(state, takes)
        return began


async def test_requests_to_one_host_come_one_by_one_with_the_delay_between(hosts: Hosts, time: Time) -> None:
    begins = await asyncio.gather(*(request(hosts, time) for _ in range(4)))

    assert begins == [1000.0, 1001.0, 1002.0, 1003.0]


async def test_another_host_does_not_wait(hosts: Hosts, time: Time) -> None:
    await request(hosts, time, "a.example")

    assert await request(hosts, time, "b.example") == 1000.0


async def test_who_would_wait_too_long_is_parked_at_once(hosts: Hosts, time: Time) -> None:
    results = await asyncio.gather(*(request(hosts, time, delay=2.0) for _ in range(9)), return_exceptions=True)

    parked = [result for result in results if isinstance(result, Parked)]
    assert len(parked) == 6
    assert all(one.tier == 0 for one in parked[:5])
    assert time.now < 1010


async def test_no_more_are_parked_in_a_topic_than_the_host_can_take(hosts: Hosts, time: Time) -> None:
    results = await asyncio.gather(*(request(hosts, time, delay=5.0) for _ in range(20)), return_exceptions=True)

    tiers = [result.tier for result in results if isinstance(result, Parked)]
    assert tiers.count(0) == 2
    assert tiers.count(1) == 12
    assert tiers.count(2) == len(tiers) - 14


async def test_a_host_that_asks_for_patience_parks_its_candidates_for_that_long(hosts: Hosts, time: Time) -> None:
    async with hosts.turn("a.example", Terms(1.0)) as state:
        record = hosts.failed("a.example", state, "throttled", 70.0)

    assert (record.blocked_until, record.failures, record.cause) == (1070.0, 1, "throttled")
    with pytest.raises(Parked) as parked:
        await request(hosts, time)
    assert parked.value.tier == 1
    time.now = 1070.0
    assert await request(hosts, time) == 1070.0


async def test_back_off_doubles_up_to_its_limit(hosts: Hosts) -> None:
    async with hosts.turn("a.example", Terms(1.0)) as state:
        records = [hosts.failed("a.example", state, "throttled", None) for _ in range(4)]

    assert [record.blocked_until for record in records] == [1020.0, 1040.0, 1080.0, 1100.0]


async def test_complaints_are_forgiven_after_a_quiet_time_and_not_by_one_good_answer(hosts: Hosts, time: Time) -> None:
    async with hosts.turn("a.example", Terms(1.0)) as state:
        hosts.failed("a.example", state, "throttled", None)
        time.now += 30
        soon = hosts.went_well("a.example", state)
        again = hosts.failed("a.example", state, "throttled", None)
        time.now += PATIENCE.forgive_seconds
        later = hosts.went_well("a.example", state)

    assert soon is None
    assert again.blocked_until == 1030.0 + 40.0
    assert later is not None
    assert (later.failures, later.blocked_until) == (0, None)


async def test_a_host_that_answers_again_after_faults_begins_anew(hosts: Hosts, time: Time) -> None:
    async with hosts.turn("a.example", Terms(1.0)) as state:
        for _ in range(3):
            hosts.stumbled("a.example", state, "connection-failed")
        time.now += 90
        well = hosts.went_well("a.example", state)

    assert well is not None
    assert (well.failures, well.cause, well.blocked_until) == (0, None, None)


async def test_the_first_request_after_a_change_of_owner_waits_one_full_pause(hosts: Hosts, time: Time) -> None:
    hosts.took_over()

    assert await request(hosts, time, delay=4.0) == 1004.0


async def test_a_fast_host_of_our_own_parks_nobody_however_many_come(hosts: Hosts, time: Time) -> None:
    begins = await asyncio.gather(*(request(hosts, time, delay=0.0, takes=0.001) for _ in range(2000)))

    assert len(begins) == 2000
    assert time.now < 1003


async def test_a_host_that_complained_is_asked_by_its_pace_from_then_on(hosts: Hosts, time: Time) -> None:
    async with hosts.turn("a.example", Terms(0.0, 1.0, 8)) as state:
        hosts.failed("a.example", state, "throttled", 2.0)
    time.now += 2

    begins = [await request(hosts, time, delay=0.0) for _ in range(3)]

    assert [later - begins[0] for later in begins] == [0.0, 1.0, 2.0]


async def test_a_stopped_waiter_gives_its_place_to_the_next(hosts: Hosts, time: Time) -> None:
    async with hosts.turn("a.example", Terms(0.0)):
        gone = asyncio.create_task(request(hosts, time, delay=0.0))
        stays = asyncio.create_task(request(hosts, time, delay=0.0))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)

    assert await stays == 1000.0
    assert hosts._states["a.example"].active == 0


async def test_bytes_are_paid_for_with_time_where_a_site_limits_them(hosts: Hosts, time: Time) -> None:
    terms = Terms(0.5, bytes_per_second=1000.0)
    async with hosts.turn("a.example", terms) as state:
        hosts.requested(state, 0.0, 3000)

    async with hosts.turn("a.example", terms):
        assert time.now == 1003.0


async def test_one_fault_is_of_an_address_a_row_is_of_the_host(hosts: Hosts) -> None:
    async with hosts.turn("a.example", Terms(1.0)) as state:
        records = [hosts.stumbled("a.example", state, "timeout") for _ in range(3)]

    assert records[:2] == [None, None]
    assert records[2] is not None
    assert records[2].blocked_until == 1020.0


async def test_a_host_that_stays_in_trouble_is_down_for_those_who_come(hosts: Hosts, time: Time) -> None:
    async with hosts.turn("a.example", Terms(1.0)) as state:
        hosts.failed("a.example", state, "connection-failed", None)
        with pytest.raises(Parked):
            await request(hosts, time)

        time.now += sum(PATIENCE.tier_seconds)
        hosts.failed("a.example", state, "connection-failed", None)

    with pytest.raises(HostDown) as down:
        await request(hosts, time)
    assert down.value.cause == "connection-failed"


async def test_what_another_process_wrote_of_a_host_is_obeyed(hosts: Hosts, time: Time) -> None:
    written = Host(
        host_key="a.example", delay_seconds=1.0, blocked_until=1008.0, failures=1, cause="throttled", at=990.0
    )

    hosts.remember("a.example", written)

    with pytest.raises(Parked):
        await request(hosts, time)


async def test_hosts_with_nothing_to_remember_are_forgotten(hosts: Hosts, time: Time) -> None:
    await request(hosts, time)
    hosts.sweep()
    assert "a.example" in hosts._states

    time.now += 2
    hosts.sweep()
    assert not hosts._states
