"""How alike one user is to each of many: measures on packed arrays, to re-rank what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_TIME, Array, CodeArray, DoubleArray, FloatArray, IntArray
from sargraph.neighbours.measure_kernels import (
    common_counts,
    cosines,
    jaccards,
    lcs_lengths,
    stan_sums,
)


@dataclass(frozen=True)
class Rows:
    """Sparse rows of weights: row i holds `values[a:b]` at `entries[a:b]`, a, b = offsets[i:i + 2].

    `offsets` int64 [rows + 1], `entries` int32 [nnz], `values` float32 or float64 [nnz]. Within a
    row entries ascend, each once, and values are not negative (finite, below 1e150); this is not
    checked, as it would read everything. A stored 0 is an entry. Raises BadInputError for arrays
    that do not fit. Cost: O(rows), no copy.
    """

    offsets: IntArray
    entries: CodeArray
    values: FloatArray | DoubleArray

    def __post_init__(self) -> None:
        check_offsets(self.offsets, "entries", self.entries)
        kinds = ("float32", "float64")
        check_array("values", self.values, kinds, len(self.entries), "one for each entry")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: IntArray) -> Rows:
        """The given rows, in the given order. Cost: one copy of them."""
        places, offsets = places_of(self.offsets, rows)
        return Rows(offsets, self.entries[places], self.values[places])

    @classmethod
    def one(cls, entries: Array | Sequence[int], values: Array | Sequence[float]) -> Rows:
        """A single row, such as a probe, of entries and values [nnz] in any integers and floats.

        Raises BadInputError also where entries do not ascend or a value is negative or not finite.
        """
        weights = np.asarray(values, dtype=np.float64)
        row = cls(*_packed(entries, "entries"), weights)
        if np.any(np.diff(row.entries) <= 0):
            raise BadInputError("got entries that do not ascend, expected each once, sorted")
        if not np.all(np.isfinite(weights) & (weights >= 0)):
            raise BadInputError("got a value that is negative or not finite, expected 0 or more")
        return row


@dataclass(frozen=True)
class Sequences:
    """Rows of items, each oldest first: row i is `items[offsets[i]:offsets[i + 1]]`.

    `offsets` int64 [rows + 1], `items` int32 [total] (item rows from 0, repeats allowed),
    `last_time` int64 [rows], the time of the newest item in any unit (NO_TIME = none). Raises
    BadInputError for arrays that do not fit. Cost: O(rows), no copy.
    """

    offsets: IntArray
    items: CodeArray
    last_time: IntArray

    def __post_init__(self) -> None:
        check_offsets(self.offsets, "items", self.items)
        check_array("last_time", self.last_time, ("int64",), len(self), "one for each row")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: IntArray) -> Sequences:
        """The given rows, in the given order. Cost: one copy of them."""
        places, offsets = places_of(self.offsets, rows)
        return Sequences(offsets, self.items[places], self.last_time[rows])

    @classmethod
    def one(cls, items: Array | Sequence[int], last_time: int = NO_TIME) -> Sequences:
        """A single row, such as a probe, of any integers. Raises BadInputError."""
        return cls(*_packed(items, "items"), np.array([last_time], dtype=np.int64))


def weighted_jaccard(probe: Rows, candidates: Rows, rows: IntArray) -> DoubleArray:
    """`Σ_x min(u_x, v_x) / Σ_x max(u_x, v_x)` over entries x, float64 [m], between 0 and 1.

    `probe` is one row u, `rows` int64 [m] names the candidates v. Symmetric to the last bit,
    exactly 1 for u with itself, 0 if both are empty. Raises BadInputError for a probe of several
    rows or candidates that are not there. Cost: O(|u| + Σ|v|). Source: Ruzicka (1958).
    """
    rows = check_pairs(probe, candidates, rows)
    return jaccards(probe.entries, probe.values, *_arrays(candidates), rows)


def cosine(probe: Rows, candidates: Rows, rows: IntArray) -> DoubleArray:
    """`Σ_x u_x v_x / (|u| |v|)`, float64 [m], between 0 and 1; 0 if either is empty.

    Symmetric, and 1 for u with itself. Arguments, errors and cost as in `weighted_jaccard`.
    """
    rows = check_pairs(probe, candidates, rows)
    return cosines(probe.entries, probe.values, *_arrays(candidates), rows)


def common_entries(probe: Rows, candidates: Rows, rows: IntArray) -> IntArray:
    """How many entries each candidate shares with the probe, whatever the values, int64 [m].

    Arguments, errors and cost as in `weighted_jaccard`.
    """
    rows = check_pairs(probe, candidates, rows)
    return common_counts(probe.entries, candidates.offsets, candidates.entries, rows)


def set_jaccard(probe: Rows, candidates: Rows, rows: IntArray) -> DoubleArray:
    """`|common| / |union|` of the sets of entries, float64 [m]; 0 if both are empty.

    For filters of duplicates. Arguments, errors and cost as in `weighted_jaccard`.
    """
    rows = check_pairs(probe, candidates, rows)
    common = common_entries(probe, candidates, rows)
    union = len(probe.entries) + row_lengths(candidates, rows) - common
    return common / np.maximum(union, 1)


def shrunk(similarity: DoubleArray, common: IntArray, kappa: float = 5.0) -> DoubleArray:
    """`similarity · common / (common + κ)`: how little a few common entries are believed.

    Both [m]. κ = 0 changes nothing. Raises BadInputError for a negative κ and other lengths.
    """
    if not kappa >= 0:
        raise BadInputError(f"got kappa = {kappa}, expected 0 or more")
    if np.shape(similarity) != np.shape(common):
        got = f"similarities {np.shape(similarity)} and common counts {np.shape(common)}"
        raise BadInputError(f"got {got}, expected one shape; count the same candidates")
    if kappa == 0:
        return np.asarray(similarity, dtype=np.float64)
    return similarity * (common / (common + kappa))


def stan_similarity(
    probe: Sequences,
    candidates: Sequences,
    rows: IntArray,
    *,
    position_decay: float = 1.02,
    time_decay: float | None,
) -> DoubleArray:
    """`Σ_{i in s ∩ n} w(i) / (√Σ_{i in s} w(i)² · √|n|) · exp(-|t_s - t_n| / λ2)`, float64 [m].

    s is the probe, n a candidate, both as sets of items; `w(i) = exp((pos - len) / λ1)` with pos
    the latest place of i in s (the newest item weighs 1) and len the length of s with repeats.
    λ1 = `position_decay`; λ2 = `time_decay` in the unit of `last_time`, None = no factor of time,
    nor is there one where s or n has no time. Between 0 and 1, not symmetric, and below 1 for s
    with itself unless s is one item. Raises BadInputError as `weighted_jaccard` and for a decay
    that is not above 0. Cost: O(|s| + Σ|n|). Source: Garg et al., Sequence and Time Aware
    Neighborhood for Session-based Recommendations: STAN (SIGIR 2019).
    """
    rows = check_pairs(probe, candidates, rows)
    for name, decay in (("position_decay", position_decay), ("time_decay", time_decay)):
        if decay is not None and not decay > 0:
            raise BadInputError(f"got {name} = {decay}, expected more than 0")
    packed = (candidates.offsets, candidates.items)
    sums = stan_sums(probe.items, *packed, rows, float(position_decay))
    if time_decay is None or probe.last_time[0] == NO_TIME:
        return sums
    times = candidates.last_time[rows]
    # As floats, so that no difference of far-off times runs over.
    apart = np.abs(times.astype(np.float64) - float(probe.last_time[0]))
    return sums * np.exp(-np.where(times == NO_TIME, 0.0, apart) / time_decay)


def lcs_similarity(probe: Sequences, candidates: Sequences, rows: IntArray) -> DoubleArray:
    """Length of the longest common subsequence over `max(|a|, |b|)`, float64 [m]; 0 if empty.

    Items of a subsequence are in order but need not stand next to each other. Symmetric, and 1
    for a with itself. Errors as in `weighted_jaccard`. Cost: O(Σ|b| · ⌈|a| / 64⌉), memory 5 bytes
    for each item of the candidates asked for. Source: Hyyrö, Bit-parallel LCS-length computation
    revisited (AWOCA 2004).
    """
    rows = check_pairs(probe, candidates, rows)
    length = lcs_lengths(probe.items, candidates.offsets, candidates.items, rows)
    longest = np.maximum(len(probe.items), row_lengths(candidates, rows))
    return length / np.maximum(longest, 1)


def order_aware(
    probe_rows: Rows,
    probe_sequence: Sequences,
    candidates_rows: Rows,
    candidates_sequences: Sequences,
    rows: IntArray,
    jaccard_share: float = 0.6,
) -> DoubleArray:
    """`α · weighted_jaccard + (1 - α) · lcs_similarity`, α = `jaccard_share`, float64 [m].

    Symmetric, between 0 and 1; 1 for a user with itself who has both entries and a sequence.
    Raises BadInputError as its parts, for a share outside 0 to 1 and for rows that do not pair.
    """
    if not 0 <= jaccard_share <= 1:
        raise BadInputError(f"got jaccard_share = {jaccard_share}, expected between 0 and 1")
    if len(candidates_rows) != len(candidates_sequences):
        got = f"{len(candidates_rows)} rows and {len(candidates_sequences)} sequences"
        raise BadInputError(f"got {got} of candidates, expected both of the same users")
    jaccard = weighted_jaccard(probe_rows, candidates_rows, rows)
    order = lcs_similarity(probe_sequence, candidates_sequences, rows)
    return jaccard_share * jaccard + (1 - jaccard_share) * order


def row_lengths(packed: Rows | Sequences, rows: IntArray) -> IntArray:
    """Entries or items of each of the rows, int64 [m]. Cost: O(m)."""
    return packed.offsets[rows + 1] - packed.offsets[rows]


def places_of(offsets: IntArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Places of all that stands in some packed rows, and the offsets of these rows in them."""
    lengths = offsets[rows + 1] - offsets[rows]
    ends = np.cumsum(lengths)
    shift = np.repeat(offsets[rows] - (ends - lengths), lengths)
    return np.arange(len(shift)) + shift, np.r_[0, ends].astype(np.int64)


