"""Bilinear tanh InfoNCE: histories read in two ways agree, and queries agree with their clicks.

Every similarity is tanh(a M b) / temperature, bounded by 1 / temperature.
Source: UniSAR (SIGIR 2024, arXiv 2404.09520).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

ROWS_PER_BLOCK = 128  # a block of similarities stays in the cache of one core

NEVER = -1e30  # stands for the tanh of a blocked pair: its exponential is exactly zero


class Temperature(nn.Module):
    """A learnable temperature; held as its logarithm it can never reach zero.

    `positive=False` holds the plain value, as the published code does.
    """

    def __init__(self, value: float, positive: bool = True) -> None:
        super().__init__()
        self.positive = positive
        start = torch.tensor(float(value))
        self.value = nn.Parameter(start.log() if positive else start)

    def forward(self) -> Float[Tensor, ""]:
        """The temperature."""
        return self.value.exp() if self.positive else self.value + 0.0


class _TanhLogSumExp(torch.autograd.Function):
    """Blockwise log sum_j exp(tanh(left_i . right_j) / temperature) over the pairs not blocked."""

    @staticmethod
    def forward(
        ctx: Any, left: Tensor, right: Tensor, temperature: Tensor, blocked: Tensor
    ) -> Tensor:
        similarity = left.new_empty(left.shape[0], right.shape[0])
        sums = left.new_empty(left.shape[0])
        row, column = blocked[blocked[:, 0].argsort()].T.contiguous()
        blocks = _blocks(left.shape[0])
        stops = torch.tensor([0, *(rows.stop for rows in blocks)], device=row.device)
        ends = torch.searchsorted(row, stops).tolist()
        for rows, start, stop in zip(blocks, ends, ends[1:], strict=False):
            block = torch.mm(left[rows], right.T, out=similarity[rows]).tanh_()
            block[row[start:stop] - rows.start, column[start:stop]] = NEVER
            sums[rows] = torch.logsumexp(block / temperature, dim=1)
        ctx.save_for_backward(left, right, temperature, similarity, sums)
        return sums

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        left, right, temperature, similarity, sums = ctx.saved_tensors
        grad_left, grad_right = torch.empty_like(left), torch.zeros_like(right)
        grad_temperature = torch.zeros_like(temperature)
        for rows in _blocks(left.shape[0]):
            tanh = similarity[rows]
            share = (tanh / temperature).sub_(sums[rows].unsqueeze(1)).exp_()
            share.mul_(grad[rows].unsqueeze(1) / temperature)
            weighted = share * tanh
            grad_temperature -= weighted.sum() / temperature
            share.addcmul_(weighted, tanh, value=-1.0)
            torch.mm(share, right, out=grad_left[rows])
            grad_right.addmm_(share.T, left[rows])
        return grad_left, grad_right, grad_temperature, None


def _blocks(num_rows: int) -> list[slice]:
    return [
        slice(start, min(start + ROWS_PER_BLOCK, num_rows))
        for start in range(0, num_rows, ROWS_PER_BLOCK)
    ]


def tanh_logsumexp(
    left: Float[Tensor, "left dim"],
    right: Float[Tensor, "right dim"],
    temperature: Float[Tensor, ""],
    blocked: Int[Tensor, "blocked 2"],
) -> Float[Tensor, " left"]:
    """log sum_j exp(tanh(left_i . right_j) / temperature) without the blocked pairs (i, j).

    A row with every pair blocked gives a huge negative number: it adds nothing to a sum of
    exponentials. Cost: O(left * right * dim) time, left * right floats of memory; differentiable
    once.
    """
    if not len(right):
        return left.new_full((len(left),), NEVER)
    out: Tensor = _TanhLogSumExp.apply(left, right, temperature, blocked)  # type: ignore[no-untyped-call]
    return out


def masked_mean(
    states: Float[Tensor, "batch slots dim"], valid: Bool[Tensor, "batch slots"]
) -> Float[Tensor, "batch dim"]:
    """Mean over the filled slots; zeros where there are none."""
    total = (valid.unsqueeze(1).to(states.dtype) @ states).flatten(1)
    return total / valid.sum(1, keepdim=True).clamp(min=1)


class HistoryContrast(nn.Module):
    """Two readings of one history are each other's positive among all readings of the batch.

    z = [mean a; mean b] over the 2n rows of non-empty histories, sim = tanh(z M z^T) / temperature,
    L = mean_i( log sum_{j != i} exp sim_ij - sim_{i, partner(i)} ), partner(i) = i +/- n.
    With `user` given, other rows of the same user are no negatives. No history at all gives 0.
    """

    def __init__(self, dim: int, temperature: float = 0.1, positive: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, dim))
        self.temperature = Temperature(temperature, positive)
        nn.init.xavier_normal_(self.weight)

    def forward(
        self,
        first: Float[Tensor, "batch slots dim"],
        second: Float[Tensor, "batch slots dim"],
        valid: Bool[Tensor, "batch slots"],
        user: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """InfoNCE between the two readings, both ways."""
        kept = valid.any(1)
        means = masked_mean(first, valid)[kept], masked_mean(second, valid)[kept]
        if not len(means[0]):
            return first.new_zeros(())
        z, partner = torch.cat(means), torch.cat(means[::-1])
        left, temperature = z @ self.weight, self.temperature()
        positive: Tensor = torch.tanh((left * partner).sum(1)) / temperature
        blocked = _no_negatives(len(means[0]), None if user is None else user[kept], z.device)
        return (tanh_logsumexp(left, z, temperature, blocked) - positive).mean()


def _no_negatives(num: int, user: Tensor | None, device: torch.device) -> Tensor:
    """Pairs of the 2n x 2n outside the sum: itself, and other rows of the same known user."""
    itself = torch.arange(2 * num, device=device).unsqueeze(1).expand(-1, 2)
    if user is None:
        return itself
    same = (user.unsqueeze(0) == user.unsqueeze(1)) & (user >= 0)
    others = same.fill_diagonal_(False).nonzero()
    ways = torch.tensor([(0, 0), (0, num), (num, 0), (num, num)], device=device)
    return torch.cat([itself, (others.unsqueeze(0) + ways.unsqueeze(1)).flatten(0, 1)])


class QueryItemContrast(nn.Module):
    """A query and an item clicked after it are each other's positive among shared negatives.

    2 L = mean_p CE_0(tanh[q_p M v_p, q_p M v_n] / t)
        + mean_p CE_0(tanh[v_p M q_p, v_p M q_n] / t)
    The sum over the negatives is taken once per distinct query (item) and shared by its pairs:
    O((queries + items) * negatives * dim) instead of O(pairs * negatives * dim).
    """

    def __init__(self, dim: int, temperature: float = 0.5, positive: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, dim))
        self.temperature = Temperature(temperature, positive)
        nn.init.xavier_normal_(self.weight)

    def forward(
        self,
        queries: Float[Tensor, "queries dim"],
        items: Float[Tensor, "items dim"],
        pairs: Int[Tensor, "pairs 2"],
        negative_items: Float[Tensor, "negative_items dim"],
        negative_queries: Float[Tensor, "negative_queries dim"],
        blocked_items: Int[Tensor, "blocked_items 2"] | None = None,
        blocked_queries: Int[Tensor, "blocked_queries 2"] | None = None,
    ) -> Float[Tensor, ""]:
        """InfoNCE of the pairs (place in `queries`, place in `items`); no pair at all gives 0.

        Blocked pairs (place in `queries`, place in `negative_items`), and likewise for items,
        are left out of the sums over the negatives.
        """
        if not len(pairs):
            return queries.new_zeros(())
        query, item = pairs.unbind(1)
        return 0.5 * (
            self._one_way(queries, items, query, item, negative_items, blocked_items)
            + self._one_way(items, queries, item, query, negative_queries, blocked_queries)
        )

    def _one_way(
        self,
        anchors: Tensor,
        partners: Tensor,
        anchor: Tensor,
        partner: Tensor,
        negatives: Tensor,
        blocked: Tensor | None,
    ) -> Tensor:
        left, temperature = anchors @ self.weight, self.temperature()
        if blocked is None:
            blocked = anchor.new_empty(0, 2)
        others = tanh_logsumexp(left, negatives, temperature, blocked)
        match = F.embedding(anchor, left) * F.embedding(partner, partners)
        positive: Tensor = torch.tanh(match.sum(1)) / temperature
        return (torch.logaddexp(positive, others.index_select(0, anchor)) - positive).mean()


def known_positives(
    pairs: Int[Tensor, "pairs 2"], negatives: Int[Tensor, " negatives"]
) -> Int[Tensor, "blocked 2"]:
    """Which (left member, place in `negatives`) are positives of that left member.

    `pairs` holds (left member, row of the right member); `negatives` holds rows of right members
    and may repeat. Cost: O((pairs + negatives) log negatives + answers).
    """
    ordered, order = negatives.sort()
    first = torch.searchsorted(ordered, pairs[:, 1].contiguous())
    count = torch.searchsorted(ordered, pairs[:, 1].contiguous(), right=True) - first
    answer = torch.arange(len(pairs), device=pairs.device).repeat_interleave(count)
    nth = torch.arange(len(answer), device=pairs.device) - (count.cumsum(0) - count)[answer]
    return torch.stack([pairs[answer, 0], order[first[answer] + nth]], 1)
