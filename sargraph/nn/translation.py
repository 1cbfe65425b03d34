"""Translation propagation: an item is its users plus what they demanded, a user the reverse."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from sargraph.nn.edges import TranslationEdges
from sargraph.nn.sparse import SparseMatrix


class TranslationConv(MessagePassing):
    """One side of one layer: the mean over in-edges of the neighbour plus or minus the demand.

    ```
    h_i' = mean over e = (u, i) of (h_u + q_e)      sign = +1, users to items
    h_u' = mean over e = (u, i) of (h_i - q_e)      sign = -1, items to users
    ```
    A node without in-edges gets zero. Given an edge index, PyG sends one message per edge, cost
    O(edges · dim) memory. Given a row-normalised sparse matrix, messages and mean are fused into
    `matrix @ h + sign · Q`, where Q is the mean of the demands at each target; Q does not depend on
    the layer, so the caller computes it once.

    Source: UDITSR, KDD 2024, arXiv 2407.00912.
    """

    sign: int

    def __init__(self, sign: int) -> None:
        super().__init__(aggr="mean")
        self.sign = sign

    def forward(
        self,
        source: Float[Tensor, "sources dim"],
        edge_index: Int[Tensor, "2 edges"],
        demand: Float[Tensor, "edges dim"],
        num_targets: int,
    ) -> Float[Tensor, "targets dim"]:
        """Edge by edge: row 0 of `edge_index` holds sources, row 1 targets."""
        size = (len(source), num_targets)
        output: Tensor = self.propagate(  # PyG wants the same arguments in every call
            edge_index, size=size, h=(source, None), demand=demand, matrix=None, mean_demand=None
        )
        return output

    def fused(
        self,
        source: Float[Tensor, "sources dim"],
        matrix: SparseMatrix,
        mean_demand: Float[Tensor, "targets dim"],
    ) -> Float[Tensor, "targets dim"]:
        """The same as one product; `matrix` is [targets, sources] and its rows sum to 1 or 0."""
        output: Tensor = self.propagate(
            matrix.csr, h=source, demand=None, matrix=matrix, mean_demand=mean_demand
        )
        return output

    def message(self, h_j: Tensor, demand: Tensor) -> Tensor:
        """What one edge carries."""
        return h_j + self.sign * demand

    def message_and_aggregate(
        self, adj_t: Tensor, h: Any, matrix: Any, mean_demand: Tensor
    ) -> Tensor:
        """Messages and their mean in one product; `matrix` is `adj_t` with its transpose."""
        product: Tensor = matrix.matmul(h)
        return product + self.sign * mean_demand


class TranslationPropagation(nn.Module):
    """All layers of the two-sided translation over a user-item graph.

    Both sides of a layer read the previous layer. Cost per layer: two sparse products,
    O(edges · dim); plus once per call the node means of the demands. No memory per edge and dim.
    """

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.to_item = TranslationConv(sign=+1)
        self.to_user = TranslationConv(sign=-1)

    def forward(
        self,
        edges: TranslationEdges,
        user: Float[Tensor, "users dim"],
        item: Float[Tensor, "items dim"],
        demand: Float[Tensor, "pairs dim"],
        words: Float[Tensor, "terms dim"],
        keep: Bool[Tensor, " edges"] | None = None,
    ) -> list[tuple[Float[Tensor, "users dim"], Float[Tensor, "items dim"]]]:
        """The (user, item) tables of every layer, the given ones first.

        `demand` holds the virtual query of each unique recommendation pair of `edges`, `words` the
        vectors whose sums are the real queries; only edges where `keep` is True carry messages.
        """
        at_user, at_item = edges.mean_weights(user.dtype, keep)
        item_demand = _mean_demand(edges, "item", at_item, demand, words)
        user_demand = _mean_demand(edges, "user", at_user, demand, words)
        to_item = edges.item_user.weighted(at_item)
        to_user = edges.item_user.flipped().weighted(at_user)
        layers = [(user, item)]
        for _ in range(self.num_layers):
            user, item = layers[-1]
            next_user = self.to_user.fused(item, to_user, user_demand)
            next_item = self.to_item.fused(user, to_item, item_demand)
            layers.append((next_user, next_item))
        return layers


def layer_weights(num_layers: int, normalise: bool) -> list[float]:
    """The weight of each layer in the final table: 1, 1/2, 1/3, ..; optionally summing to one."""
    weights = [1 / (layer + 1) for layer in range(num_layers + 1)]
    total = sum(weights) if normalise else 1.0
    return [weight / total for weight in weights]


def combine_layers(
    tables: list[Float[Tensor, "nodes dim"]], weights: list[float]
) -> Float[Tensor, "nodes dim"]:
    """`Σ_l weights_l · tables_l`."""
    return torch.stack([w * t for w, t in zip(weights, tables, strict=True)]).sum(0)


def _mean_demand(
    edges: TranslationEdges, side: str, weight: Tensor, demand: Tensor, words: Tensor
) -> Tensor:
    """The mean of q_e at each node of a side, from the unique pairs and the query words."""
    pairs = edges.item_pair if side == "item" else edges.user_pair
    terms = edges.item_term if side == "item" else edges.user_term
    virtual = pairs.weighted(weight[edges.pair_edge]).matmul(demand)
    return virtual + terms.weighted(weight[edges.term_edge]).matmul(words)
