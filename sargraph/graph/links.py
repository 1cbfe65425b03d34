"""Sampling around links: both ends, and negatives, in one tree with the link's as-of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.types import NO_TIME, IntArray
from sargraph.graph.draws import edges_joining
from sargraph.graph.graph import EdgeType
from sargraph.graph.sample import Exclude, NeighbourSampler
from sargraph.graph.tree import NO_LIMIT, Sample, Seeds, as_of_times


@dataclass(frozen=True)
class LinkSample:
    """A sample around links: the places in `sample.node` of the ends and of the negatives.

    `source` int64 [n] in the nodes of the link's source type; `target` int64 [n] and `negative`
    int64 [n, k] in those of its target type.
    """

    sample: Sample
    source: IntArray
    target: IntArray
    negative: IntArray


def sample_links(
    sampler: NeighbourSampler,
    edge_type: EdgeType,
    source: IntArray,
    target: IntArray,
    *,
    as_of: IntArray | int | None,
    negative: IntArray | None = None,
    number: IntArray | None = None,
    exclude: Exclude | None = None,
    epoch: int = 0,
) -> LinkSample:
    """The neighbourhood of each link (source, target) and of its negatives, as of the link's time.

    A link is one tree: its ends and its `negative` target rows [n, k] share nodes. The edge that a
    link asks about is in no tree: its time is not before itself, and where time cannot hide it
    (a background edge, or `as_of=None`) every edge of the type between the two ends is excluded
    from the whole batch, in both directions. Edges that one event left in *other* types, such as
    `led_to` beside `found`, share its time; without times pass them in `exclude`.
    Raises DataError where lengths or rows do not fit. Cost: that of `sample`.
    """
    source, target = (np.asarray(rows, dtype=np.int64) for rows in (source, target))
    drawn = _checked(source, target, negative)
    time, trees = as_of_times(as_of, len(source)), np.arange(len(source), dtype=np.int64)
    starts = (
        (edge_type[0], source, trees),
        (edge_type[2], target, trees),
        (edge_type[2], drawn.ravel(), np.repeat(trees, drawn.shape[1])),
    )
    hidden = dict(exclude or {})
    own = target_edges(sampler, edge_type, source, target, time)
    if len(own):
        hidden[edge_type] = np.concatenate([own, np.asarray(hidden.get(edge_type, own[:0]))])
    names = trees if number is None else np.asarray(number, dtype=np.int64)
    sample = sampler.grow(Seeds(starts, time, names), exclude=hidden, epoch=epoch)
    ends = sample.seeds
    return LinkSample(sample, ends[0], ends[1], ends[2].reshape(drawn.shape))


def _checked(source: IntArray, target: IntArray, negative: IntArray | None) -> IntArray:
    """The negatives, int64 [n, k]; no column where there are none."""
    none = np.empty((len(source), 0))
    drawn = np.asarray(none if negative is None else negative, dtype=np.int64)
    if target.shape != source.shape or drawn.ndim != 2 or len(drawn) != len(source):
        raise DataError(
            f"got {len(source)} sources, {len(target)} targets and negatives of shape "
            f"{drawn.shape}, expected as many targets as sources and negatives [links, k]"
        )
    return drawn


def target_edges(
    sampler: NeighbourSampler,
    edge_type: EdgeType,
    source: IntArray,
    target: IntArray,
    time: IntArray,
) -> IntArray:
    """Edges between the ends of links that the links' times do not hide.

    Background edges, and all edges where the time is NO_LIMIT; empty where the type is not walked.
    Cost: the background neighbours of one end per link (all neighbours with NO_LIMIT).
    """
    walk = sampler.walk_of(edge_type)
    if walk is None:
        return np.empty(0, dtype=np.int64)
    upto = np.where(time == NO_LIMIT, NO_LIMIT, NO_TIME + 1)
    node, other = (target, source) if walk.edge_type == edge_type else (source, target)
    found = np.empty(0, dtype=np.int64)
    size = edges_joining(walk.indptr, walk.time, walk.neighbours, node, other, upto, found)
    if size:
        found = np.empty(size, dtype=np.int64)
        edges_joining(walk.indptr, walk.time, walk.neighbours, node, other, upto, found)
    return found
