"""Random profiles with the shape of real ones: clusters, steep laws, recency and idf."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from sargraph.core.rng import make_rng
from sargraph.core.types import IntArray
from sargraph.neighbours.profile import idf, scaled
from sargraph.neighbours.similarity import unit_rows

NUM_ENTRIES, NUM_CLUSTERS = 100_000, 300
MEAN_EVENTS, MOST_EVENTS = 59, 400
SHARE_OF_OWN = 0.7
HALF_LIVES = 4.0


def make_profiles(num_users: int, seed: int = 0) -> csr_array:
    """Unit profiles [users, 100,000]; some 56 entries each, log-normal in number.

    A user draws 70 % of its events from two of 300 clusters, the rest from everything; entries
    follow Zipf's law, in an order of its own for each cluster. An event is up to four half-lives
    old. Weights are times idf.
    """
    rng = make_rng(seed, "benchmark similar users")
    size = rng.lognormal(np.log(MEAN_EVENTS) - 0.125, 0.5, num_users).astype(np.int64) + 1
    size = np.clip(size, 3, MOST_EVENTS)
    user = np.repeat(np.arange(num_users), size)
    rank = np.exp(rng.random(len(user)) * np.log(NUM_ENTRIES)).astype(np.int64) - 1
    clusters = rng.integers(NUM_CLUSTERS, size=(num_users, 2))
    cluster = clusters[user, rng.integers(2, size=len(user))]
    is_own = rng.random(len(user)) < SHARE_OF_OWN
    multiplier, shift = _orders(rng)
    moved = (rank * multiplier[cluster] + shift[cluster]) % NUM_ENTRIES
    entry = np.where(is_own, moved, rank)
    weight = 2.0 ** (-HALF_LIVES * rng.random(len(user)))
    sums = csr_array((weight, (user, entry)), shape=(num_users, NUM_ENTRIES))
    return csr_array(unit_rows(scaled(sums, idf(sums)))).sorted_indices()


def _orders(rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """A permutation `rank · m + s` of the entries per cluster: m shares no factor with them."""
    multiplier = 7919 + 30 * np.arange(NUM_CLUSTERS)
    while np.any(shared := np.gcd(multiplier, NUM_ENTRIES) != 1):
        multiplier = multiplier + shared
    return multiplier, rng.integers(NUM_ENTRIES, size=NUM_CLUSTERS)
