"""What cannot be placed is refused, and what need not be placed stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.embedding.embeddings import Embeddings, unit_rows
from sargraph.embedding.inductive_growth import GROWTHS, growth_of
from sargraph.embedding.inductive_scorer import scorer_for
from sargraph.events.split import SplitConfig, split_events
from sargraph.events.vocabulary import Vocabulary
from sargraph.testing.newcomer_cases import (
    MODELS,
    OLD,
    WORLD,
)
from sargraph.testing.newcomers import (
    KNOWN,
    SIZES,
)


def test_defect_ids_of_another_data_set_are_taken_for_known(trained: Embeddings) -> None:
    others = {kind: Vocabulary([f"x{i}" for i in v.ids]) for kind, v in WORLD.vocabularies.items()}
    with pytest.raises(BadInputError, match="none of the 64 users and 72 items"):
        trained.embed_new(replace(WORLD, vocabularies=others))
    renamed = {**WORLD.vocabularies, "item": Vocabulary(WORLD.items.ids, WORLD.items.ids)}
    with pytest.raises(BadInputError, match="another name, as 'i0': got 'i0', expected 'item 0'"):
        trained.embed_new(replace(WORLD, vocabularies=renamed))


def test_a_few_changed_titles_are_no_other_data_set(trained: Embeddings) -> None:
    names = [f"new {name}" if row < 5 else name for row, name in enumerate(WORLD.items.names)]
    changed = {**WORLD.vocabularies, "item": Vocabulary(WORLD.items.ids, names)}
    placed = trained.embed_new(replace(WORLD, vocabularies=changed))
    assert placed.vocabularies["item"].names[:48] == trained.vocabularies["item"].names


def test_what_cannot_be_embedded_is_refused(
    trained: Embeddings, once: Callable[[str], Embeddings]
) -> None:
    with pytest.raises(ConfigError, match="uditsr"):
        replace(trained, model="uditsr crossfit").embed_new(WORLD)
    with pytest.raises(BadInputError, match="permuted"):
        config = {**trained.config, "virtual_query": "permuted"}
        replace(trained, config=config).embed_new(WORLD)
    bpr = once("bpr")
    with pytest.raises(BadInputError, match=r"a weight 'layer.weight' of shape \(8, 8\)"):
        replace(bpr, weights={"layer.weight": np.ones((8, 8))}).embed_new(WORLD)
    with pytest.raises(BadInputError, match="whose time is ms, expected ordinal"):
        once("uditsr timed").embed_new(replace(WORLD, time_kind="ms"))
    split = split_events(OLD, SplitConfig(cuts=(6, 8)))
    with pytest.raises(BadInputError, match="another split"):
        trained.embed_new(OLD, split=split)
    with pytest.raises(BadInputError, match="16 of the 64 user ids"):
        scorer_for(trained, WORLD)


def test_every_way_to_grow_has_a_case(once: Callable[[str], Embeddings]) -> None:
    assert set(GROWTHS.names()) <= {name.split()[0] for name in MODELS}
    assert growth_of(once("bpr")).__name__ == "Growth"


def test_events_without_anything_new_leave_all_as_it_is(trained: Embeddings) -> None:
    placed = trained.embed_new(OLD)
    for name, weight in trained.weights.items():
        np.testing.assert_array_equal(placed.weights[name], weight)
    assert placed.vocabularies == trained.vocabularies
    assert placed.query_terms.values.tolist() == trained.query_terms.values.tolist()


def test_a_log_without_texts_or_searches_places_by_choices(trained: Embeddings) -> None:
    clicks = WORLD.select(WORLD.is_recommend)
    bare = replace(
        clicks,
        item_terms=Ragged.from_lists([[]] * SIZES["item"]),
        categories=None,
        follows=None,
    )
    placed = trained.embed_new(bare)
    row = placed.vocabularies["user"].row("u48")
    items = [placed.tables["item"][placed.vocabularies["item"].row(bare.items.ids[i])]
             for i in bare.item[bare.user == 48] if i < KNOWN["item"]]  # fmt: skip
    np.testing.assert_allclose(placed.tables["user"][row], np.mean(items, axis=0), rtol=1e-5)
    assert unit_rows(placed.tables["user"]).any(axis=1).all()
    assert placed.report["embed_new"]["item"]["cold"] == 8
