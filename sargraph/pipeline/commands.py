"""Commands that need more than one call of the library, from logs to the graph and the index.

Apart from `models`, so that a command which needs no network does not load one. The split of saved
events is one and the same in every command, whatever seed a model has: else a graph would hold the
targets by which another command judges.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sargraph.core.config import apply_overrides, parse_config
from sargraph.core.errors import BadInputError, DataError
from sargraph.events.describe import describe_events
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.simulate import SimulateConfig, simulate
from sargraph.events.simulation.published import compare_with_published, mean_distance
from sargraph.events.split import split_events
from sargraph.graph.audit import audit
from sargraph.graph.build import GraphConfig, build_graph
from sargraph.graph.graph import Graph
from sargraph.neighbours.build import build_index
from sargraph.neighbours.index import UserIndex
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.neighbours import Neighbours

log = logging.getLogger("sargraph")


def simulate_world(
    out: Path,
    num_users: int | None,
    num_days: int | None,
    seed: int,
    preset: str = "planted",
    format: str = "kuaisar",
    settings: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the raw logs of a named world, changed where asked; the counts and click rates."""
    given = {"num_users": num_users, "num_days": num_days}
    changes = apply_overrides({k: v for k, v in given.items() if v is not None}, settings)
    written: Any = "csv" if format == "kuaisar" else format
    summary = simulate(out, SimulateConfig.preset(preset, **changes), format=written, seed=seed)
    found = {
        **vars(summary),
        "recommendation_click_rate": summary.recommendation_click_rate,
        "search_click_rate": summary.search_click_rate,
    }
    return {**found, **_distance(out, written)} if preset == "kuaisar" else found


def _distance(logs: Path, format: str) -> dict[str, float]:
    """How far the overlaps of simulated logs lie from the twelve published ones, on the mean.

    NaN, and a line in the log, where the logs of a tiny world hold too little to compare.
    """
    try:
        events = ingest("synthetic_parquet" if format == "parquet" else "synthetic", logs)
        points = mean_distance(compare_with_published(events))
    except DataError as error:
        log.warning("the distance from the published overlaps could not be measured: %s", error)
        points = float("nan")
    return {"points_from_the_twelve_published_overlaps": points}


def ingest_logs(
    recipe: str,
    source: Path,
    out: Path,
    seed: int,
    settings: Sequence[str],
    memory_limit: str,
    threads: int,
) -> pd.DataFrame:
    """Read raw logs into saved events and describe them."""
    events = ingest(
        recipe, source, out, seed=seed, overrides=settings,
        memory_limit=memory_limit, threads=threads,
    )  # fmt: skip
    return describe_events(events)


def build_from(
    events_path: Path, out: Path, everything: bool, settings: Sequence[str] = ()
) -> Graph:
    """Build and save a graph of the training events, or of all events."""
    events = Events.load(events_path)
    config = parse_config(GraphConfig, apply_overrides({}, settings), "settings of the graph")
    split = None if everything else split_events(events)
    graph = build_graph(events, split, config=config)
    if split is not None:
        audit(graph, events, split).refuse()
    return graph.save(out, config=config.model_dump(mode="json"))


def index_from(
    events_path: Path, out: Path, everything: bool = False, settings: Sequence[str] = ()
) -> UserIndex:
    """Profile the users of saved events by their training part, or by all, and save the index."""
    events = Events.load(events_path)
    config = parse_config(IndexConfig, apply_overrides({}, settings), "settings of the index")
    split = None if everything else split_events(events)
    return build_index(events, split, config=config).save(out)


def similar_from(
    index_path: Path, user_id: str | None, history: Path | None, k: int, fast: bool
) -> tuple[str, Neighbours]:
    """A title and the users most like one of the index, or like the history in a CSV file.

    The title says why there are none. Raises BadInputError unless one of both is given.
    """
    if (user_id is None) == (history is None):
        raise BadInputError("expected a USER_ID or --history FILE, one of both")
    index = UserIndex.load(index_path)
    exact = False if fast else None
    if history is None:
        found, whom = index.similar(str(user_id), k, exact=exact), str(user_id)
    else:
        found, whom = index.similar_to(_read_history(history), k, exact=exact), str(history)
    title = f"users similar to {whom}"
    if found.num_unknown:
        title += f" ({found.num_unknown} entries of the history are not in the index)"
    return (f"{title}: {found.reason}" if found.reason else title), found


def _read_history(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"item_id": str, "query": str})
    except (OSError, ValueError) as error:
        raise BadInputError(f"got history {path}, which cannot be read as CSV ({error})") from None
