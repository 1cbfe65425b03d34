"""A contrast that draws a request towards what its most similar user chose."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sargraph.nn.neighbour_attention import NeighbourMemory

TEMPERATURE = 0.1


def neighbour_contrast(
    z: Float[Tensor, "queries dim"],
    vectors: Float[Tensor, "queries tokens dim"],
    memory: NeighbourMemory,
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    """A request is closer to its own first neighbour than to those of other requests.

    L = mean_q [ log Σ_{r in R_q} exp(cos(z_q, m_r) / τ) - cos(z_q, m_q) / τ ],
    m_q = the mean vector of the tokens of q's first neighbour that has any.
    R_q is q and all r of the batch whose first neighbour is neither a neighbour of q nor q's user,
    so that nobody is pushed away from who is alike. Requests without a token stand on neither
    side; without any request the loss is 0. `vectors` as in `NeighbourAttention`.

    Cost: O(queries^2 (dim + neighbours)) time, queries^2 floats. Source: InfoNCE (van den Oord et
    al., arXiv 1807.03748); neighbours as positives as in Lin et al., NCL (WWW 2022).
    """
    kept = memory.valid.any(1)
    if not bool(kept.any()):
        return z.new_zeros(())
    first, means = _first_neighbours(vectors, memory)
    known, user, first = memory.neighbour[kept], memory.user[kept], first[kept]
    similarity = F.normalize(z[kept], dim=1) @ F.normalize(means[kept], dim=1).t() / temperature
    own = torch.arange(len(first), device=z.device)
    return F.cross_entropy(similarity.masked_fill(_alike(known, user, first), -torch.inf), own)


def _first_neighbours(
    vectors: Tensor, memory: NeighbourMemory
) -> tuple[Int[Tensor, " queries"], Float[Tensor, "queries dim"]]:
    """The first neighbour of each request that has a token, and the mean vector of its tokens."""
    count = memory.neighbour.shape[1]
    valid = memory.valid.unflatten(1, (count, -1))
    place = valid.any(2).int().argmax(1, keepdim=True)  # the first of the highest
    is_first = torch.arange(count, device=place.device) == place
    weights = (valid & is_first.unsqueeze(2)).flatten(1).to(vectors.dtype)
    total = torch.bmm(weights.unsqueeze(1), vectors).squeeze(1)
    means = total / weights.sum(1, keepdim=True).clamp(min=1)
    return memory.neighbour.gather(1, place).squeeze(1), means


def _alike(
    known: Int[Tensor, "queries neighbours"],
    user: Int[Tensor, " queries"],
    first: Int[Tensor, " queries"],
) -> Bool[Tensor, "queries queries"]:
    """Pairs (q, r) that are no negatives, but for q itself."""
    alike = user.unsqueeze(1) == first
    for neighbour in known.unbind(1):
        alike |= neighbour.unsqueeze(1) == first
    return alike.fill_diagonal_(False)
