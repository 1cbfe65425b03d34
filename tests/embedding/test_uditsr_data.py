"""Edges, frequent words and negatives against plain loops."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from sargraph.core.ragged import Ragged
from sargraph.embedding.frequent_terms import FrequentTerms, only_from_pair
from sargraph.embedding.negatives import FreeItems
from sargraph.embedding.uditsr_data import UDITSRData, uditsr_data
from sargraph.embedding.uditsr_stale import MIN_BATCHES, WindowBatch, windows
from sargraph.graph.graph import CLICKED, FOUND
from sargraph.testing.planted_topics import SIZES, two_topics


def words(rng: np.random.Generator, n: int) -> np.ndarray:
    queries = rng.integers(0, 6, (n, 3))
    queries[rng.random((n, 3)) < 0.3] = -1
    return queries


def loop_frequent(row: np.ndarray, queries: np.ndarray, own: list[list[int]], k: int) -> list:
    expected = []
    for entity, text in enumerate(own):
        used = [int(t) for q in queries[row == entity] for t in q if t >= 0]
        ranked = [term for term, _ in Counter(used).most_common()]  # ties: first seen
        ranked += [t for t in dict.fromkeys(text) if t not in used]
        expected.append((ranked + [-1] * k)[:k])
    return expected


@pytest.mark.parametrize("seed", range(5))
def test_frequent_terms_equal_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    row, queries = rng.integers(0, 4, 15), words(rng, 15)
    own = [rng.integers(0, 9, rng.integers(0, 4)).tolist() for _ in range(5)]
    frequent = FrequentTerms.count(row, queries, 5, 4, Ragged.from_lists(own))
    assert frequent.terms.tolist() == loop_frequent(row, queries, own, 4)
    bare = FrequentTerms.count(row, queries, 5, 4)
    assert bare.terms.tolist() == loop_frequent(row, queries, [[]] * 5, 4)


@pytest.mark.parametrize("seed", range(5))
def test_words_only_from_the_own_pair_equal_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    row, pair, queries = rng.integers(0, 4, 20), rng.integers(0, 9, 20), words(rng, 20)
    row = pair % 4  # a pair belongs to one entity
    own = [rng.integers(0, 9, rng.integers(0, 3)).tolist() for _ in range(4)]
    frequent = FrequentTerms.count(row, queries, 4, 5, Ragged.from_lists(own))
    hidden = only_from_pair(frequent, row, pair, pair, queries)
    assert hidden.any()
    for example in range(20):
        for place, term in enumerate(frequent.terms[row[example]]):
            others = queries[(row == row[example]) & (pair != pair[example])]
            mine = queries[(row == row[example]) & (pair == pair[example])]
            only_mine = (mine == term).any() and not (others == term).any()
            expected = term >= 0 and only_mine and term not in own[row[example]]
            assert hidden[example, place] == expected


def test_free_items_are_uniform_over_what_a_user_never_chose() -> None:
    user, item = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([1, 4, 1, 0, 5])
    free = FreeItems.build(user, item, num_users=4, num_items=6)
    for who, expected in ((0, [0, 2, 3, 5]), (1, [1, 2, 3, 4]), (3, [0, 1, 2, 3, 4, 5])):
        drawn = free.draw(torch.full((12000,), who), torch.Generator().manual_seed(who))
        counts = torch.bincount(drawn, minlength=6)
        assert torch.nonzero(counts).flatten().tolist() == expected
        share = 12000 / len(expected)
        assert (counts[expected] - share).abs().max() < 5 * share**0.5


def test_a_user_who_chose_every_item_has_no_free_one() -> None:
    free = FreeItems.build(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2, 2)
    assert free.any_for(torch.tensor([0, 1])).tolist() == [False, True]


def batches(data: UDITSRData, batch_size: int, length: int = 1) -> list[WindowBatch]:
    rows, negative = data.shuffled(torch.Generator().manual_seed(0))
    return list(windows(rows, negative, batch_size, length))


@pytest.mark.parametrize("length", [1, 3])
def test_an_epoch_has_every_edge_once_and_no_known_positive(length: int) -> None:
    graph = two_topics()
    data = uditsr_data(graph, 3, 3, 10)
    made = batches(data, 100, length)
    assert sorted(torch.cat([each.rows for each in made]).tolist()) == list(
        range(len(data.edges.user))
    )
    tables = [graph.edges[CLICKED], graph.edges[FOUND]]
    chosen = {
        pair for t in tables for pair in zip(t.from_row.tolist(), t.to_row.tolist(), strict=True)
    }
    for each in made:
        users = data.edges.user[each.rows].tolist()
        assert not set(zip(users, each.negative.tolist(), strict=True)) & chosen
    again = batches(data, 100, length)
    assert all(torch.equal(a.rows, b.rows) for a, b in zip(made, again, strict=True))


def test_a_window_names_all_that_is_predicted_until_the_next() -> None:
    made = batches(uditsr_data(two_topics(), 3, 3, 10), 40, 3)
    starts = [place for place, each in enumerate(made) if each.window is not None]
    assert starts[0] == 0 and 1 < max(np.diff(starts)) <= 3
    for start, stop in zip(starts, [*starts[1:], len(made)], strict=True):
        window = made[start].window
        assert window is not None
        assert torch.equal(window, torch.cat([each.rows for each in made[start:stop]]))


@pytest.mark.parametrize("length", [1, 50])
def test_a_window_never_holds_out_more_than_a_small_part_of_the_edges(length: int) -> None:
    made = batches(uditsr_data(two_topics(), 3, 3, 10), 10**6 if length == 1 else 10, length)
    sizes = [len(each.window) for each in made if each.window is not None]
    assert len(sizes) == MIN_BATCHES and max(sizes) - min(sizes) <= 1


def test_edges_carry_the_source_and_the_words_of_their_query() -> None:
    graph = two_topics()
    data = uditsr_data(graph, 1, 3, 10)
    found = graph.edges[FOUND]
    assert data.edges.is_search.sum() == len(found)
    first = [int(graph.query_terms[query][0]) for query in found.query]
    assert data.edges.query_terms[data.edges.is_search].flatten().tolist() == first
    assert data.user_terms.shape == (SIZES["user"], 3)
    assert data.item_terms.shape == (SIZES["item"], 10)
