"""Translation propagation: an item is its users plus what they demanded, a user the reverse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from sargraph.nn.edges import EdgeMeans
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
        return product.add_(mean_demand, alpha=self.sign)


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
        means: EdgeMeans,
        user: Float[Tensor, "users dim"],
        item: Float[Tensor, "items dim"],
        demand: Callable[[SparseMatrix], Float[Tensor, "nodes dim"]],
        words: Float[Tensor, "terms dim"],
    ) -> Iterator[tuple[Float[Tensor, "users dim"], Float[Tensor, "items dim"]]]:
        """The (user, item) tables of one layer after another, the given ones first.

        `demand(matrix)` is `matrix @ q~` for a matrix [users + items, unique recommendation pairs],
        `words` holds the vectors whose sums are the real queries.
        """
        tables, demands = (user, item), _demands(means, (user, item), demand, words)
        yield tables
        for _ in range(self.num_layers):
            tables = self._layer((means.to_user, means.to_item), tables, demands)
            yield tables

    def at(
        self,
        rows: tuple[Int[Tensor, " some_users"], Int[Tensor, " some_items"]],
        means: EdgeMeans,
        user: Float[Tensor, "users dim"],
        item: Float[Tensor, "items dim"],
        demand: Callable[[SparseMatrix], Float[Tensor, "nodes dim"]],
        words: Float[Tensor, "terms dim"],
    ) -> Iterator[tuple[Float[Tensor, "some_users dim"], Float[Tensor, "some_items dim"]]]:
        """The layers of `forward` at these users and items; the last one is made for them alone.

        Cost: that of one layer less, plus sorting the edges of the given nodes.
        """
        tables, demands = (user, item), _demands(means, (user, item), demand, words)
        for _ in range(self.num_layers - 1):
            yield _gathered(tables, rows)
            tables = self._layer((means.to_user, means.to_item), tables, demands)
        yield _gathered(tables, rows)
        if self.num_layers > 0:
            matrices = means.to_user.rows(rows[0]), means.to_item.rows(rows[1])
            yield self._layer(matrices, tables, _gathered(demands, rows))

    def _layer(
        self,
        matrices: tuple[SparseMatrix, SparseMatrix],
        tables: tuple[Tensor, Tensor],
        demands: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Both sides of the next layer, from the one before."""
        user = self.to_user.fused(tables[1], matrices[0], demands[0])
        return user, self.to_item.fused(tables[0], matrices[1], demands[1])


def _demands(
    means: EdgeMeans,
    tables: tuple[Tensor, Tensor],
    demand: Callable[[SparseMatrix], Tensor],
    words: Tensor,
) -> tuple[Tensor, Tensor]:
    """The mean demand over the edges of each user and of each item."""
    mean = demand(means.pairs).add_(means.terms.matmul(words))
    user, item = mean.split([len(table) for table in tables])
    return user, item


def _gathered(tables: tuple[Tensor, Tensor], rows: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return tables[0].index_select(0, rows[0]), tables[1].index_select(0, rows[1])


def layer_weights(num_layers: int, normalise: bool) -> list[float]:
    """The weight of each layer in the final table: 1, 1/2, 1/3, ..; optionally summing to one."""
    weights = [1 / (layer + 1) for layer in range(num_layers + 1)]
    total = sum(weights) if normalise else 1.0
    return [weight / total for weight in weights]


def combine_layers(
    layers: Iterable[tuple[Float[Tensor, "users dim"], Float[Tensor, "items dim"]]],
    weights: list[float],
) -> tuple[Float[Tensor, "users dim"], Float[Tensor, "items dim"]]:
    """`Σ_l weights_l · layer_l` of both sides, adding each layer as it comes."""
    totals: list[Tensor] = []
    for weight, tables in zip(weights, layers, strict=True):
        if not totals:
            totals = [weight * table for table in tables]
            continue
        for total, table in zip(totals, tables, strict=True):
            total.add_(table, alpha=weight)
    return totals[0], totals[1]
