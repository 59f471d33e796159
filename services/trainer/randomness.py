"""Random numbers as pure functions of a key, so that workers, prefetching and restarts change nothing.

Only Philox' raw 64-bit stream is used: numpy promises that stream, not what its distributions make of it.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray


def uniforms(count: int, *key: int | str) -> NDArray[np.float64]:
    """`count` numbers in [0, 1)."""
    return np.asarray((_raw(count, key) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def permutation(count: int, *key: int | str) -> NDArray[np.int64]:
    """The numbers 0 .. count - 1 in an order of the key."""
    order: NDArray[np.int64] = np.argsort(_raw(count, key), kind="stable")
    return order


def number_of(*key: int | str) -> int:
    """A number in 0 .. 2**63 - 1."""
    return int(_raw(1, key)[0] >> np.uint64(1))


def _raw(count: int, key: tuple[int | str, ...]) -> NDArray[np.uint64]:
    digest = hashlib.blake2b(repr(key).encode(), digest_size=16).digest()
    return np.atleast_1d(Philox(key=int.from_bytes(digest, "big")).random_raw(count))