def check_pairs(probe: Rows | Sequences, candidates: Rows | Sequences, rows: IntArray) -> IntArray:
    """The rows as int64 [m], if the probe is one row and all of them are candidates.

    Raises BadInputError. Cost: O(m).
    """
    if len(probe) != 1:
        raise BadInputError(f"got a probe of {len(probe)} rows, expected one; see `one`")
    if not isinstance(candidates, type(probe)):
        kinds = f"{type(candidates).__name__} for a probe of {type(probe).__name__}"
        raise BadInputError(f"got candidates of {kinds}, expected the same kind")
    rows = np.asarray(rows)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        got = f"rows of {rows.dtype} {list(rows.shape)}"
        raise BadInputError(f"got {got}, expected int64 [m], the numbers of candidates")
    if rows.size and (rows.min() < 0 or rows.max() >= len(candidates)):
        got = f"rows from {rows.min()} to {rows.max()}"
        raise BadInputError(f"got {got}, expected 0 to {len(candidates) - 1}, the candidates")
    return rows.astype(np.int64, copy=False)


def check_offsets(offsets: IntArray, name: str, packed: Array) -> None:
    """Raise BadInputError unless offsets cut the packed int32 array into rows. Cost: O(rows)."""
    check_array(name, packed, ("int32",))
    check_array("offsets", offsets, ("int64",))
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(packed):
        raise BadInputError(f"got offsets that do not run from 0 to {len(packed)} {name}")
    if np.any(offsets[1:] < offsets[:-1]):
        raise BadInputError("got offsets that fall, expected the cumulated lengths of the rows")


