"""ItemKNN: similarities by hand, neighbours kept, weights, blocks, a planted world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from sargraph.core.errors import ConfigError
from sargraph.core.scorer import Requests
from sargraph.evaluation.baselines import ItemKNN, ItemKNNConfig, Popularity, build_baseline
from sargraph.evaluation.baselines import item_knn as module
from sargraph.evaluation.baselines.item_knn import item_neighbours, weighted
from sargraph.events.schema import CLICK, RECOMMEND
from sargraph.events.split import TEST, requests_for, split_events
from sargraph.testing.events import make_events
from sargraph.testing.item_oracles import item_knn
from sargraph.testing.scorer_cases import scorer_world


def choices(rows) -> csr_array:
    return csr_array(np.array(rows, dtype=np.float64))


def test_a_cosine_by_hand():
    # Items 0 and 1 share users 0 and 1 of 2 and 3; item 2 shares user 1 with both.
    matrix = choices([[1, 1, 0], [1, 1, 1], [0, 1, 0]])
    found = item_neighbours(matrix, 5, 0).toarray()
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = 2 / np.sqrt(6)
    expected[0, 2] = expected[2, 0] = 1 / np.sqrt(2)
    expected[1, 2] = expected[2, 1] = 1 / np.sqrt(3)
    np.testing.assert_allclose(found, expected)
    shrunk = item_neighbours(matrix, 5, 3).toarray()
    assert shrunk[0, 1] == pytest.approx(2 / (np.sqrt(6) + 3))


def test_each_row_keeps_its_k_best_and_ties_go_to_the_lower_item():
    matrix = choices([[1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 1]])
    found = item_neighbours(matrix, 1, 0).toarray()
    assert [row.nonzero()[0].tolist() for row in found] == [[1], [2], [1], [0]]


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    matrix = csr_array((rng.random((40, 25)) < 0.2).astype(np.float64))
    whole = item_neighbours(matrix, 4, 1).toarray()
    for size in (1, 30, 100):
        monkeypatch.setattr(module, "_BLOCK_PRODUCTS", size)
        assert np.array_equal(item_neighbours(matrix, 4, 1).toarray(), whole)


@pytest.mark.parametrize("weighting", ["binary", "tf", "idf", "tf-idf"])
def test_weightings_equal_the_oracle(weighting):
    world = scorer_world(3)
    config = ItemKNNConfig(weighting=weighting, shrinkage=0.5, k=50)
    found = ItemKNN(world.events, world.split, config).score(world.requests, world.candidates)
    np.testing.assert_allclose(found, item_knn(world, config), rtol=1e-5, atol=1e-6)


def test_weights_by_hand():
    counts = choices([[4, 0, 1], [0, 2, 0]])
    np.testing.assert_allclose(
        weighted(counts, "tf-idf").toarray(),
        [[(1 + np.log(4)) * np.log(2.5), 0, np.log(2.5)], [0, (1 + np.log(2)) * np.log(4), 0]],
    )
    assert counts.data.tolist() == [4, 1, 2]  # what was given stays


def test_an_item_is_no_neighbour_of_itself_and_lonely_items_have_none():
    matrix = choices([[1, 1, 0, 0], [0, 0, 1, 0]])
    found = item_neighbours(matrix, 9, 0)
    assert not found.diagonal().any()
    assert np.diff(found.indptr).tolist() == [1, 1, 0, 0]


def test_an_empty_catalogue_and_an_untouched_one():
    assert item_neighbours(csr_array((3, 0)), 5, 0).shape == (0, 0)
    assert item_neighbours(csr_array((0, 4)), 5, 0).nnz == 0


def test_unknown_settings_are_refused():
    world = scorer_world()
    with pytest.raises(ConfigError, match="did you mean 'shrinkage'"):
        build_baseline("item_knn", world.events, world.split, shrinkag=3)
    with pytest.raises(ConfigError, match="'k' got 0"):
        build_baseline("item_knn", world.events, world.split, k=0)


def planted_groups(num_users: int = 60, num_items: int = 40):
    """Users choose items of their own half only."""
    rng = np.random.default_rng(4)
    rows = [
        (
            user,
            time * 1000,
            RECOMMEND,
            CLICK,
            int(2 * rng.integers(num_items // 2) + user % 2),
            -1,
            0,
        )
        for user in range(num_users)
        for time in range(14)
    ]
    return make_events(rows, num_users=num_users, num_items=num_items)


def test_a_planted_half_is_found():
    events = planted_groups()
    split = split_events(events)
    requests = requests_for(events, split, TEST, "recommend")
    items = np.tile(np.arange(40), (len(requests), 1))
    own = items % 2 == requests.user[:, None] % 2
    for name, least in (("item_knn", 0.99), ("ease", 0.99), ("popularity", 0.0)):
        scores = build_baseline(name, events, split).score(requests, items)
        right = [
            (row[mine][:, None] > row[~mine]).mean() for row, mine in zip(scores, own, strict=True)
        ]
        assert np.mean(right) >= least
    popular = Popularity(events, split.is_train).score(requests, items)
    right = [
        (row[mine][:, None] > row[~mine]).mean() for row, mine in zip(popular, own, strict=True)
    ]
    assert 0.3 < np.mean(right) < 0.7


def test_only_the_source_asked_for_is_read():
    world = scorer_world()
    events = world.events
    other = np.flatnonzero(events.is_search)
    columns = {name: column.copy() for name, column in events.columns.items()}
    columns["item"][other] = 0
    changed = replace(events, columns=columns)
    config = ItemKNNConfig(source="recommend")
    asked = Requests(
        *(getattr(world.requests, n) for n in ("user", "query", "as_of", "target", "event"))
    )
    found = [
        ItemKNN(e, world.split, config).score(asked, world.candidates) for e in (events, changed)
    ]
    assert np.array_equal(*found)
    both = [ItemKNN(e, world.split).score(asked, world.candidates) for e in (events, changed)]
    assert not np.array_equal(*both)
