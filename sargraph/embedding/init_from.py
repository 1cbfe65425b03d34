"""Vectors to start a sequence model from, and which training targets it may then be asked for.

A sequence model whose tables come from a graph that holds its own training targets sees its labels:
in the graph the user's row was pulled towards the very item that the loss asks for. The three ways:

- "graph", the naive form: one graph of all training events, loss on all of them.
- "earlier": the graph from the first 70 % of training time, loss on the rest. No row knows any
  target.
- "crossfit": K graphs by user fold. Graph f holds all training events but the last 30 % of those of
  the users in fold f; a user's row comes from the graph without the user's own targets. Each
  training has a space of its own, so the tables are rotated onto those of the first by orthogonal
  Procrustes on the items that both learned (`align`). Loss on the last 30 % of every user.
  A weaker leak remains: an item's row is the mean over the K aligned tables, K - 1 of which were
  trained with the edge (u, i) that a target asks for. Of the d edges of an item the target is
  1 / d, and in the mean its weight is (K - 1) / (K d): for popular items nothing, for an item of
  one edge up to half of it with K = 2, which is why K is small.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sargraph.core.config import Config
from sargraph.core.errors import BadInputError
from sargraph.core.rng import make_rng
from sargraph.core.types import BoolArray, FloatArray, IntArray
from sargraph.embedding.align import aligned, mean_rows
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.init_splits import InitSplit, earlier_split, held_out_of_users
from sargraph.embedding.train import train as train_embeddings
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.graph.build import GraphConfig, build_graph
from sargraph.graph.graph import Graph
from sargraph.graph.targets import targets_in_graph

Settings = dict[str, Any] | Config | None


@runtime_checkable
class Train(Protocol):
    """What trains an embedding model, such as `sargraph.embedding.train.train`."""

    def __call__(self, graph: Graph, model: str, config: Settings, *, seed: int) -> Embeddings:
        """Embeddings of the graph."""
        ...


@dataclass(frozen=True)
class InitFrom:
    """Vectors to start from, and what their use costs.

    `loss_on` bool [events]: the training events that may be targets of the loss; give it to the
    fit. `share_of_targets_in_graph`: share of these targets whose pair is an edge of the graph
    that the user's row came from (see `targets_in_graph`); `report` has more (the share by event,
    and for crossfit the share that item rows know and how well the tables were aligned).
    `splits`: the split of each graph, for `audit`.
    """

    embeddings: Embeddings
    loss_on: BoolArray
    share_of_targets_in_graph: float
    splits: tuple[Split, ...]
    report: dict[str, Any] = field(default_factory=dict)


def init_embeddings(
    events: Events,
    split: Split,
    model: str = "uditsr",
    config: Settings = None,
    how: str = "earlier",
    *,
    seed: int = 0,
    train: Train = train_embeddings,
    graph: GraphConfig | None = None,
    num_folds: int = 2,
) -> InitFrom:
    """Train embeddings on a graph that leaves the later loss something to predict.

    `how` is "graph", "earlier" or "crossfit" (see the module); `graph` are the settings of the
    graph, `num_folds` the K of crossfit. Crossfitted tables belong to no single network: their
    model is named `<model> crossfit`, which has no scorer.
    Raises BadInputError for an unknown `how`, fewer than two folds, or too few training events to
    cut. Cost: one training, K of them for crossfit.
    """
    fold = _folds(len(events.users), num_folds, seed)
    pieces = _pieces(events, split, how, fold, seed)
    graphs = [build_graph(events, piece.graph, config=graph) for piece in pieces]
    trained = [train(each, model, config, seed=seed) for each in graphs]
    shares = _Shares.of(events, pieces, graphs)
    report: dict[str, Any] = {"targets": shares.targets, "by_event": shares.by_event}
    found = trained[0]
    if how == "crossfit":
        found, unaligned = _joined(graphs, trained, fold)
        report |= {"by_event_in_item_rows": shares.in_item_rows, "unaligned": unaligned}
        found = replace(found, report={**report, "stopped": _stopped(trained)})
    loss_on = loss_targets(events, split, how, seed=seed, num_folds=num_folds)
    # Parts of training only: what the given split holds out is held out from every graph.
    found = replace(found, parents={**found.parents, "split": split.content_hash})
    return InitFrom(found, loss_on, shares.by_pair, tuple(p.graph for p in pieces), report)


def loss_targets(
    events: Events, split: Split, how: str, *, seed: int = 0, num_folds: int = 2
) -> BoolArray:
    """The `loss_on` of `init_embeddings` with the same arguments, without a training."""
    pieces = _pieces(events, split, how, _folds(len(events.users), num_folds, seed), seed)
    return np.logical_or.reduce([piece.loss_on for piece in pieces])


def check_init_gain(train_gain: float, valid_gain: float, factor: float = 2.0) -> str | None:
    """A warning where a start helps the training data more than `factor` times what it helps new.

    The gains are those of the model that starts from the graph over the one that does not, on its
    own training data and on validation (of a loss, its fall). None where there is nothing to say.
    """
    if not train_gain > 0 or np.isnan(valid_gain) or train_gain <= factor * valid_gain:
        return None
    times = f"{train_gain / valid_gain:.1f} times" if valid_gain > 0 else "and not at all"
    return (
        f"the graph start gains {train_gain:.4f} on training data, {times} the {valid_gain:.4f} on "
        "validation: the graph knows the training targets; start with how = 'earlier' or 'crossfit'"
    )


def _stopped(trained: list[Embeddings]) -> str:
    """Why the trainings stopped: time, where it ended any of them."""
    reasons = [str(each.report.get("stopped", "")) for each in trained]
    return "time" if "time" in reasons else reasons[0]


def _folds(num_users: int, num_folds: int, seed: int) -> IntArray:
    """The fold of each user, int64 [users], folds of equal size."""
    if num_folds < 2:
        raise BadInputError(f"got {num_folds} folds, expected at least 2")
    return make_rng(seed, "init", "folds").permutation(num_users) % num_folds


def _pieces(events: Events, split: Split, how: str, fold: IntArray, seed: int) -> list[InitSplit]:
    """What makes each graph and what its loss asks for."""
    if how == "graph":
        return [InitSplit(split, split.is_train)]
    if how == "earlier":
        return [earlier_split(events, split, seed=seed)]
    if how == "crossfit":
        folds = range(int(fold.max()) + 1)
        return [held_out_of_users(events, split, fold == number, seed=seed) for number in folds]
    raise BadInputError(f"got how = '{how}', expected 'graph', 'earlier' or 'crossfit'")


@dataclass(frozen=True)
class _Shares:
    """Shares of all targets that are edges of the graph of their fold, or of the average graph."""

    targets: int
    by_pair: float
    by_event: float
    in_item_rows: float

    @classmethod
    def of(cls, events: Events, pieces: list[InitSplit], graphs: list[Graph]) -> _Shares:
        rows = [np.flatnonzero(piece.loss_on & events.is_positive) for piece in pieces]
        sizes = [len(own) for own in rows]
        found = []
        for own, graph in zip(rows, graphs, strict=True):
            anywhere = [targets_in_graph(each, events, own, "event") for each in graphs]
            by_event = targets_in_graph(graph, events, own, "event")
            found.append((targets_in_graph(graph, events, own), by_event, np.mean(anywhere)))
        means = np.average(np.array(found), axis=0, weights=sizes)
        return cls(sum(sizes), *(float(mean) for mean in means))


def _joined(
    graphs: list[Graph], trained: list[Embeddings], fold: IntArray
) -> tuple[Embeddings, list[float]]:
    """One set of tables: each user's row from the graph of its fold, means of all other rows."""
    learned = {kind: [_touched(graph, kind) for graph in graphs] for kind in trained[0].tables}
    tables, unaligned = aligned([each.tables for each in trained], learned["item"])
    joined: dict[str, FloatArray] = {
        kind: mean_rows([each[kind] for each in tables], learned[kind]) for kind in tables[0]
    }
    joined["user"] = np.stack([each["user"] for each in tables])[fold, np.arange(len(fold))]
    name = f"{trained[0].model} crossfit"
    found = replace(
        trained[0], tables=joined, model=name, weights={}, content_hash="", parents={}, history=[]
    )
    return found, unaligned


def _touched(graph: Graph, kind: str) -> BoolArray:
    """True for nodes of a type that an edge of the graph touches."""
    found = np.zeros(graph.num_nodes[kind], dtype=np.bool_)
    for (source, _, target), table in graph.edges.items():
        for end, rows in ((source, table.from_row), (target, table.to_row)):
            if end == kind:
                found[rows] = True
    return found
