"""PyG's own `NodeLoader` and `LinkLoader` on our sampler, without a compiled PyG extension."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from sargraph.graph.fan_out import FanOuts
from sargraph.graph.graph import EdgeType, Graph
from sargraph.graph.links import LinkSample, sample_links
from sargraph.graph.negative import NegativeSampler
from sargraph.graph.popular import item_weights
from sargraph.graph.positives import Positives
from sargraph.graph.sample import NeighbourSampler, Strategy
from sargraph.graph.tree import Sample


class GraphSampler(BaseSampler):  # type: ignore[misc]
    """A PyG sampler of one graph: `NodeLoader(graph.to_pyg(), node_sampler=GraphSampler(...))`.

    Seeds carry their as-of time (`input_time`, `edge_label_time`); a seed without one is refused
    unless `whole_graph` says that it may see every edge. Every seed or link has a tree of its own
    (`batch` names it). Negatives of a link keep its source and are never a known target of that
    source in any type between the two node types (PyG's own sampler does draw those). `e_id` is
    the row in the edge table. Set `epoch` to draw anew; with worker processes set it before the
    loader is iterated. Cost: see `NeighbourSampler`.
    """

    def __init__(
        self,
        graph: Graph,
        fan_outs: FanOuts,
        *,
        strategy: Strategy = "uniform",
        seed: int = 0,
        whole_graph: bool = False,
    ) -> None:
        """Prepare the sampler. Raises DataError for fan-outs that do not fit the graph."""
        self.sampler = NeighbourSampler(graph, fan_outs, strategy=strategy, seed=seed)
        self.epoch = 0
        self._seed = seed
        self._whole_graph = whole_graph
        self._negatives: dict[tuple[str, str], NegativeSampler] = {}

    def sample_from_nodes(self, index: NodeSamplerInput, **_: Any) -> HeteroSamplerOutput:
        """The trees of a batch of nodes, PyG's interface. Raises DataError without times."""
        sample = self.sampler.sample(
            _known(index.input_type),
            index.node.numpy(),
            as_of=self._as_of(index.time),
            number=_numbers(index.input_id),
            epoch=self.epoch,
        )
        return _output(sample, (index.input_id, index.time))

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
            epoch=self.epoch,
        )
        if neg_sampling is not None and neg_sampling.is_triplet():
            return _output(links.sample, _triplets(index, links))
        amount = 0 if neg_sampling is None else neg_sampling.amount
        return _output(links.sample, _labelled(index, links, math.ceil(len(source) * amount)))

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
        ends = (edge_type[0], edge_type[2])
        if ends not in self._negatives:
            graph = self.sampler.graph
            types = [kind for kind in graph.edges if (kind[0], kind[2]) == ends]
            positives = Positives.of(graph, types)
            self._negatives[ends] = NegativeSampler(positives, seed=self._seed)
        sampler, count = self._negatives[ends], math.ceil(wanted.amount)
        if wanted.dst_weight is None:
            return sampler.uniform(source, count, number=number, epoch=self.epoch)
        weights = item_weights(wanted.dst_weight.numpy(), sampler.positives.num_items)
        return sampler.popular(source, count, weights, number=number, epoch=self.epoch)


def _known(kind: Any) -> Any:
    if kind is None:
        raise DataError("seeds have no node or edge type; name it in the loader's input")
    return kind


def _numbers(input_id: Tensor | None) -> IntArray | None:
    return None if input_id is None else np.asarray(input_id.numpy(), dtype=np.int64)


def _output(sample: Sample, metadata: Sequence[Any]) -> HeteroSamplerOutput:
    def tensors(arrays: dict[Any, IntArray]) -> dict[Any, Tensor]:
        return {kind: torch.from_numpy(array) for kind, array in arrays.items()}

    return HeteroSamplerOutput(
        node=tensors(sample.node),
        row=tensors(sample.row),
        col=tensors(sample.col),
        edge=tensors(sample.edge),
        batch=tensors(sample.tree),
        num_sampled_nodes=sample.num_nodes,
        num_sampled_edges=sample.num_edges,
        metadata=tuple(metadata),
    )


def _labelled(index: EdgeSamplerInput, links: LinkSample, num_negatives: int) -> tuple[Any, ...]:
    """(input_id, edge_label_index, edge_label, time): the links, then negatives round by round."""
    repeats = links.negative.shape[1]
    source = np.concatenate([links.source, np.tile(links.source, repeats)[:num_negatives]])
    target = np.concatenate([links.target, links.negative.T.ravel()[:num_negatives]])
    label, time = index.label, index.time
    if num_negatives:
        label = torch.ones(len(links.source)) if label is None else label
        label = torch.cat([label, label.new_zeros((num_negatives, *label.shape[1:]))])
        time = None if time is None else time.repeat(1 + repeats)[: len(source)]
    return index.input_id, torch.from_numpy(np.stack([source, target])), label, time


def _triplets(index: EdgeSamplerInput, links: LinkSample) -> tuple[Any, ...]:
    """(input_id, source, target, negatives [n] or [n, k], time)"""
    places = [torch.from_numpy(part) for part in (links.source, links.target, links.negative)]
    if places[2].shape[1] == 1:
        places[2] = places[2][:, 0]
    return index.input_id, *places, index.time
