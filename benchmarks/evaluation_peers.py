"""Peers of the evaluation: the same ranking in plain NumPy, and as PyTorch Geometric does it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from sargraph.core.scorer import Requests
from sargraph.core.types import FloatArray, IntArray

BLOCK = 256
"""Requests of one product, for both peers and the floor."""


def numpy_ranks(users: FloatArray, items: FloatArray, target: IntArray, k: int) -> float:
    """Ranks by comparing each row with the target's score, the k best by `argpartition`; the mean
    reciprocal realistic rank.
    """
    total = 0.0
    for start in range(0, len(users), BLOCK):
        rows = slice(start, start + BLOCK)
        scores = users[rows] @ items.T
        own = np.take_along_axis(scores, target[rows, None], axis=1)
        better, tied = (scores > own).sum(axis=1), (scores == own).sum(axis=1) - 1
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        np.take_along_axis(best, order, axis=1)
        total += float((1 / (better + 1 + tied / 2)).sum())
    return total / len(users)


def torch_metrics(users: FloatArray, items: FloatArray, target: IntArray, k: int) -> float:
    """A product, `topk` and PyG's metrics of link prediction on what it finds; the mean reciprocal
    rank cut at k. Less than ours: no rank beyond k, and ties as they fall.
    """
    catalogue = torch.from_numpy(items).t()
    return _measured(lambda probes: torch.topk(probes @ catalogue, k).indices, users, target, k)


def pyg_metrics(users: FloatArray, items: FloatArray, target: IntArray, k: int) -> float:
    """The same through PyG's own `MIPSKNNIndex`. Raises ImportError where faiss is missing."""
    from torch_geometric.nn import MIPSKNNIndex

    index = MIPSKNNIndex(torch.from_numpy(items))
    return _measured(lambda probes: index.search(probes, k).index, users, target, k)


def _measured(
    search: Callable[[torch.Tensor], torch.Tensor], users: FloatArray, target: IntArray, k: int
) -> float:
    from torch_geometric.metrics import LinkPredMRR, LinkPredNDCG, LinkPredRecall

    metrics = [kind(k) for kind in (LinkPredNDCG, LinkPredRecall, LinkPredMRR)]
    wanted = torch.from_numpy(target)
    for start in range(0, len(users), BLOCK):
        found = search(torch.from_numpy(users[start : start + BLOCK]))
        relevant = torch.stack([torch.arange(len(found)), wanted[start : start + len(found)]])
        for metric in metrics:
            metric.update(found, relevant)
    return float(metrics[-1].compute())


class Vectors:
    """A vector model that has its vectors ready."""

    name = "vectors"

    def __init__(self, users: FloatArray, items: FloatArray) -> None:
        self.users, self.items = users, items

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Products of request and candidate."""
        return np.einsum("nd,ncd->nc", self.users[requests.user], self.items[candidates])

    def encode(self, requests: Requests) -> FloatArray:
        """The users' vectors."""
        return self.users[requests.user]

    def item_vectors(self) -> FloatArray:
        """The items' vectors."""
        return self.items


class TwoLayers:
    """[user ; item] -> 64 -> 1, each row of the batch one request x candidate pair, in torch."""

    name = "two layers"

    def __init__(self, users: FloatArray, items: FloatArray, hidden: int = 64) -> None:
        self.users, self.items = torch.from_numpy(users), torch.from_numpy(items)
        width = 2 * users.shape[1]
        generator = torch.Generator().manual_seed(0)
        self.first = torch.randn(width, hidden, generator=generator) / width**0.5
        self.bias = torch.zeros(hidden)
        self.last = torch.randn(hidden, 1, generator=generator) / hidden**0.5

    @torch.no_grad()
    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """The head on every pair."""
        users = self.users[torch.from_numpy(requests.user)]
        items = self.items[torch.from_numpy(candidates)]
        pairs = torch.cat([users[:, None].expand(items.shape), items], dim=-1).flatten(0, 1)
        hidden = torch.relu(torch.addmm(self.bias, pairs, self.first))
        return (hidden @ self.last).view(candidates.shape).numpy()
