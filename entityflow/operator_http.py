"""POST to a service that the operator chose: it may lie in a private net, unlike anything that the web names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp

from entityflow.errors import Retryable

Post = Callable[[bytes], Awaitable[bytes]]
MAX_ANSWER_BYTES = 16 << 20


@asynccontextmanager
async def posting(endpoint: str, headers: Mapping[str, str], timeout_seconds: float = 20.0) -> AsyncIterator[Post]:
    """A call that sends a body and gives the body of a 2xx answer; it raises Retryable for everything else."""
    timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:

        async def post(body: bytes) -> bytes:
            try:
                async with session.post(endpoint, data=body) as response:
                    response.raise_for_status()
                    answer = await response.content.read(MAX_ANSWER_BYTES)
                    while not response.content.at_eof() and len(answer) < MAX_ANSWER_BYTES:
                        answer += await response.content.read(MAX_ANSWER_BYTES)
                    return answer
            except (TimeoutError, aiohttp.ClientError, OSError) as exc:
                raise Retryable("service-away", f"{endpoint}: {type(exc).__name__}: {exc}"[:200]) from exc

        yield post
