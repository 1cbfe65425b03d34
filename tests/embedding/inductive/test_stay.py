"""Known rows keep their place and their bits; words and histories of new ones are counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.types import NO_ROW
from sargraph.embedding.embeddings import KINDS, Embeddings
from sargraph.embedding.inductive_scorer import scorer_for
from sargraph.embedding.scorer import scorer_of
from sargraph.testing.newcomer_cases import (
    ITEMS,
    LATER,
    MODELS,
    OLD,
    USERS,
    WORLD,
    asked,
)
from sargraph.testing.newcomers import (
    KNOWN,
    SIZES,
)


@pytest.mark.parametrize("name", MODELS)
def test_known_rows_keep_their_place_and_bits(
    name: str, once: Callable[[str], Embeddings], tmp_path: Path
) -> None:
    trained = once(name)
    placed = trained.embed_new(WORLD)
    for kind in KINDS:
        old, new = trained.vocabularies[kind], placed.vocabularies[kind]
        assert new.ids[: len(old)] == old.ids and new.names[: len(old)] == old.names
        added = list(new.ids[len(old) :])
        assert added == sorted(set(WORLD.vocabularies[kind].ids) - set(old.ids))
    for kind, table in trained.tables.items():
        assert placed.tables[kind].dtype == np.float32 and np.isfinite(placed.tables[kind]).all()
        np.testing.assert_array_equal(placed.tables[kind][: len(table)], table)
    users, items = np.arange(KNOWN["user"]), np.tile(np.arange(KNOWN["item"]), (KNOWN["user"], 1))
    queries = np.where(users % 2 == 0, users % 16, NO_ROW)
    before, after = (scorer_of(each).score(asked(users, queries), items)
                     for each in (trained, placed))  # fmt: skip
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    placed.save(tmp_path / "e")
    again = scorer_for(Embeddings.load(tmp_path / "e"), WORLD)
    requests = asked(USERS, np.where(USERS % 2 == 0, USERS % SIZES["query"], NO_ROW))
    every = np.tile(ITEMS, (len(USERS), 1))
    scores = again.score(requests, every)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores, scorer_for(placed, WORLD).score(requests, every))


def test_words_and_histories_of_known_rows_stay(once: Callable[[str], Embeddings]) -> None:
    trained = once("uditsr timed")
    placed = trained.embed_new(WORLD)
    for name, weight in trained.weights.items():
        grown = placed.weights[name]
        assert grown.dtype == weight.dtype
        np.testing.assert_array_equal(grown[: len(weight)] if weight.ndim else grown, weight)


def test_words_and_histories_of_new_users_are_counted(once: Callable[[str], Embeddings]) -> None:
    """Three most frequent known words, first seen first, and timed queries, by plain loops."""
    placed = once("uditsr timed").embed_new(WORLD, as_of=LATER)
    term, queries = placed.vocabularies["term"], placed.vocabularies["query"]
    known = set(OLD.terms.ids)
    words = [[WORLD.terms.ids[t] for t in terms] for terms in WORLD.query_terms]
    for user in range(KNOWN["user"], SIZES["user"]):
        row = placed.vocabularies["user"].row(WORLD.users.ids[user])
        events = [e for e in np.flatnonzero(WORLD.user == user) if WORLD.time[e] < LATER]
        asked_rows = [WORLD.query[e] for e in events if WORLD.query[e] != NO_ROW]
        counts: dict[str, int] = {}
        for query in asked_rows:
            for word in words[query]:
                if word in known:
                    counts[word] = counts.get(word, 0) + 1
        best = sorted(counts, key=lambda word: -counts[word])[:3]
        own = [term.ids[t] for t in placed.weights["user_terms"][row] if t >= 0]
        assert own == best
        start, end = placed.weights["history_offsets"][row : row + 2]
        found = placed.weights["history_query"][start:end]
        expected = [WORLD.queries.ids[q] for q in asked_rows if known & set(words[q])]
        assert sorted(queries.ids[q] for q in found) == sorted(expected)
        assert (np.diff(placed.weights["history_time"][start:end]) >= 0).all()


def test_words_of_new_items_are_those_of_searches_then_of_the_text(placed: Embeddings) -> None:
    row = placed.vocabularies["item"].row("i64")
    assert 64 not in WORLD.item
    text = [WORLD.terms.ids[t] for t in WORLD.item_terms[64] if WORLD.terms.ids[t] in OLD.terms]
    own = [placed.vocabularies["term"].ids[t] for t in placed.weights["item_terms"][row] if t >= 0]
    assert own == text
