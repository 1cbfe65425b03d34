"""`audit`: does the graph hold anything that validation or test must not see?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.split import TEST, VALID, Split
from sargraph.graph.graph import (
    BELONGS_TO,
    CLICKED,
    CONTAINS,
    FOUND,
    ISSUED,
    LED_TO,
    EdgeTable,
    EdgeType,
    Graph,
)
from sargraph.graph.interop import FEATURES, REVERSE, reverse_of
from sargraph.graph.pairs import pair_keys

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

FROM_EVENTS = (CLICKED, FOUND, ISSUED, LED_TO)
"""Edge types whose every edge must name the event it came from."""

RELATIONS = (CONTAINS, BELONGS_TO)
"""Edge types that are facts about a text or an item and so have no time."""


@dataclass(frozen=True)
class Finding:
    """One kind of leak in one edge type: how many edges, and the row of the first."""

    rule: str
    edge_type: EdgeType
    num_edges: int
    first: int


@dataclass(frozen=True)
class LeakAudit:
    """What the audit found; `num_edges` is the number of forward edges looked at."""

    findings: tuple[Finding, ...]
    num_edges: int

    @property
    def ok(self) -> bool:
        """True where nothing was found."""
        return not self.findings

    def refuse(self) -> None:
        """Do nothing where nothing was found. Raises DataError that names each broken rule."""
        if self.findings:
            rules = "; ".join(sorted({finding.rule for finding in self.findings}))
            raise DataError(f"the graph knows of held-out events ({rules}); build it from a split")

    def to_frame(self) -> pd.DataFrame:
        """One line per finding."""
        columns = ["rule", "edge_type", "num_edges", "first"]
        rows = [(f.rule, "-".join(f.edge_type), f.num_edges, f.first) for f in self.findings]
        return pd.DataFrame(rows, columns=columns)


def audit(
    graph: Graph, events: Events, split: Split, *, hetero: HeteroData | None = None
) -> LeakAudit:
    """Look for edges that know of held-out events; finds, never raises.

    Rules, per edge type: an edge comes from an event that is not training; an edge of the four
    behaviour types names no event, or an edge differs from the event it names (so that a leak
    cannot hide behind a training event); a timed edge is at or after the validation cut; an edge
    of `contains` or `belongs_to`, which state facts, has a time; with `split.twins` an edge joins,
    or comes from an event on, the (user, item) pair of a target; a reversed type is stored, or in
    `hetero` (default: `graph.to_pyg()`) holds anything but the flipped forward edges.
    Cost: O(edges log targets) and one PyG copy of the graph.
    """
    findings: list[Finding] = []
    for edge_type, table in graph.edges.items():
        for rule, is_leak in _rules(events, split, edge_type, table).items():
            leaks = np.flatnonzero(is_leak)
            if len(leaks):
                findings.append(Finding(rule, edge_type, len(leaks), int(leaks[0])))
    findings += _reverse_findings(graph, graph.to_pyg() if hetero is None else hetero)
    return LeakAudit(tuple(findings), sum(map(len, graph.edges.values())))


def _rules(
    events: Events, split: Split, edge_type: EdgeType, table: EdgeTable
) -> dict[str, BoolArray]:
    """For each rule the edges that break it, bool [E]."""
    named = table.event != NO_ROW
    known = np.flatnonzero(named & (table.event >= 0) & (table.event < len(events)))
    differs = named.copy()
    differs[known] = _differs(events, edge_type, table.take(known))
    rules = {
        "from a held-out event": _spread(known, ~split.is_train[table.event[known]], len(table)),
        "differs from its event": differs,
        "names no event": ~named & (edge_type in FROM_EVENTS),
        "a relation without events has a time": (table.time != NO_TIME) & (edge_type in RELATIONS),
        "reversed edges are stored": np.full(len(table), edge_type[1].startswith(REVERSE)),
    }
    if split.cut_valid != NO_TIME:
        rules["at or after the cut"] = table.time >= split.cut_valid
    if split.twins:
        by_event = _is_target_pair(
            events, split, events.user[table.event[known]], events.item[table.event[known]]
        )
        rules["on the pair of a target"] = _spread(known, by_event, len(table))
        if {edge_type[0], edge_type[2]} == {"user", "item"}:
            ends = {edge_type[0]: table.from_row, edge_type[2]: table.to_row}
            by_ends = _is_target_pair(events, split, ends["user"], ends["item"])
            rules["on the pair of a target"] |= by_ends
    return rules


def _spread(rows: IntArray, values: BoolArray, length: int) -> BoolArray:
    """The values at their rows, False elsewhere."""
    result = np.zeros(length, dtype=np.bool_)
    result[rows] = values
    return result


def _differs(events: Events, edge_type: EdgeType, table: EdgeTable) -> BoolArray:
    """True where an end point or a column of an edge is not its event's.

    A weight may tell as much as an end: a count over all events knows the held-out ones.
    """
    event = table.event
    differs = table.time != events.time[event]
    for name in ("weight", "position"):
        differs |= getattr(table, name) != events.columns[name][event]
    differs |= (table.query != NO_ROW) & (table.query != events.query[event])
    for kind, rows in ((edge_type[0], table.from_row), (edge_type[2], table.to_row)):
        if kind in ("user", "item", "query"):
            differs |= rows != events.columns[kind][event]
    return np.asarray(differs)


def _is_target_pair(events: Events, split: Split, user: IntArray, item: IntArray) -> BoolArray:
    """True where (user, item) is the pair of a target of validation or test."""
    sizes = len(events.users), len(events.items)
    is_target = np.isin(split.part, (VALID, TEST)) & events.is_positive
    targets = pair_keys(events.user[is_target], events.item[is_target], *sizes)
    return np.asarray((item != NO_ROW) & np.isin(pair_keys(user, item, *sizes), targets))


def _reverse_findings(graph: Graph, hetero: HeteroData) -> list[Finding]:
    """Types of `hetero` that are not exactly the forward edges, or their flip."""
    expected = {t: (t, False) for t in graph.edges}
    expected |= {reverse_of(t): (t, True) for t in graph.edges}
    findings = []
    for edge_type in hetero.edge_types:
        if edge_type not in expected:
            num_edges = int(hetero[edge_type].edge_index.shape[1])
            findings.append(Finding("unknown edge type in PyG", edge_type, num_edges, 0))
            continue
        forward, flipped = expected[edge_type]
        table = graph.edges[forward]
        wrong = _unequal_edges(table, hetero[edge_type], flipped=flipped)
        if len(wrong):
            rule = "reverse differs from forward" if flipped else "PyG differs from the graph"
            findings.append(Finding(rule, edge_type, len(wrong), int(wrong[0])))
    return findings


def _unequal_edges(table: EdgeTable, store: object, *, flipped: bool) -> IntArray:
    """Edges of a PyG store that are not the table's edge of the same place."""
    index = store.edge_index.numpy()  # type: ignore[attr-defined]
    ends = (table.to_row, table.from_row) if flipped else (table.from_row, table.to_row)
    columns = [(ends[0], index[0]), (ends[1], index[1])]
    columns += [(getattr(table, name), store[name].numpy()) for name in FEATURES]  # type: ignore[index]
    shared = min(len(table), *(len(there) for _, there in columns))
    unequal = np.zeros(max(len(table), *(len(there) for _, there in columns)), dtype=bool)
    unequal[shared:] = True
    for here, there in columns:
        unequal[:shared] |= here[:shared] != there[:shared]
    return np.flatnonzero(unequal)
