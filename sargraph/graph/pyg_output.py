"""What PyG's loaders get back: a sample with every edge type, and what belongs to its links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.sampler import EdgeSamplerInput, HeteroSamplerOutput

from sargraph.core.types import IntArray
from sargraph.graph.interop import reverse_of
from sargraph.graph.links import LinkSample
from sargraph.graph.sample import NeighbourSampler
from sargraph.graph.tree import Sample


def output(
    sampler: NeighbourSampler, sample: Sample, metadata: Sequence[Any]
) -> HeteroSamplerOutput:
    """A sample as PyG knows it; edge types that are not walked are there, without edges.

    PyG's layers and `trim_to_layer` look up every type of the data. Cost: O(edge types); the
    arrays are not copied.
    """
    edges = sampler.graph.edges
    every = [*edges, *map(reverse_of, edges)]
    none = {kind: np.empty(0, dtype=np.int64) for kind in every}
    return HeteroSamplerOutput(
        node=_tensors(sample.node),
        row=_tensors(none | sample.row),
        col=_tensors(none | sample.col),
        edge=_tensors(none | sample.edge),
        batch=_tensors(sample.tree),
        num_sampled_nodes=sample.num_nodes,
        num_sampled_edges={kind: [0] * sampler.num_hops for kind in every} | sample.num_edges,
        metadata=tuple(metadata),
    )


def _tensors(arrays: dict[Any, IntArray]) -> dict[Any, Tensor]:
    return {kind: torch.from_numpy(array) for kind, array in arrays.items()}


def labelled(index: EdgeSamplerInput, links: LinkSample, num_negatives: int) -> tuple[Any, ...]:
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


def triplets(index: EdgeSamplerInput, links: LinkSample) -> tuple[Any, ...]:
    """(input_id, source, target, negatives [n] or [n, k], time)"""
    places = [torch.from_numpy(part) for part in (links.source, links.target, links.negative)]
    if places[2].shape[1] == 1:
        places[2] = places[2][:, 0]
    return index.input_id, *places, index.time
