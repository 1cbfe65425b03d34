"""The peers of the graph benchmark: the same jobs in plain pandas and in whole-array NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sargraph.core.types import NO_ROW, IntArray
from sargraph.events.events import Events
from sargraph.events.schema import POSITIVE_ACTIONS, SEARCH
from sargraph.graph.csr import CSR

EDGE = ["time", "weight", "position", "row"]


def pandas_edges(log: pd.DataFrame, events: Events) -> list[pd.DataFrame]:
    """The five edge tables of `build_graph` from the events as a frame, none of them checked."""
    chosen = log[log["action"].isin(POSITIVE_ACTIONS) & (log["item"] != NO_ROW)]
    found = chosen[chosen["source"] == SEARCH]
    searched = log[(log["source"] == SEARCH) & (log["query"] != NO_ROW)]
    terms = events.query_terms
    return [
        chosen.loc[chosen["source"] != SEARCH, ["user", "item", *EDGE]],
        found[["user", "item", "query", *EDGE]],
        searched.drop_duplicates(["user", "session", "query"])[["user", "query", *EDGE]],
        found.loc[found["query"] != NO_ROW, ["query", "item", *EDGE]],
        pd.DataFrame({"query": terms.row_of_value, "term": terms.values}),
    ]


def frame_of(events: Events) -> pd.DataFrame:
    """The columns of the events as a frame, with their row."""
    return pd.DataFrame(events.columns).rename_axis("row").reset_index()


@dataclass(frozen=True)
class NumpySampler:
    """Two hops, users to items to users, each seed a tree with its own time."""

    by_user: CSR
    by_item: CSR
    fan_out: tuple[int, int]

    def sample(self, users: IntArray, as_of: IntArray, rng: np.random.Generator) -> int:
        """Sample and relabel; returns the number of edges drawn."""
        tree = np.arange(len(users))
        keys = {"user": tree * len(self.by_user) + users, "item": np.empty(0, np.int64)}
        first = draw(self.by_user, users, as_of, self.fan_out[0], rng)
        item_key = tree[first[0]] * len(self.by_item) + first[1]
        label, keys["item"] = relabel(keys["item"], item_key)
        tree, items = np.divmod(keys["item"], len(self.by_item))
        second = draw(self.by_item, items, as_of[tree], self.fan_out[1], rng)
        user_key = tree[second[0]] * len(self.by_user) + second[1]
        other, keys["user"] = relabel(keys["user"], user_key)
        return len(label) + len(other)


def draw(
    csr: CSR, nodes: IntArray, as_of: IntArray, k: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray, IntArray]:
    """(place of the node, neighbour, edge) of up to k edges before each node's time."""
    low = csr.indptr[nodes].astype(np.int64)
    allowed = cut(csr, low, csr.indptr[nodes + 1].astype(np.int64), as_of) - low
    picks = np.broadcast_to(np.arange(k), (len(nodes), k)).copy()
    many = np.flatnonzero(allowed > k)
    picks[many] = floyd(allowed[many], k, rng)
    node, column = np.nonzero(np.arange(k) < allowed[:, None])
    place = low[node] + picks[node, column]
    return node, csr.indices[place].astype(np.int64), csr.edge[place].astype(np.int64)


def cut(csr: CSR, low: IntArray, high: IntArray, as_of: IntArray) -> IntArray:
    """The first place at or after each time: all binary searches at once."""
    low = low.copy()
    while np.any(low < high):
        middle = (low + high) // 2
        is_before = csr.time[np.minimum(middle, len(csr.time) - 1)] < as_of
        is_open = low < high
        low = np.where(is_open & is_before, middle + 1, low)
        high = np.where(is_open & ~is_before, middle, high)
    return low


def floyd(allowed: IntArray, k: int, rng: np.random.Generator) -> IntArray:
    """k distinct numbers below each `allowed`, uniformly."""
    picks = np.empty((len(allowed), k), dtype=np.int64)
    for j in range(k):
        last = allowed - k + j
        pick = (rng.random(len(allowed)) * (last + 1)).astype(np.int64)
        is_drawn = (picks[:, :j] == pick[:, None]).any(axis=1)
        picks[:, j] = np.where(is_drawn, last, pick)
    return picks


def relabel(known: IntArray, keys: IntArray) -> tuple[IntArray, IntArray]:
    """(number of each key, all keys by number); known keys keep theirs."""
    unique, inverse = np.unique(keys, return_inverse=True)
    order = np.argsort(known)
    place = np.searchsorted(known[order], unique)
    is_known = np.zeros(len(unique), dtype=bool)
    inside = place < len(known)
    is_known[inside] = known[order][place[inside]] == unique[inside]
    label = np.empty(len(unique), dtype=np.int64)
    label[is_known] = order[place[is_known]]
    label[~is_known] = len(known) + np.arange(np.count_nonzero(~is_known))
    return label[inverse], np.concatenate([known, unique[~is_known]])
