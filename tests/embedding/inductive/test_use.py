"""Newcomers are ranked by what is known of them, and matched by id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_ROW
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.inductive_scorer import scorer_for
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.evaluation.slices import history_lengths
from sargraph.evaluation.slices_known import item_slices, user_slices
from sargraph.events.split import TEST, SplitConfig, requests_for, split_events
from sargraph.graph.build import build_graph
from sargraph.testing.newcomer_cases import (
    FAST,
    ITEMS,
    LATER,
    NEW_USERS,
    OLD,
    USERS,
    WORLD,
    asked,
    share_of_right_pairs,
)
from sargraph.testing.newcomers import (
    KNOWN,
    SIZES,
)


def test_newcomers_are_ranked_by_their_topic(placed: Embeddings) -> None:
    scorer, known_items = scorer_for(placed, WORLD), ITEMS[: KNOWN["item"]]
    assert share_of_right_pairs(scorer, NEW_USERS, known_items) > 0.9
    assert share_of_right_pairs(scorer, USERS[60:], known_items) > 0.9  # chose new items alone
    assert share_of_right_pairs(scorer, USERS[:48], ITEMS[48:64]) > 0.9
    for search in (False, True):  # by the text alone
        assert share_of_right_pairs(scorer, USERS[:48], ITEMS[64:68], search) > 0.8


@pytest.mark.parametrize("name", ["uditsr", "uditsr by vectors", "bpr", "lightgcn", "transe"])
def test_places_tell_more_than_the_mean_vector(name: str, trained: Embeddings) -> None:
    """Of UDITSR with its words, and without virtual queries, where nothing but vectors tells."""
    made = trained
    if name != "uditsr":
        more = {"virtual_query": "none"} if name == "uditsr by vectors" else {}
        made = train(build_graph(OLD), name.split()[0], {**FAST, **more}, seed=1)
    placed = made.embed_new(WORLD)
    arrays = {**placed.weights, "user": placed.tables["user"].copy()}
    for array in ("user", *("user_embedding.weight",) * ("user_terms" in arrays)):
        arrays[array] = arrays[array].copy()
        arrays[array][KNOWN["user"] :] = arrays[array][: KNOWN["user"]].mean(axis=0)
    if "user_terms" in arrays:
        arrays["user_terms"] = np.where(np.arange(64)[:, None] < 48, arrays["user_terms"], -1)
    tables = {**placed.tables, "user": arrays.pop("user")}
    by_mean = replace(placed, tables=tables, weights=arrays)
    by_place, by_mean_vector = (
        share_of_right_pairs(scorer_for(each, WORLD), NEW_USERS, ITEMS[: KNOWN["item"]])
        for each in (placed, by_mean)
    )
    assert by_place > 0.85
    assert 0.3 < by_mean_vector < 0.7


def test_hot_warm_and_cold_can_be_judged(trained: Embeddings) -> None:
    """The report's states are the slices of an evaluation of those who came later."""
    split = split_events(WORLD, SplitConfig(cuts=(LATER, LATER + 2)))
    placed = trained.embed_new(WORLD, split=split)
    requests = requests_for(WORLD, split, TEST, "recommend")
    has_history = history_lengths(WORLD, split.visible, requests) > 0
    slices = user_slices(WORLD, split.is_train, has_history, requests)
    slices |= item_slices(WORLD, split.is_train, requests)
    assert slices["user hot"].any() and slices["item hot"].any()
    candidates = np.tile(ITEMS, (len(requests), 1))
    scores = scorer_for(placed, WORLD).score(requests, candidates)
    ranks = (scores > np.take_along_axis(scores, requests.target[:, None], 1)).sum(1)
    of_new = {"user": requests.user >= KNOWN["user"], "item": requests.target >= KNOWN["item"]}
    for kind, new in of_new.items():
        rows = new & slices[f"{kind} hot"]  # trained in the new events, placed by embed_new
        assert rows.sum() > 10
        assert ranks[rows].mean() < len(ITEMS) / 3


def test_scores_are_matched_by_id(placed: Embeddings) -> None:
    scorer, plain = scorer_for(placed, WORLD), scorer_of(placed)
    user, item, query = 3, 50, 2
    rows = [placed.vocabularies[kind].row(WORLD.vocabularies[kind].ids[row])
            for kind, row in (("user", user), ("item", item), ("query", query))]  # fmt: skip
    assert rows != [user, item, query]
    for own, inner in ((query, rows[2]), (NO_ROW, NO_ROW)):
        ours = scorer.score(asked(np.array([user]), np.array([own])), np.array([[item, -1]]))
        theirs = plain.score(
            asked(np.array([rows[0]]), np.array([inner])), np.array([[rows[1], -1]])
        )
        np.testing.assert_array_equal(ours, theirs)
        assert ours[0, 1] == -np.inf
    with pytest.raises(BadInputError, match="user rows"):
        scorer.score(asked(np.array([SIZES["user"]])), np.array([[0]]))
    with pytest.raises(BadInputError, match="candidate rows"):
        scorer.score(asked(np.array([0])), np.array([[SIZES["item"]]]))


def test_vectors_of_requests_and_items_give_the_scores(once: Callable[[str], Embeddings]) -> None:
    scorer = scorer_for(once("bpr").embed_new(WORLD), WORLD)
    requests = asked(USERS)
    expected = scorer.score(requests, np.tile(ITEMS, (len(USERS), 1)))
    found = scorer.encode(requests) @ scorer.item_vectors().T  # type: ignore[attr-defined]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_same_rows_need_no_matching(trained: Embeddings) -> None:
    assert type(scorer_for(trained, OLD)) is type(scorer_of(trained))


def test_embeddings_can_grow_twice(trained: Embeddings, placed: Embeddings) -> None:
    """Nothing is new the second time."""
    again = placed.embed_new(WORLD)
    for kind, table in placed.tables.items():
        np.testing.assert_array_equal(again.tables[kind], table)
        counts = again.report["embed_new"][kind]
        assert (counts["warm"], counts["cold"]) == (0, 0)
