"""How alike two users are, and the exact k most alike, in blocks of users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array, hstack

from sargraph.core.config import Config
from sargraph.core.ranked import Ranked
from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, IntArray
from sargraph.neighbours.profile import FIELDS

MAX_PAIRS = 500_000
SMALLEST = 1e-15


class SimilarityConfig(Config):
    """How two profiles are compared."""

    item_share: float = Field(default=0.4, gt=0)
    """Weight of the cosine over items, before renormalisation."""
    term_share: float = Field(default=0.4, gt=0)
    """Weight of the cosine over query terms, before renormalisation."""
    shrinkage: float = Field(default=5.0, ge=0)
    """κ in `common / (common + κ)`: how little a pair with few common entries is believed."""
    max_jaccard: float = Field(default=0.95, gt=0)
    """Users whose sets of entries overlap more are duplicates, not neighbours; 1 keeps them."""


@dataclass(frozen=True)
class Pairs:
    """The pairs of some probes with the users who share an entry with them, grouped by probe.

    Pairs of probe i are `offsets[i]:offsets[i + 1]`. `user` int64 [pairs]; `cosine` float64
    (before shrinkage); `similarity` float64; `is_duplicate` bool.
    """

    offsets: IntArray
    user: IntArray
    cosine: DoubleArray
    similarity: DoubleArray
    is_duplicate: BoolArray


class Comparer:
    """Compares users by their unit profiles, one CSR array [users, width] per field.

    `cosine(u, v) = Σ_f a_f cos_f(u, v) / Σ_f a_f`, both sums over the fields in which u or v has
    an entry; `similarity = cosine · |common| / (|common| + κ)`. Cosine is symmetric and 1 for u
    with itself. Memory: three times the profiles.
    """

    def __init__(self, units: Mapping[str, csr_array], config: SimilarityConfig) -> None:
        self.config = config
        self.shares = np.array([getattr(config, f"{field}_share") for field in FIELDS])
        self.has_field = np.stack([np.diff(units[field].indptr) > 0 for field in FIELDS], axis=1)
        parts = [units[field] * np.sqrt(s) for field, s in zip(FIELDS, self.shares, strict=True)]
        self._weights = csr_array(hstack(parts, format="csr"))
        self._sizes = np.diff(self._weights.indptr)

    def __len__(self) -> int:
        return len(self._sizes)

    @cached_property
    def _transposed(self) -> tuple[csr_array, csr_array]:
        weights = csr_array(self._weights.T.tocsr())
        return weights, _ones(weights)

    @cached_property
    def _work(self) -> IntArray:
        """Upper bound on the pairs of each user: the sum of the df of what the user has."""
        df = np.bincount(self._weights.indices, minlength=self._weights.shape[1])
        sums = np.r_[0, np.cumsum(df[self._weights.indices])]
        return np.minimum(np.diff(sums[self._weights.indptr]), len(self))

    def factor(self, user: int, other: int) -> dict[str, float]:
        """What a product of unit entries counts in each field: `a_f / Σ a` over present fields."""
        present = self.has_field[user] | self.has_field[other]
        total = float(self.shares[present].sum()) or 1.0
        return {field: float(a) / total for field, a in zip(FIELDS, self.shares, strict=True)}

    def pairs(self, probes: IntArray) -> Pairs:
        """All users, but the probe itself, that share an entry with each probe. Exact."""
        mine = self._weights[probes]
        transposed, ones = self._transposed
        products, common = mine @ transposed, _ones(mine) @ ones
        # Entries are positive and no product vanishes, so both hold the same cells in one order.
        probe = np.repeat(np.arange(len(probes)), np.diff(products.indptr))
        user, count = products.indices.astype(np.int64), common.data.astype(np.float64)
        present = self.has_field[probes][probe] | self.has_field[user]
        cosine = products.data / (present @ self.shares)
        union = self._sizes[probes][probe] + self._sizes[user] - count
        is_other = user != probes[probe]
        offsets = np.r_[0, np.cumsum(np.bincount(probe[is_other], minlength=len(probes)))]
        similarity = cosine * (count / (count + self.config.shrinkage))
        is_duplicate = count / union > self.config.max_jaccard
        columns = (user, cosine, similarity, is_duplicate)
        return Pairs(offsets, *(column[is_other] for column in columns))

    def search(self, probes: IntArray, k: int) -> tuple[Ranked, IntArray]:
        """The k most similar users of each probe, and how many duplicates were left out.

        Ties go to the lower row. Nothing of size users x users is held: pairs are made in blocks
        of at most half a million. Cost: O(Σ df(x) over the entries of the probes) per probe.
        """
        rows = np.full((len(probes), k), NO_ROW, dtype=np.int64)
        scores = np.full((len(probes), k), -np.inf, dtype=np.float32)
        num_duplicates = np.zeros(len(probes), dtype=np.int64)
        for block in self.blocks(probes):
            pairs = self.pairs(probes[block])
            for place, probe in enumerate(range(block.start, block.stop)):
                mine = slice(pairs.offsets[place], pairs.offsets[place + 1])
                keep = ~pairs.is_duplicate[mine]
                user, similarity = pairs.user[mine][keep], pairs.similarity[mine][keep]
                best = _best(user, similarity, k)
                rows[probe, : len(best)] = user[best]
                scores[probe, : len(best)] = similarity[best]
                num_duplicates[probe] = len(keep) - len(user)
        return Ranked(rows, scores), num_duplicates

    def blocks(self, probes: IntArray) -> Iterator[slice]:
        """Consecutive probes with at most MAX_PAIRS pairs together (a block has one at least)."""
        ends = np.cumsum(self._work[probes])
        start = 0
        while start < len(probes):
            limit = MAX_PAIRS + (ends[start - 1] if start else 0)
            stop = max(start + 1, int(np.searchsorted(ends, limit, side="right")))
            yield slice(start, stop)
            start = stop


def unit_rows(profile: csr_array) -> csr_array:
    """Each row divided by its length; an entry below 1e-15 of the length counts as 1e-15.

    The floor keeps products of long-forgotten entries from vanishing; it is far below rounding.
    """
    row = np.repeat(np.arange(profile.shape[0]), np.diff(profile.indptr))
    largest = np.zeros(profile.shape[0])
    np.maximum.at(largest, row, profile.data)
    scaled = profile.data / largest[row]  # so that the squares below neither vanish nor overflow
    length = np.sqrt(np.bincount(row, weights=scaled**2, minlength=profile.shape[0]))
    values = np.maximum(scaled / length[row], SMALLEST)
    return csr_array((values, profile.indices, profile.indptr), shape=profile.shape)


def _ones(matrix: csr_array) -> csr_array:
    ones = np.ones(matrix.nnz, dtype=np.float32)
    return csr_array((ones, matrix.indices, matrix.indptr), shape=matrix.shape)


def _best(user: IntArray, similarity: DoubleArray, k: int) -> IntArray:
    """Places of the k highest similarities, best first, ties by user row."""
    places = np.arange(len(user))
    if k < len(user):
        threshold = np.partition(similarity, len(user) - k)[len(user) - k]
        places = np.flatnonzero(similarity >= threshold)
    return places[np.lexsort((user[places], -similarity[places]))[:k]]
