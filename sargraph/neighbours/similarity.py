"""How alike two users are: the weights of a profile in one row, and what makes them comparable."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array, hstack

from sargraph.core.config import Config
from sargraph.core.types import CodeArray, DoubleArray, IntArray
from sargraph.neighbours.measures import Rows
from sargraph.neighbours.profile import FIELDS

SMALLEST = 1e-15


class SimilarityConfig(Config):
    """How two profiles are compared.

    `cosine(u, v) = Σ_f a_f cos_f(u, v) / Σ_f a_f`, both sums over the fields in which u or v has
    an entry; `similarity = cosine · |common| / (|common| + κ)`, common items and terms. Cosine is
    symmetric and 1 for u with itself.
    """

    item_share: float = Field(default=0.4, gt=0)
    """Weight of the cosine over items, before renormalisation."""
    term_share: float = Field(default=0.4, gt=0)
    """Weight of the cosine over query terms, before renormalisation."""
    category_share: float = Field(default=0.2, ge=0)
    """Weight of the cosine over categories, which only puts the best users in order; 0 = none."""
    shrinkage: float = Field(default=5.0, ge=0)
    """κ in `common / (common + κ)`: how little a pair with few common entries is believed."""
    max_jaccard: float = Field(default=0.95, gt=0)
    """Users whose sets of entries overlap more are duplicates, not neighbours; 1 keeps them."""

    @property
    def shares(self) -> DoubleArray:
        """The weights of items and terms, float64 [2], made to add up to 1."""
        shares = np.array([getattr(self, f"{field}_share") for field in FIELDS])
        return shares / shares.sum()

    @property
    def category_mass(self) -> float:
        """The weight of categories in the units of `shares`."""
        return self.category_share / (self.item_share + self.term_share)

    def masses(self) -> DoubleArray:
        """`Σ_f a_f` over the fields of each mask, float64 [4].

        A mask has bit f set where the user has an entry in field f.
        """
        masks = np.arange(1 << len(FIELDS))
        present = (masks[:, None] >> np.arange(len(FIELDS))) & 1
        masses: DoubleArray = present @ self.shares
        return masses

    def factors(self) -> DoubleArray:
        """`1 / Σ_f a_f` over the fields that u or v has, float64 [mask of u, mask of v]."""
        masks = np.arange(1 << len(FIELDS))
        total = self.masses()[masks[:, None] | masks]
        return np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)

    def shrink(self, most: int) -> DoubleArray:
        """`c / (c + κ)` of c = 0 to `most` common entries, float64 [most + 1]."""
        common = np.arange(most + 1, dtype=np.float64)
        return common / np.maximum(common + self.shrinkage, 1.0 if self.shrinkage == 0 else 0.0)


def weighted_rows(units: Mapping[str, csr_array], config: SimilarityConfig) -> Rows:
    """One row per user: `√a_f` times its unit profile of each field, items before terms.

    The inner product of two rows is `Σ_f a_f cos_f`. Cost: one copy of the profiles.
    """
    shares = np.sqrt(config.shares)
    parts = [units[field] * share for field, share in zip(FIELDS, shares, strict=True)]
    joined = csr_array(hstack(parts, format="csr")).sorted_indices()
    return Rows(
        joined.indptr.astype(np.int64),
        joined.indices.astype(np.int32),
        joined.data.astype(np.float32),
    )


def field_masks(units: Mapping[str, csr_array]) -> CodeArray:
    """Which fields each user has an entry in, a bit per field, uint8 [users]."""
    present = [(np.diff(units[field].indptr) > 0) << bit for bit, field in enumerate(FIELDS)]
    masks: IntArray = np.sum(present, axis=0)
    return masks.astype(np.uint8)


def unit_rows(profile: csr_array) -> csr_array:
    """Each row divided by its length; an entry below 1e-15 of the length counts as 1e-15.

    The floor keeps long-forgotten entries from vanishing; it is far below rounding.
    """
    row = np.repeat(np.arange(profile.shape[0]), np.diff(profile.indptr))
    largest = np.zeros(profile.shape[0])
    np.maximum.at(largest, row, profile.data)
    scaled = profile.data / largest[row]  # so that the squares below neither vanish nor overflow
    length = np.sqrt(np.bincount(row, weights=scaled**2, minlength=profile.shape[0]))
    values = np.maximum(scaled / length[row], SMALLEST)
    return csr_array((values, profile.indices, profile.indptr), shape=profile.shape)
