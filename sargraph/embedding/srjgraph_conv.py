"""One direction of a layer of SRJGraph: targets ask their in-edges, attribute and source alike."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax


class IntentConv(MessagePassing):
    """Attention of a target t over its in-edges e = (s, t) with attribute a_e.

    ```
    w_e  = softmax over in-edges of t of  <W_Q h_t + b_Q, W_K [h_s; a_e]> / sqrt(dim)
    h_t' = W_S h_t + b_S + sum over e of  w_e W_V [h_s; a_e]
    ```
    The intention (the query on an edge) and the upstream node (whence it comes) thus decide
    together how much an edge counts and what it brings. Parallel edges count each for itself; a
    target without in-edges keeps W_S h_t + b_S. A key has no bias, which would cancel in the
    softmax, and a message none, since b_S is one.

    W [h_s; a_e] = W' h_s + W'' a_e, so that nodes and the few distinct attributes are projected and
    not edges. Cost: O((nodes + attributes) dim²) products and O(edges · dim) time and memory.

    Source: the intention- and upstream-aware aggregator of SRJGraph (WSDM 2022,
    doi 10.1145/3488560.3498414), whose code is not public. That source and attribute are attended
    to with the target as the asker is published in words; one head, the scaled product, values
    linear in both, and W_S beside the sum are ours.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(aggr="sum")
        self.dim = dim
        self.asker = nn.Linear(dim, dim)
        self.own = nn.Linear(dim, dim)
        self.source_key = nn.Linear(dim, dim, bias=False)
        self.source_value = nn.Linear(dim, dim, bias=False)
        self.attribute_key = nn.Linear(dim, dim, bias=False)
        self.attribute_value = nn.Linear(dim, dim, bias=False)

    def forward(
        self,
        source: Float[Tensor, "sources dim"],
        target: Float[Tensor, "targets dim"],
        attribute: Float[Tensor, "attributes dim"],
        edge_index: Int[Tensor, "2 edges"],
        edge_attribute: Int[Tensor, " edges"],
    ) -> Float[Tensor, "targets dim"]:
        """Row 0 of `edge_index` holds sources, row 1 targets, `edge_attribute` attribute rows."""
        asked = self.asker(target) * self.dim**-0.5
        out: Tensor = self.propagate(
            edge_index,
            size=(len(source), len(target)),
            asked=(None, asked),
            key=(self.source_key(source), None),
            value=(self.source_value(source), None),
            about=(self.attribute_key(attribute), self.attribute_value(attribute)),
            edge_attribute=edge_attribute,
        )
        return out.add_(self.own(target))

    def message(
        self,
        asked_i: Tensor,
        key_j: Tensor,
        value_j: Tensor,
        about: tuple[Tensor, Tensor],
        edge_attribute: Tensor,
        index: Tensor,
        size_i: int | None,
    ) -> Tensor:
        """The weighted part of each edge in the sum."""
        key, value = (part.index_select(0, edge_attribute) for part in about)
        weight = softmax((asked_i * (key_j + key)).sum(1), index, num_nodes=size_i)
        return (value_j + value) * weight.unsqueeze(1)
