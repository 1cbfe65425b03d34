"""What a graph looks like: one line per edge type, and a page to open in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sargraph.core.page import Page, cards, paragraph, table
from sargraph.core.types import NO_TIME, IntArray
from sargraph.events.describe import readable_time
from sargraph.graph.graph import EdgeTable, EdgeType, Graph
from sargraph.graph.pairs import pair_keys

if TYPE_CHECKING:
    import plotly.graph_objects as go

NO_VALUE = "-"


def describe_graph(graph: Graph) -> pd.DataFrame:
    """One line per edge type.

    Columns: `edge_type`; `edges`; `pairs` (distinct end points); `sources` and `targets` (nodes
    with at least one edge); mean and maximum number of edges of these nodes, on either side;
    `background` (edges without a time); `earliest` and `latest` time, readable.
    Cost: one sort of the edges per type.
    """
    rows = [_line(graph, edge_type, edges) for edge_type, edges in graph.edges.items()]
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["edge_type"])


def graph_page(graph: Graph, path: Path | str) -> Path:
    """Write a self-contained HTML page: node counts, the table, the degree distribution.

    Returns the path. Cost: that of `describe_graph`.
    """
    kinds = ", ".join(f"{kind} nodes" for kind in graph.num_nodes).capitalize()
    page = Page(f"Graph of {graph.name}", f"{kinds}, and what joins them.")
    counts = [(f"{count:,}", f"{kind} nodes") for kind, count in graph.num_nodes.items()]
    page.section("Nodes", cards(counts))
    cut = readable_time(graph.cut, graph.time_kind)
    page.section(
        "Edges",
        paragraph(
            f"Every timed edge is before the cut: {cut}."
            if graph.cut != NO_TIME
            else "The graph has no common cut in time."
        ),
        table(describe_graph(graph), digits=2),
        paragraph("Background edges have no time and count as before every event.", note=True),
    )
    if graph.edges:
        page.section(
            "Degrees",
            paragraph("Share of the touched source nodes that have at least so many edges."),
            page.plot(degree_plot(graph)),
        )
    return page.save(path)


def degree_plot(graph: Graph) -> go.Figure:
    """For each edge type the share of source nodes with at least x edges, both axes logarithmic."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for edge_type, edges in graph.edges.items():
        degrees, counts = np.unique(_degrees(edges.from_row), return_counts=True)
        if len(degrees):
            share = counts[::-1].cumsum()[::-1] / counts.sum()
            figure.add_scatter(x=degrees, y=share, mode="lines+markers", name=_name(edge_type))
    figure.update_xaxes(type="log", title="edges per node")
    figure.update_yaxes(type="log", title="share of nodes")
    figure.update_layout(template="plotly_white", height=420, margin={"t": 20})
    return figure


def _line(graph: Graph, edge_type: EdgeType, edges: EdgeTable) -> dict[str, Any]:
    sizes = graph.num_nodes
    pairs = np.sort(
        pair_keys(edges.from_row, edges.to_row, sizes[edge_type[0]], sizes[edge_type[2]])
    )
    outgoing, incoming = _degrees(edges.from_row), _degrees(edges.to_row)
    timed = edges.time[edges.time != NO_TIME]
    earliest, latest = (timed.min(), timed.max()) if len(timed) else (NO_TIME, NO_TIME)
    return {
        "edge_type": _name(edge_type),
        "edges": len(edges),
        "pairs": int(np.count_nonzero(np.diff(pairs))) + min(1, len(pairs)),
        "sources": len(outgoing),
        "targets": len(incoming),
        "mean_per_source": _mean(outgoing),
        "max_per_source": int(outgoing.max(initial=0)),
        "mean_per_target": _mean(incoming),
        "max_per_target": int(incoming.max(initial=0)),
        "background": len(edges) - len(timed),
        "earliest": readable_time(int(earliest), graph.time_kind),
        "latest": readable_time(int(latest), graph.time_kind),
    }


def _degrees(rows: IntArray) -> IntArray:
    """Number of edges of each node that has any."""
    counts = np.bincount(rows)
    return counts[counts > 0].astype(np.int64)


def _mean(degrees: IntArray) -> float:
    return float(degrees.mean()) if len(degrees) else 0.0


def _name(edge_type: EdgeType) -> str:
    return " ".join(edge_type)
