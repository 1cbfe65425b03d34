"""Soft alignment: how well the items of one user find like ones of similar age in another's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numba import njit

from sargraph.core.errors import BadInputError
from sargraph.core.types import Array, DoubleArray, FloatArray, IntArray
from sargraph.neighbours.measures import Sequences, check_pairs, row_lengths

_BLOCK_ITEMS = 4096
"""Items of candidates whose cosines are held at once: they stay in the second cache."""


def unit_vectors(vectors: Array) -> FloatArray:
    """Each row divided by its length, float32 [items, dim]; a row of zeros stays as it is.

    Raises BadInputError for an array that is not [items, dim] or holds NaN or infinity.
    """
    given = np.asarray(vectors)
    if given.ndim != 2 or given.dtype.kind not in "fiu":
        got = f"vectors of {given.dtype} {list(given.shape)}"
        raise BadInputError(f"got {got}, expected numbers [items, dim]")
    if not np.all(np.isfinite(given)):
        raise BadInputError("got vectors with NaN or infinity, expected finite numbers only")
    given = given.astype(np.float64)
    largest = np.abs(given).max(axis=1, keepdims=True, initial=0)
    scaled = np.divide(given, largest, out=np.zeros_like(given), where=largest > 0)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.divide(scaled, length, out=scaled, where=length > 0).astype(np.float32)


def soft_alignment(
    probe_items: Array | Sequence[int],
    probe_weights: Array | Sequence[float],
    candidates: Sequences,
    rows: IntArray,
    vectors: FloatArray,
    *,
    half_life: float = 10.0,
    symmetric: bool = False,
    candidate_weights: Array | None = None,
) -> DoubleArray:
    """`SA(u, v) = Σ_n ω_n max_m cos(E_n, E_m) ρ(|r_n - r_m|) / Σ_n ω_n`, float64 [m].

    For users who need not share an item. n runs over the items of the probe u (`probe_items`,
    oldest first, `probe_weights` ω [n] not negative), m over those of a candidate v; r is the rank
    from the newest item (0), `ρ(x) = 2^(-x / half_life)`, E the rows of `vectors` float32 [items,
    dim], which must come from `unit_vectors`. Between -1 and 1: a negative cosine counts as it is,
    that of an item without a vector (a row of zeros) as 0. 0 for an empty candidate or no weight.
    SA(u, u) = 1 (to 1e-6) when each item has a vector.

    SA(u, v) is not SA(v, u): all of u may be like a part of v. `symmetric` takes the mean of both,
    ω of the candidates from `candidate_weights` [total items of `candidates`] (none = all 1).
    Raises BadInputError for arrays that do not fit and items without a row of `vectors`.
    Cost: |u| Σ|v| dim multiplications of float32, in blocks of at least 4,096 items; sums in
    float64. Source: ours, a late interaction as in ColBERT (SIGIR 2020) that minds the order.
    """
    probe = Sequences.one(probe_items)
    rows = check_pairs(probe, candidates, rows)
    weights = _weights("probe_weights", probe_weights, len(probe.items))
    _check(vectors, candidates, candidate_weights, half_life)
    newest_first = _looked_up(vectors, probe.items[::-1]).T
    near = _nearness(len(probe.items), row_lengths(candidates, rows), half_life)
    out = np.zeros(len(rows))
    for block, places, offsets in _blocks(candidates, rows):
        found = _looked_up(vectors, candidates.items[places]) @ newest_first
        out[block] = _aligned(found, offsets, weights[::-1].copy(), near)
        if symmetric:
            theirs = _of_places(candidate_weights, places)
            out[block] = (out[block] + _aligned_back(found, offsets, theirs, near)) / 2
    return np.clip(out, -1.0, 1.0)


def _check(vectors: Any, candidates: Sequences, weights: Array | None, half_life: float) -> None:
    if not half_life > 0:
        raise BadInputError(f"got half_life = {half_life}, expected more than 0")
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype != np.float32:
        kind = getattr(vectors, "dtype", type(vectors).__name__)
        got = f"vectors of {kind} {list(np.shape(vectors))}"
        raise BadInputError(f"got {got}, expected float32 [items, dim]; see `unit_vectors`")
    if weights is not None and np.shape(weights) != candidates.items.shape:
        got = f"candidate_weights {list(np.shape(weights))}"
        raise BadInputError(f"got {got}, expected {list(candidates.items.shape)}, one per item")


def _weights(name: str, given: Array | Sequence[float], length: int) -> DoubleArray:
    weights = np.asarray(given, dtype=np.float64)
    if weights.shape != (length,):
        got = f"{name} {list(weights.shape)}"
        raise BadInputError(f"got {got}, expected [{length}], one for each item")
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise BadInputError(f"got {name} that are negative or not finite, expected 0 or more")
    return weights


def _of_places(weights: Array | None, places: IntArray) -> DoubleArray:
    if weights is None:
        return np.ones(len(places))
    return _weights("candidate_weights", np.asarray(weights)[places], len(places))


def _looked_up(vectors: FloatArray, items: Array) -> FloatArray:
    if items.size and not 0 <= items.min() <= items.max() < len(vectors):
        got = f"items from {items.min()} to {items.max()}"
        raise BadInputError(f"got {got}, expected 0 to {len(vectors) - 1}, the rows of `vectors`")
    return vectors[items]


def _nearness(num_probe: int, lengths: IntArray, half_life: float) -> FloatArray:
    """ρ of `rank of the probe's item - rank of the candidate's`, from the lowest, float32."""
    ranks = np.arange(1 - int(lengths.max(initial=1)), num_probe)
    return np.exp2(-np.abs(ranks) / half_life).astype(np.float32)


def _blocks(candidates: Sequences, rows: IntArray) -> Iterator[tuple[slice, IntArray, IntArray]]:
    """Candidates that are aligned at once, the places of their items, and offsets into these."""
    starts, lengths = candidates.offsets[rows], row_lengths(candidates, rows)
    ends = np.cumsum(lengths)
    first = 0
    while first < len(rows):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _BLOCK_ITEMS, side="right")))
        offsets = np.r_[0, ends[first:last] - before]
        shift = np.repeat(starts[first:last] - offsets[:-1], lengths[first:last])
        yield slice(first, last), np.arange(offsets[-1]) + shift, offsets
        first = last


@njit(cache=True, nogil=True)
def _aligned(found: Any, offsets: Any, weights: Any, near: Any) -> Any:
    """SA of the probe to each candidate; `found` [items, probe] are cosines, the newest first.

    The best of all items of the probe stand side by side, so that the loop runs eight at a time.
    """
    num_probe = found.shape[1]
    reach = len(near) - num_probe
    best = np.empty(num_probe, np.float32)
    total = weights.sum()
    out = np.zeros(len(offsets) - 1)
    for i in range(len(out)):
        if offsets[i] == offsets[i + 1] or total == 0:
            continue
        best[:] = -np.inf
        for at in range(offsets[i], offsets[i + 1]):
            shift = reach - (offsets[i + 1] - 1 - at)
            for n in range(num_probe):
                score = found[at, n] * near[shift + n]
                best[n] = score if score > best[n] else best[n]
        for n in range(num_probe):
            out[i] += weights[n] * best[n]
        out[i] /= total
    return out


@njit(cache=True, nogil=True)
def _aligned_back(found: Any, offsets: Any, weights: Any, near: Any) -> Any:
    """SA of each candidate to the probe, with the weights [items] of the candidates' items."""
    num_probe = found.shape[1]
    reach = len(near) - num_probe
    out = np.zeros(len(offsets) - 1)
    for i in range(len(out)):
        total = weights[offsets[i] : offsets[i + 1]].sum()
        if num_probe == 0 or total == 0:
            continue
        for at in range(offsets[i], offsets[i + 1]):
            shift = reach - (offsets[i + 1] - 1 - at)
            best = np.float32(-np.inf)
            for n in range(num_probe):
                best = max(best, found[at, n] * near[shift + n])
            out[i] += weights[at] * best
        out[i] /= total
    return out
