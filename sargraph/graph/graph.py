"""`Graph`: typed nodes and edges with times, seen as CSR from either side."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sargraph.core.artifact import read_manifest, writing
from sargraph.core.errors import DataError, nearest
from sargraph.core.ragged import Ragged
from sargraph.core.table import (
    read_columns,
    read_ragged,
    read_tensors,
    write_columns,
    write_ragged,
    write_tensors,
)
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, FloatArray, IntArray
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.csr import CSR, build_csr

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    from scipy.sparse import csr_array
    from torch_geometric.data import HeteroData

EdgeType: TypeAlias = tuple[str, str, str]

CLICKED: EdgeType = ("user", "clicked", "item")
FOUND: EdgeType = ("user", "found", "item")
ISSUED: EdgeType = ("user", "issued", "query")
LED_TO: EdgeType = ("query", "led_to", "item")
CONTAINS: EdgeType = ("query", "contains", "term")
FOLLOWS: EdgeType = ("user", "follows", "user")
SIMILAR_TO: EdgeType = ("user", "similar_to", "user")
BELONGS_TO: EdgeType = ("item", "belongs_to", "category")


@dataclass(frozen=True)
class EdgeTable:
    """All edges of one type.

    `from_row`, `to_row` int64 [E]; `time` int64 [E] (NO_TIME = background); `weight` float32 [E];
    `query` int64 [E] (-1 = none); `position` int64 [E] (-1 = unknown); `event` int64 [E], the row
    of the event an edge came from (-1 = none).
    """

    from_row: IntArray
    to_row: IntArray
    time: IntArray
    weight: FloatArray
    query: IntArray
    position: IntArray
    event: IntArray

    def __len__(self) -> int:
        return len(self.from_row)

    @classmethod
    def of(cls, from_row: IntArray, to_row: IntArray, **columns: Any) -> EdgeTable:
        """A table from its end points; a column not given is background, weight 1 or "none".

        Values are converted to the column's type. Raises TypeError for an unknown column.
        """
        given: dict[str, Any] = {"from_row": from_row, "to_row": to_row, **columns}
        defaults = {"time": NO_TIME, "weight": 1.0, "query": NO_ROW, "position": NO_ROW}
        for name, value in {**defaults, "event": NO_ROW}.items():
            given.setdefault(name, np.full(len(from_row), value))
        kinds = {name: np.float32 if name == "weight" else np.int64 for name in given}
        arrays: Any = {name: np.asarray(given[name], dtype=kinds[name]) for name in given}
        return cls(**arrays)

    def take(self, rows: Any) -> EdgeTable:
        """The given edges (rows, mask or slice), every column alike."""
        return EdgeTable(**{name: column[rows] for name, column in vars(self).items()})


@dataclass(frozen=True)
class VirtualQueries:
    """The virtual query of each `clicked` edge.

    `vector` float32 [E, dim] (the demand intent); `queries` and `terms` int64 [E, k], rows of the
    nearest real queries and terms, best first (-1 = none); `confidence` float32 [E], the cosine
    with the nearest query; `model` the name of the model that made them.
    """

    vector: FloatArray
    queries: IntArray
    terms: IntArray
    confidence: FloatArray
    model: str

    def take(self, rows: Any) -> VirtualQueries:
        """The virtual queries of the given clicked edges (rows, mask or slice)."""
        arrays = {name: value[rows] for name, value in vars(self).items() if name != "model"}
        return VirtualQueries(**arrays, model=self.model)


@dataclass(frozen=True)
class Graph:
    """A heterogeneous user-query-item graph made of training events only.

    `edges` maps (source, verb, target) to its table; the reverse of a type (`rev_` + verb) is a
    view, never stored. `cut`: every timed edge is strictly before it (NO_TIME where the split is
    not by time). `parents` maps roles to content hashes.
    """

    vocabularies: dict[str, Vocabulary]
    edges: dict[EdgeType, EdgeTable]
    query_terms: Ragged
    item_terms: Ragged
    name: str = "graph"
    time_kind: str = "ms"
    cut: int = NO_TIME
    virtual: VirtualQueries | None = None
    parents: dict[str, str] = field(default_factory=dict)
    content_hash: str = ""

    @property
    def num_nodes(self) -> dict[str, int]:
        """Number of nodes of each type."""
        return {kind: len(vocabulary) for kind, vocabulary in self.vocabularies.items()}

    def csr(self, edge_type: EdgeType, *, reverse: bool = False) -> CSR:
        """Edges grouped by their start (or, reversed, by their end), sorted by time inside.

        Raises DataError for a type that is not in the graph. Cost: one counting sort, and a sort of
        the neighbours that are not in time order.
        """
        if edge_type not in self.edges:
            known = ["-".join(kind) for kind in self.edges]
            name = "-".join(edge_type)
            raise DataError(f"no edge type {name} in this graph; {nearest(name, known)}")
        table, sizes = self.edges[edge_type], self.num_nodes
        ends = [(table.from_row, sizes[edge_type[0]]), (table.to_row, sizes[edge_type[2]])]
        (start, num_starts), (end, num_ends) = ends[::-1] if reverse else ends
        return build_csr(start, end, table.time, num_starts, num_ends)

    def as_of(self, time: int) -> Graph:
        """The graph as it was known just before `time`: background edges and those before it.

        Nodes, vocabularies and parents stay, virtual queries go with their clicked edges, and the
        cut is the earlier of the two. NO_TIME leaves the background. The result is no saved
        artefact (no content hash). Cost: one pass over the edges, and a copy of those that stay.
        """
        kept = {kind: _is_known(table, time) for kind, table in self.edges.items()}
        edges = {kind: table.take(kept[kind]) for kind, table in self.edges.items()}
        virtual = self.virtual
        if virtual is not None and CLICKED in kept:
            virtual = virtual.take(kept[CLICKED])
        cut = time if self.cut == NO_TIME else min(self.cut, time)
        return replace(self, edges=edges, virtual=virtual, cut=cut, content_hash="")

    def save(self, path: Path | str, *, config: dict[str, Any] | None = None) -> Graph:
        """Write the artefact; returns the graph with its content hash.

        Raises ArtifactError where the folder holds something else or cannot be written. Cost: one
        pass over the edges.
        """
        about = {
            "name": self.name,
            "time_kind": self.time_kind,
            "cut": self.cut,
            "node_types": list(self.vocabularies),
            "edge_types": [list(t) for t in self.edges],
            "build": config or {},
            "virtual_model": self.virtual.model if self.virtual else None,
        }
        with writing(path, "graph", config=about, parents=self.parents) as folder:
            for kind, vocabulary in self.vocabularies.items():
                vocabulary.save(folder / f"{kind}.parquet")
            for edge_type, table in self.edges.items():
                write_columns(folder / f"{'-'.join(edge_type)}.parquet", vars(table))
            write_ragged(folder / "query_terms.parquet", self.query_terms)
            write_ragged(folder / "item_terms.parquet", self.item_terms)
            if self.virtual is not None:
                tensors = {k: v for k, v in vars(self.virtual).items() if k != "model"}
                write_tensors(folder / "virtual.safetensors", tensors)
        return replace(self, content_hash=read_manifest(path, verify=False).content_hash)

    @classmethod
    def load(cls, path: Path | str) -> Graph:
        """Read the artefact, every file checked by its hash. Raises ArtifactError. Cost: a pass."""
        manifest = read_manifest(path, "graph")
        folder = Path(path)
        about = manifest.config
        edges: dict[EdgeType, EdgeTable] = {}
        for source, verb, target in about["edge_types"]:
            columns: Any = read_columns(folder / f"{source}-{verb}-{target}.parquet")
            edges[(source, verb, target)] = EdgeTable(**columns)
        virtual = None
        if about["virtual_model"]:
            tensors: Any = read_tensors(folder / "virtual.safetensors")
            virtual = VirtualQueries(**tensors, model=about["virtual_model"])
        return cls(
            vocabularies={
                kind: Vocabulary.load(folder / f"{kind}.parquet") for kind in about["node_types"]
            },
            edges=edges,
            query_terms=read_ragged(folder / "query_terms.parquet"),
            item_terms=read_ragged(folder / "item_terms.parquet"),
            name=about["name"],
            time_kind=about["time_kind"],
            cut=about["cut"],
            virtual=virtual,
            parents=manifest.parents,
            content_hash=manifest.content_hash,
        )

    def to_pyg(self) -> HeteroData:
        """The graph as PyG `HeteroData`, forward and reverse edge types."""
        from sargraph.graph.interop import to_pyg

        return to_pyg(self)

    def to_networkx(self) -> nx.MultiDiGraph:
        """The graph as a NetworkX MultiDiGraph with nodes (type, id)."""
        from sargraph.graph.interop import to_networkx

        return to_networkx(self)

    def to_scipy(self, edge_type: EdgeType) -> csr_array:
        """One edge type as a SciPy CSR array [sources, targets]; parallel edges add up."""
        from sargraph.graph.interop import to_scipy

        return to_scipy(self, edge_type)

    def describe(self) -> pd.DataFrame:
        """One line per edge type: counts, degrees, times."""
        from sargraph.graph.describe import describe_graph

        return describe_graph(self)


def _is_known(table: EdgeTable, time: int) -> BoolArray:
    """True for background edges and for those strictly before `time`."""
    return np.asarray((table.time < time) | (table.time == NO_TIME))
