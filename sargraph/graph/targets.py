"""How many of a model's training targets are edges of the graph that its vectors came from."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sargraph.core.types import IntArray
from sargraph.events.events import Events
from sargraph.graph.graph import Graph
from sargraph.graph.pairs import pair_keys


def targets_in_graph(
    graph: Graph,
    events: Events,
    rows: IntArray,
    by: Literal["pair", "event"] = "pair",
) -> float:
    """Share of the target events `rows` that are edges of the graph; NaN without any target.

    By "pair" a target counts where an edge of any type, in either direction, joins its user and
    its item: all that a vector can copy, earlier repeats of the same choice included. By "event"
    it counts where an edge came from this very event, so that the answer itself was learned from.
    The event share is at most the pair share. Cost: O(edges log targets).
    """
    if len(rows) == 0:
        return float("nan")
    if by == "event":
        known = [table.event for kind, table in graph.edges.items() if _joins(kind)]
        return float(np.isin(rows, np.concatenate([np.empty(0, np.int64), *known])).mean())
    sizes = len(events.users), len(events.items)
    targets = pair_keys(events.user[rows], events.item[rows], *sizes)
    found = np.zeros(len(rows), dtype=np.bool_)
    for kind, table in graph.edges.items():
        if _joins(kind):
            ends = {kind[0]: table.from_row, kind[2]: table.to_row}
            found |= np.isin(targets, pair_keys(ends["user"], ends["item"], *sizes))
    return float(found.mean())


def _joins(edge_type: tuple[str, str, str]) -> bool:
    return {edge_type[0], edge_type[2]} == {"user", "item"}