def check_array(
    name: str, array: Array, kinds: tuple[str, ...], length: int | None = None, why: str = ""
) -> None:
    """Raise BadInputError unless the array is flat, of one of the kinds and of the length."""
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.name not in kinds:
        shape, kind = list(np.shape(array)), getattr(array, "dtype", type(array).__name__)
        got = f"{name} of {kind} {shape}"
        raise BadInputError(f"got {got}, expected a flat array of {' or '.join(kinds)}")
    if length is not None and len(array) != length:
        raise BadInputError(f"got {len(array)} {name}, expected {length}, {why}")


def _packed(numbers: Array | Sequence[int], name: str) -> tuple[IntArray, CodeArray]:
    """Offsets and int32 numbers of one row."""
    given = np.asarray(numbers)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        got = f"{name} of {given.dtype} {list(given.shape)}"
        raise BadInputError(f"got {got}, expected one row of integers")
    if given.size and not 0 <= given.min() <= given.max() < 2**31:
        got = f"{name} from {given.min()} to {given.max()}"
        raise BadInputError(f"got {got}, expected 0 to {2**31 - 1}")
    return np.array([0, given.size], dtype=np.int64), given.astype(np.int32)


def _arrays(rows: Rows) -> tuple[IntArray, CodeArray, FloatArray | DoubleArray]:
    return rows.offsets, rows.entries, rows.values
