"""Where requests may go: ports, servers of our own, and names that change what they lead to."""

from __future__ import annotations

import asyncio
import socket

import pytest

from entityflow.addresses import parse_address
from entityflow.errors import UsageError
from entityflow.lookups import REMEMBERED_SECONDS, Gates, Lookups
from entityflow.reach import CheckedResolver, NoContact, PrivateAddress, Reach, load_reach
from entityflow.settings import Settings

PUBLIC, OTHER = "93.184.216.34", "93.184.216.35"


def refusal(reach: Reach, url: str) -> str | None:
    return reach.refusal(parse_address(url))


def test_ports_of_the_internet_are_a_list() -> None:
    reach = Reach({}, "anna@example.org", ports=frozenset((80, 443)))

    assert refusal(reach, "http://pics.example:8080/a") == "forbidden-port"
    assert refusal(reach, "http://93.184.216.34:22/a") == "forbidden-port"
    assert refusal(reach, "https://pics.example/a") is None
    assert refusal(Reach({}, "anna@example.org"), "http://pics.example:8080/a") is None


def test_a_server_in_a_private_net_is_allowed_by_host_and_port_only() -> None:
    reach = load_reach(Settings(contact="a@example.org"), ports=(80,), local_servers=("10.0.0.5:8080", "NAS.local:81"))

    assert refusal(reach, "http://10.0.0.5:8080/a") is None
    assert refusal(reach, "http://nas.local:81/a") is None
    assert refusal(reach, "http://10.0.0.5:8081/a") == "private-address"
    assert refusal(reach, "http://10.0.0.6:8080/a") == "private-address"
    reach.check("nas.local", 81, "192.168.1.9")
    with pytest.raises(PrivateAddress):
        reach.check("nas.local", 82, "192.168.1.9")


@pytest.mark.parametrize("text", ["10.0.0.5", ":80", "a:b", "10.0.0.0/8"])
def test_a_local_server_that_is_none_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="local server"):
        load_reach(Settings(), local_servers=(text,))


async def test_a_name_that_turns_to_our_own_net_is_refused_at_the_next_connection() -> None:
    now, leads_to = 0.0, [PUBLIC]
    resolver = CheckedResolver(Reach({}, "anna@example.org"), Lookups(lambda host: leads_to, lambda: now))
    assert [found["host"] for found in await resolver.resolve("evil.example", 80)] == [PUBLIC]

    leads_to, now = [OTHER, "127.0.0.1"], REMEMBERED_SECONDS

    with pytest.raises(PrivateAddress):
        await resolver.resolve("evil.example", 80)


async def test_nobody_without_a_contact_reaches_the_internet_by_a_name() -> None:
    resolver = CheckedResolver(Reach({}), Lookups(lambda host: [PUBLIC]))

    with pytest.raises(NoContact):
        await resolver.resolve("pics.example", 80)


async def test_a_name_is_looked_up_once_for_all_who_ask_and_failures_are_not_kept() -> None:
    asked: list[str] = []

    def find(host: str) -> list[str]:
        asked.append(host)
        if len(asked) == 1:
            raise socket.gaierror("away")
        return [PUBLIC]

    lookups = Lookups(find)
    with pytest.raises(socket.gaierror):
        await lookups.addresses("pics.example")

    found = await asyncio.gather(*(lookups.addresses("pics.example") for _ in range(10)))

    assert found == [[PUBLIC]] * 10
    assert len(asked) == 2
    lookups.close()


async def test_few_requests_at_once_go_to_one_address_however_many_hosts_it_has() -> None:
    gates, inside, most = Gates(), 0, 0

    async def request(address: str) -> None:
        nonlocal inside, most
        async with gates.through(address):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(request(PUBLIC) for _ in range(50)))
    assert most == 8
    await asyncio.gather(*(request("127.0.0.1") for _ in range(50)))
    assert most == 50
