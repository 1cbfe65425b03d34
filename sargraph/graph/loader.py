"""PyG's own `NodeLoader` and `LinkLoader` on our sampler, without a compiled PyG extension."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.sampler import (
    BaseSampler,
    EdgeSamplerInput,
    HeteroSamplerOutput,
    NegativeSampling,
    NodeSamplerInput,
)

from sargraph.core.errors import DataError
from sargraph.core.types import IntArray
from sargraph.graph.fan_out import FanOuts, forward_of, stored_type
from sargraph.graph.graph import EdgeType, Graph
from sargraph.graph.hide import Exclude, read_exclude
from sargraph.graph.interop import reverse_of
from sargraph.graph.links import sample_links
from sargraph.graph.negative import NegativeSampler
from sargraph.graph.popular import item_weights
from sargraph.graph.positives import Positives
from sargraph.graph.pyg_output import labelled, output, triplets
from sargraph.graph.sample import NeighbourSampler, Strategy


class GraphSampler(BaseSampler):  # type: ignore[misc]
    """A PyG sampler of one graph: `NodeLoader(graph.to_pyg(), node_sampler=GraphSampler(...))`.

    Seeds carry their as-of time (`input_time`, `edge_label_time`); a seed without one is refused
    unless `whole_graph` says that it may see every edge. Every seed or link has a tree of its own
    (`batch` names it). Negatives of a link keep its source and are never a known target of that
    source in any type between the two node types (PyG's own sampler does draw those). `e_id` is
    the row in the edge table; a batch has every edge type of the graph, empty where the fan-outs
    do not walk it. Cost: see `NeighbourSampler`.
    """

    def __init__(
        self,
        graph: Graph,
        fan_outs: FanOuts,
        *,
        strategy: Strategy = "uniform",
        seed: int = 0,
        whole_graph: bool = False,
        exclude: Exclude | None = None,
    ) -> None:
        """Prepare the sampler; `exclude` names edges that no batch may hold.

        Raises DataError for fan-outs or excluded edges that do not fit the graph.
        """
        self.sampler = NeighbourSampler(graph, fan_outs, strategy=strategy, seed=seed)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._exclude = read_exclude(graph, exclude)
        self._seed = seed
        self._whole_graph = whole_graph
        self._negatives: dict[EdgeType, NegativeSampler] = {}

    @property
    def epoch(self) -> int:
        """Set it, before the loader is iterated, to draw anew.

        It lies in shared memory, so that worker processes that live on see it too.
        """
        return int(self._epoch)

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch.fill_(operator.index(value))

    def sample_from_nodes(self, index: NodeSamplerInput, **_: Any) -> HeteroSamplerOutput:
        """The trees of a batch of nodes, PyG's interface. Raises DataError without times."""
        sample = self.sampler.sample(
            _known(index.input_type),
            index.node.numpy(),
            as_of=self._as_of(index.time),
            number=_numbers(index.input_id),
            exclude=self._exclude,
            epoch=self.epoch,
        )
        return output(self.sampler, sample, (index.input_id, index.time))

    def sample_from_edges(
        self, index: EdgeSamplerInput, neg_sampling: NegativeSampling | None = None
    ) -> HeteroSamplerOutput:
        """The trees of a batch of links, PyG's interface.

        `binary` appends negative links of the same sources, label 0; `triplet` gives `amount`
        distinct negative targets per link. Destination weights are drawn in proportion.
        Raises DataError without times, for source weights, or where negatives do not suffice.
        """
        edge_type = _known(index.input_type)
        source, target = index.row.numpy(), index.col.numpy()
        number = _numbers(index.input_id)
        negative = None
        if neg_sampling is not None:
            negative = self._draw(neg_sampling, edge_type, source, number)
        links = sample_links(
            self.sampler,
            edge_type,
            source,
            target,
            as_of=self._as_of(index.time),
            negative=negative,
            number=number,
            exclude=self._exclude,
            epoch=self.epoch,
        )
        if neg_sampling is not None and neg_sampling.is_triplet():
            return output(self.sampler, links.sample, triplets(index, links))
        amount = 0 if neg_sampling is None else neg_sampling.amount
        num_negatives = math.ceil(len(source) * amount)
        return output(self.sampler, links.sample, labelled(index, links, num_negatives))

    def _as_of(self, time: Tensor | None) -> IntArray | None:
        if time is not None:
            return np.asarray(time.numpy())
        if self._whole_graph:
            return None
        raise DataError(
            "seeds without a time would see every edge; give the loader input_time or "
            "edge_label_time, or GraphSampler(whole_graph=True)"
        )

    def _draw(
        self,
        wanted: NegativeSampling,
        edge_type: EdgeType,
        source: IntArray,
        number: IntArray | None,
    ) -> IntArray:
        if wanted.src_weight is not None:
            raise DataError("got src_weight, expected none: negatives keep the link's source")
        sampler, count = self._negatives_of(edge_type), math.ceil(wanted.amount)
        if wanted.dst_weight is None:
            return sampler.uniform(source, count, number=number, epoch=self.epoch)
        weights = item_weights(wanted.dst_weight.numpy(), sampler.positives.num_items)
        return sampler.popular(source, count, weights, number=number, epoch=self.epoch)

    def _negatives_of(self, edge_type: EdgeType) -> NegativeSampler:
        """The sampler of negatives of a type, forward or reversed; made once."""
        if edge_type not in self._negatives:
            positives = Positives.of(self.sampler.graph, _alike(self.sampler.graph, edge_type))
            self._negatives[edge_type] = NegativeSampler(positives, seed=self._seed)
        return self._negatives[edge_type]


def _alike(graph: Graph, edge_type: EdgeType) -> list[EdgeType]:
    """The types, forward and reversed, that lead from the source's type to the target's.

    Between nodes of one type both directions do; there only those of the type's own direction.
    """
    stored_type(graph.edges, edge_type, "links")
    source, _, target = edge_type
    every = [*graph.edges, *map(reverse_of, graph.edges)]
    alike = [kind for kind in every if (kind[0], kind[2]) == (source, target)]
    if source != target:
        return alike
    is_forward = forward_of(edge_type) == edge_type
    return [kind for kind in alike if (forward_of(kind) == kind) == is_forward]


def _known(kind: Any) -> Any:
    if kind is None:
        raise DataError("seeds have no node or edge type; name it in the loader's input")
    return kind


def _numbers(input_id: Tensor | None) -> IntArray | None:
    return None if input_id is None else np.asarray(input_id.numpy(), dtype=np.int64)
