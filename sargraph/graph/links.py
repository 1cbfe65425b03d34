"""Sampling around links: both ends, and negatives, in one tree with the link's as-of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.types import NO_TIME, IntArray
from sargraph.graph.fan_out import stored_type
from sargraph.graph.graph import EdgeTable, EdgeType
from sargraph.graph.hide import Exclude, Hidden, read_exclude, united
from sargraph.graph.rows import integers, rows_of
from sargraph.graph.sample import NeighbourSampler
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
    edge: IntArray | None = None,
    negative: IntArray | None = None,
    number: IntArray | None = None,
    exclude: Exclude | None = None,
    epoch: int = 0,
) -> LinkSample:
    """The neighbourhood of each link (source, target) and of its negatives, as of the link's time.

    A link is one tree: its ends and its `negative` target rows [n, k] share nodes. `edge_type` is
    a type of the graph, forward or `rev_` (`source` is then a row of the reversed type's source).
    The edge that a link asks about is hidden where its `as_of` is at most the edge's time. Where
    time cannot hide it (a background edge, or `as_of=None`), every edge of the type between the
    two ends is hidden from the whole batch, in both directions. Where `as_of` is a later time,
    earlier edges between the ends are history and stay: give the links' own edges as `edge`, rows
    int64 [n] in the table of the forward type, which are always hidden from the whole batch. With
    a hidden edge go all edges that name its event, such as `led_to` and `issued` beside `found`.
    Raises DataError for an unknown type, lengths or rows that do not fit, or an `edge` that does
    not join its link. Cost: that of `sample`, and see `own_edges` and `EventTwins`.
    """
    graph = sampler.graph
    forward = stored_type(graph.edges, edge_type, "links")
    source, target, drawn = _checked(source, target, negative)
    time = as_of_times(as_of, len(source))
    seeds = _seeds(edge_type, source, target, drawn, time, number).checked(graph.num_nodes)
    ends = (source, target) if edge_type == forward else (target, source)
    hidden = united(read_exclude(graph, exclude), own_edges(sampler, forward, *ends, time, edge))
    sample = sampler.grow(seeds, exclude=hidden, epoch=epoch)
    places = sample.seeds
    return LinkSample(sample, places[0], places[1], places[2].reshape(drawn.shape))


def _checked(
    source: IntArray, target: IntArray, negative: IntArray | None
) -> tuple[IntArray, IntArray, IntArray]:
    """(source, target, negatives int64 [n, k]); no column where there are no negatives."""
    source, target = integers("sources", source), integers("targets", target)
    none = np.empty((len(source), 0), dtype=np.int64)
    drawn = none if negative is None else integers("negatives", negative)
    if target.shape != source.shape or drawn.ndim != 2 or len(drawn) != len(source):
        raise DataError(
            f"got {len(source)} sources, {len(target)} targets and negatives of shape "
            f"{drawn.shape}, expected as many targets as sources and negatives [links, k]"
        )
    return source, target, drawn


def _seeds(
    edge_type: EdgeType,
    source: IntArray,
    target: IntArray,
    negative: IntArray,
    time: IntArray,
    number: IntArray | None,
) -> Seeds:
    """One tree per link: its source, its target and its negatives."""
    trees = np.arange(len(source), dtype=np.int64)
    names = trees if number is None else integers("numbers of links", number, source.shape)
    starts = (
        (edge_type[0], source, trees),
        (edge_type[2], target, trees),
        (edge_type[2], negative.ravel(), np.repeat(trees, negative.shape[1])),
    )
    return Seeds(starts, time, names)


def own_edges(
    sampler: NeighbourSampler,
    forward: EdgeType,
    source: IntArray,
    target: IntArray,
    time: IntArray,
    edge: IntArray | None,
) -> Hidden:
    """The edges that links of a stored type ask about and their times do not hide, and the twins.

    Background edges between the ends, all edges between them where the time is NO_LIMIT, those
    named by `edge`, and every edge that names the event of one of these. Raises DataError where an
    `edge` does not join its link. Cost: the background neighbours of one end per link (all
    neighbours with NO_LIMIT); once, a CSR of the type where it is not walked.
    """
    upto = np.where(time == NO_LIMIT, NO_LIMIT, NO_TIME + 1)
    own = sampler.walk_of(forward).joining(source, target, upto)
    if edge is not None:
        named = _named(sampler.graph.edges[forward], source, target, edge)
        own = np.concatenate([own, named])
    return sampler.twins.hidden_with(forward, own) if len(own) else {}


def _named(table: EdgeTable, source: IntArray, target: IntArray, edge: IntArray) -> IntArray:
    """The edge rows of links. Raises DataError where one does not join its link's ends."""
    rows = rows_of("edges of the links", edge, len(table), len(source))
    wrong = np.flatnonzero((table.from_row[rows] != source) | (table.to_row[rows] != target))
    if len(wrong):
        first = wrong[0]
        raise DataError(
            f"edge {rows[first]} of link {first} joins {table.from_row[rows[first]]} to "
            f"{table.to_row[rows[first]]}, expected {source[first]} to {target[first]}; give the "
            "rows of the links' own edges"
        )
    return rows
