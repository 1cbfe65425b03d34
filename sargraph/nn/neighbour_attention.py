"""Attention from a request to what its similar users chose next, and the gate that lets it in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.core.errors import ConfigError
from sargraph.nn.attention import masked_softmax
from sargraph.nn.dropout import ByteDropout

NUM_BUCKETS = 8
"""Buckets of similarity: 1 to 1/2, 1/2 to 1/4, ... and all below 1/128."""
SMALLEST = 1e-6
"""The least similarity whose logarithm is taken; below it a neighbour weighs as much."""


@dataclass(frozen=True)
class NeighbourMemory:
    """What the neighbours of some requests chose: item rows (-1 = no token) and their facts.

    Tokens of one neighbour stand together, equally many for each: token j is of neighbour
    j // (tokens / neighbours). `step` is the distance of a token from the point up to which the
    neighbour's history is like the request's, below 0 before it. `activity` counts what the
    request's user did before. `neighbour` and `user` are the rows of who is who (-1 = nobody).
    """

    item: Int[Tensor, "queries tokens"]
    step: Int[Tensor, "queries tokens"]
    similarity: Float[Tensor, "queries neighbours"]
    activity: Float[Tensor, " queries"]
    neighbour: Int[Tensor, "queries neighbours"]
    user: Int[Tensor, " queries"]

    @property
    def valid(self) -> Bool[Tensor, "queries tokens"]:
        """Which tokens hold an item."""
        return self.item >= 0

    def as_active(self, activity: float | None) -> NeighbourMemory:
        """The same with the activity of all requests set to a value, if one is given."""
        if activity is None:
            return self
        return replace(self, activity=torch.full_like(self.activity, activity))


class NeighbourAttention(nn.Module):
    """Add to a request's vector what it finds among the tokens of its neighbours.

    t_j = v_j + E_sim[bucket(s_j)] + E_step[step_j],
    a = softmax_j( <W_q z, W_k t_j> / sqrt(dim) + β log s_j ), c = W_v Σ_j a_j t_j,
    g = sigmoid( W [z ; c ; log(1 + n_u) ; max_j s_j] + b ), z' = z + g ⊙ c.
    v_j is the token's item vector, s_j the similarity of its neighbour, n_u the activity. W_k and
    W_v are applied to the query and to the pooled token, and the two tables are pooled by their
    own weights, so that besides the gathered item vectors nothing of size tokens x dim is made.
    At the start β = 1, W_v = I, W = 0 and b = logit(gate_start). A request without tokens keeps z
    exactly.

    Cost: O(tokens dim + dim^2) per request. Source: the attention of Vaswani et al. (NeurIPS 2017);
    neighbours as context as in Zhang et al., Neighbor based enhancement (arXiv 2302.08128).
    """

    def __init__(
        self, dim: int, max_step: int = 10, gate_start: float = 0.1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not 0 < gate_start < 1:
            raise ConfigError(f"got gate_start {gate_start}, expected a share above 0 and below 1")
        self.dim, self.max_step = dim, max_step
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.bucket_table = nn.Parameter(torch.zeros(NUM_BUCKETS, dim))
        self.step_table = nn.Parameter(torch.zeros(2 * max_step + 1, dim))
        self.log_weight = nn.Parameter(torch.ones(()))
        self.gate = nn.Linear(2 * dim + 2, dim)
        self.dropout = ByteDropout(dropout)
        self._start(gate_start)

    def _start(self, gate_start: float) -> None:
        """Small zero-mean maps and tables, and a gate that is `gate_start` whatever it sees.

        The value map alone starts at the identity: c is then the mean of what neighbours chose as
        item vectors, which already ranks well where a state is scored by its product with them.
        """
        for linear in (self.query, self.key):
            nn.init.xavier_normal_(linear.weight)
        nn.init.eye_(self.value.weight)
        for table in (self.bucket_table, self.step_table):
            nn.init.normal_(table, std=0.02)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, math.log(gate_start / (1 - gate_start)))

    def forward(
        self,
        z: Float[Tensor, "queries dim"],
        vectors: Float[Tensor, "queries tokens dim"],
        memory: NeighbourMemory,
    ) -> Float[Tensor, "queries dim"]:
        """z' of each request; `vectors` are those of `memory.item`, anything where it is -1."""
        found = self.read(z, vectors, memory)
        return z + self.gate_of(z, found, memory) * found

    def read(
        self,
        z: Float[Tensor, "queries dim"],
        vectors: Float[Tensor, "queries tokens dim"],
        memory: NeighbourMemory,
    ) -> Float[Tensor, "queries dim"]:
        """c: the tokens pooled by attention; exactly 0 where there are none."""
        bucket, step = self._places(memory)
        similarity = _per_token(memory.similarity, memory.item.shape[1])
        asked = (self.query(z) @ self.key.weight) / math.sqrt(self.dim)
        scores = torch.bmm(vectors, asked.unsqueeze(2)).squeeze(2)
        scores = scores + (asked @ self.bucket_table.t()).gather(1, bucket)
        scores = scores + (asked @ self.step_table.t()).gather(1, step)
        scores = scores + self.log_weight * similarity.clamp(min=SMALLEST).log()
        weights = self.dropout(masked_softmax(scores, memory.valid))
        pooled = torch.bmm(weights.unsqueeze(1), vectors).squeeze(1)
        pooled = pooled + _sums(weights, bucket, NUM_BUCKETS) @ self.bucket_table
        pooled = pooled + _sums(weights, step, len(self.step_table)) @ self.step_table
        found: Tensor = self.value(pooled)
        return found

    def gate_of(
        self,
        z: Float[Tensor, "queries dim"],
        found: Float[Tensor, "queries dim"],
        memory: NeighbourMemory,
    ) -> Float[Tensor, "queries dim"]:
        """g: how much of each component of c is let in, between 0 and 1."""
        facts = torch.stack([memory.activity.log1p(), _highest(memory.similarity)], dim=1)
        seen = torch.cat([z, found, facts.to(z.dtype)], dim=1)
        return torch.sigmoid(F.linear(seen, self.gate.weight, self.gate.bias))

    def _places(self, memory: NeighbourMemory) -> tuple[Tensor, Tensor]:
        """The row of each token in the table of buckets and in that of steps."""
        halvings = (-memory.similarity.clamp(min=SMALLEST).log2()).floor().long()
        bucket = _per_token(halvings.clamp(0, NUM_BUCKETS - 1), memory.item.shape[1])
        return bucket, memory.step.clamp(-self.max_step, self.max_step) + self.max_step


def _per_token(of_neighbour: Tensor, num_tokens: int) -> Tensor:
    """Repeat what is known of each neighbour for its tokens, [queries, tokens]."""
    count = num_tokens // max(of_neighbour.shape[1], 1)
    return of_neighbour.repeat_interleave(count, dim=1)


def _highest(similarity: Tensor) -> Tensor:
    """The highest similarity of each request, 0 where there is no neighbour."""
    none = similarity.new_zeros(len(similarity), 1)
    return torch.cat([similarity, none], dim=1).amax(1)


def _sums(weights: Tensor, place: Tensor, num_places: int) -> Tensor:
    """Total weight of each place, [queries, num_places]."""
    empty = weights.new_zeros(len(weights), num_places)
    return empty.scatter_add(1, place, weights)
