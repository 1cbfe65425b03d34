"""Random numbers by counting: a draw depends on its key alone, never on what was drawn before.

Mixing is SplitMix64 (Steele, Lea and Flood 2014); bounded integers are Lemire's (2019), unbiased.
"""

from __future__ import annotations

import operator
import zlib

import numpy as np
from numba import njit

from sargraph.core.rng import make_rng

GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_S11, _S27, _S30, _S31 = (np.uint64(bits) for bits in (11, 27, 30, 31))


def base_key(seed: int, *labels: str) -> int:
    """The 64-bit key of a named stream."""
    return int(make_rng(seed, *labels).integers(2**63))


def salted(key: int, *parts: int | str) -> np.uint64:
    """The key of a stream inside `key`, one for each different `parts`: texts and integers.

    An integer counts by its value, whatever type holds it. Raises TypeError for other parts.
    """
    plain = tuple(
        str(part) if isinstance(part, str) else int(operator.index(part)) for part in parts
    )
    text = repr(plain).encode()
    salt = (zlib.crc32(text) << 32) | zlib.adler32(text)
    return np.uint64((key ^ salt) & 0xFFFFFFFFFFFFFFFF)


@njit(cache=True, nogil=True, inline="always")
def mix(word):  # type: ignore[no-untyped-def]
    """A bijection of 64-bit words whose every output bit depends on every input bit."""
    word = (word ^ (word >> _S30)) * _FIRST
    word = (word ^ (word >> _S27)) * _SECOND
    return word ^ (word >> _S31)


@njit(cache=True, nogil=True, inline="always")
def key_of(key, number, row):  # type: ignore[no-untyped-def]
    """The key of node `row` in the tree called `number`."""
    return mix(mix(key + np.uint64(number) * GAMMA) ^ (np.uint64(row) * _FIRST))


@njit(cache=True, nogil=True, inline="always")
def draw_below(state, bound):  # type: ignore[no-untyped-def]
    """(next state, an integer uniform in 0..bound - 1); `bound` from 1 to 2^63 - 1."""
    wide = np.uint64(bound)
    if wide > _LOW:
        return _draw_wide(state, wide)
    state += GAMMA
    product = (mix(state) >> _HALF) * wide
    if product & _LOW < wide:
        threshold = ((_LOW - wide) + np.uint64(1)) % wide
        while product & _LOW < threshold:
            state += GAMMA
            product = (mix(state) >> _HALF) * wide
    return state, np.int64(product >> _HALF)


@njit(cache=True, nogil=True)
def _draw_wide(state, wide):  # type: ignore[no-untyped-def]
    """`draw_below` where a product of 32 bits does not do: refuse what is not below the bound.

    Draws have no more bits than the bound, so fewer than two are needed on average.
    """
    mask = wide - np.uint64(1)
    for shift in (1, 2, 4, 8, 16, 32):
        mask |= mask >> np.uint64(shift)
    state += GAMMA
    pick = mix(state) & mask
    while pick >= wide:
        state += GAMMA
        pick = mix(state) & mask
    return state, np.int64(pick)


@njit(cache=True, nogil=True, inline="always")
def next_unit(state):  # type: ignore[no-untyped-def]
    """(next state, a number uniform in [0, 1) with 53 bits)."""
    state += GAMMA
    return state, np.float64(mix(state) >> _S11) * 2.0**-53
