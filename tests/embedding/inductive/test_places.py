"""New users, items, queries and terms are placed as plain loops place them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sargraph.core.types import NO_ROW, FloatArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.testing.newcomer_cases import (
    LATER,
    NEW_USERS,
    WORLD,
    by_id,
)
from sargraph.testing.newcomers import (
    KNOWN,
    SIZES,
    naive_places,
)


@pytest.mark.parametrize("as_of", [None, LATER])
def test_places_are_those_of_plain_loops(trained: Embeddings, as_of: int | None) -> None:
    found = trained.embed_new(WORLD, as_of=as_of)
    query = by_id(found, "query", found.tables["query"])
    read = [e for e in range(len(WORLD)) if as_of is None or WORLD.time[e] < as_of]

    def demand(event: int) -> FloatArray | None:
        row = WORLD.query[event]
        return query[WORLD.queries.ids[row]].astype(np.float64) if row != NO_ROW else None

    for space in (
        {"user": trained.tables["user"], "item": trained.tables["item"]},
        {kind: trained.weights[f"{kind}_embedding.weight"] for kind in ("user", "item")},
    ):
        known = {kind: by_id(trained, kind, table) for kind, table in space.items()}
        expected, cold = naive_places(known, WORLD, demand, read)
        grown = found.tables
        if space["user"] is not trained.tables["user"]:
            grown = {kind: found.weights[f"{kind}_embedding.weight"] for kind in space}
        for kind in ("user", "item"):
            own = by_id(found, kind, grown[kind])
            for id_, vector in expected[kind].items():
                np.testing.assert_allclose(own[id_], vector, rtol=1e-5, atol=1e-6)
            counts = found.report["embed_new"][kind]
            assert counts["cold"] == len(cold[kind]) > 0
            assert counts["hot"] == KNOWN[kind]
            assert sum(counts.values()) == SIZES[kind]


def test_transe_places_by_its_relations(once: Callable[[str], Embeddings]) -> None:
    trained = once("transe")
    found, relation = trained.embed_new(WORLD), trained.weights["relation"]
    known = {kind: by_id(trained, kind, trained.tables[kind]) for kind in ("user", "item")}
    users = np.flatnonzero(np.isin(WORLD.user, NEW_USERS))
    for user in np.unique(WORLD.user[users]):
        total, count = np.zeros(trained.dim), 0
        for event in np.flatnonzero(WORLD.user == user):
            item = known["item"].get(WORLD.items.ids[WORLD.item[event]])
            if item is not None:
                total += item.astype(np.float64) - relation[1 if WORLD.is_search[event] else 0]
                count += 1
        row = found.vocabularies["user"].row(WORLD.users.ids[user])
        expected = total / count / np.linalg.norm(total / count)
        np.testing.assert_allclose(found.tables["user"][row], expected, rtol=1e-4, atol=1e-6)


def test_a_new_query_is_the_sum_of_its_known_words(trained: Embeddings, placed: Embeddings) -> None:
    word = by_id(trained, "term", trained.tables["term"])
    known = set(trained.vocabularies["query"].ids)
    states = {"warm": 0, "cold": 0}
    for row, terms in enumerate(WORLD.query_terms):
        id_ = WORLD.queries.ids[row]
        if id_ in known:
            continue
        vectors = [word[WORLD.terms.ids[t]] for t in terms if WORLD.terms.ids[t] in word]
        expected = np.sum(vectors, axis=0) if vectors else trained.tables["query"].mean(axis=0)
        states["warm" if vectors else "cold"] += 1
        found = placed.tables["query"][placed.vocabularies["query"].row(id_)]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert min(states.values()) > 0
    assert placed.report["embed_new"]["query"] == {"hot": len(known), **states}


def test_a_new_term_is_the_mean_word(trained: Embeddings, placed: Embeddings) -> None:
    first = len(trained.vocabularies["term"])
    mean = np.mean(trained.tables["term"].astype(np.float64), axis=0)
    assert len(placed.tables["term"]) > first
    for vector in placed.tables["term"][first:]:
        np.testing.assert_allclose(vector, mean, rtol=1e-5, atol=1e-7)


def test_a_row_that_was_never_learned_tells_nothing() -> None:
    """BPR leaves users without a choice at zero: neither mean nor neighbour may read them."""
    from sargraph.embedding.inductive_placing import HOT, Evidence, place

    none = np.empty(0, dtype=np.int64)
    user = np.array([[2.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    item = np.zeros((3, 2), dtype=np.float32)
    item[0] = [1.0, 1.0]
    evidence = Evidence(
        np.array([0, 1, 1]), np.array([1, 1, 2]), np.full(3, -1), none, none, none, none
    )
    found = place(user, item, np.zeros((0, 2), np.float32), evidence, (2, 1))
    np.testing.assert_array_equal(found.item, [[1, 1], [2, 4], [1, 1]])
    assert found.user_state.tolist() == [HOT, HOT]
