"""Events from a time on, and outside the training part of a split, tell nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.types import NO_TIME
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.events import Events
from sargraph.events.split import SplitConfig, split_events
from sargraph.graph.build import ALL_EVENTS
from sargraph.testing.newcomer_cases import (
    LATER,
    WORLD,
)


def later_events_changed(seed: int) -> Events:
    """The same until `LATER`; after it other items, queries and sources, or nothing at all."""
    rng = np.random.default_rng(seed)
    late = WORLD.time >= LATER
    if seed == 0:
        return WORLD.select(~late)
    columns = {name: column.copy() for name, column in WORLD.columns.items()}
    for name in ("item", "query", "source"):
        columns[name][late] = rng.permutation(columns[name][late])
    return replace(WORLD, columns=columns)


@pytest.mark.parametrize("name", ["uditsr", "uditsr timed", "transe"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_later_events_change_nothing(
    name: str, seed: int, once: Callable[[str], Embeddings]
) -> None:
    first, second = (
        once(name).embed_new(events, as_of=LATER) for events in (WORLD, later_events_changed(seed))
    )
    for kind, table in first.tables.items():
        np.testing.assert_array_equal(table, second.tables[kind])
    for weight, array in first.weights.items():
        np.testing.assert_array_equal(array, second.weights[weight])
    assert not np.array_equal(first.tables["user"], once(name).embed_new(WORLD).tables["user"]), (
        "later events would have told something"
    )


def test_events_without_a_time_are_before_every_time(trained: Embeddings) -> None:
    columns = {**WORLD.columns, "time": np.full(len(WORLD), NO_TIME)}
    untimed = trained.embed_new(replace(WORLD, columns=columns), as_of=0)
    np.testing.assert_array_equal(untimed.tables["user"], trained.embed_new(WORLD).tables["user"])


def test_only_the_training_events_of_a_split_are_read(trained: Embeddings) -> None:
    split = split_events(WORLD, SplitConfig(cuts=(LATER, LATER + 2)))
    by_split, by_time = trained.embed_new(WORLD, split=split), trained.embed_new(WORLD, as_of=LATER)
    np.testing.assert_array_equal(by_split.tables["user"], by_time.tables["user"])
    assert by_split.parents["split"] == split.content_hash
    assert trained.embed_new(WORLD).parents["split"] == ALL_EVENTS
    assert by_time.parents["split"] not in (ALL_EVENTS, split.content_hash)
    assert by_split.parents["events"] == WORLD.content_hash
