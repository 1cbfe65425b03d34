"""Measures of the index against brute force over all pairs, and what re-ranking the best loses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Categories
from sargraph.events.schema import CLICK, RECOMMEND, SEARCH, SEARCHED
from sargraph.events.vocabulary import Vocabulary
from sargraph.neighbours.build import build_index
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.profile import ProfileConfig, profile_sums
from sargraph.neighbours.similarity import SimilarityConfig
from sargraph.testing.events import make_events, random_events
from sargraph.testing.index_oracle import assert_best, plain_idfs, plain_users

HALF_LIVES = ProfileConfig(item_half_life=0.0002, term_half_life=0.0003, category_half_life=0.0004)
MEASURES = ("cosine", "jaccard", "stan", "order_aware")
NUM_USERS = 24


def with_categories(events, of_item):
    names = Vocabulary([f"1/{place}" for place in range(5)])
    categories = Categories(names, np.ones(5, dtype=np.int64), Ragged.from_lists(of_item))
    return replace(events, categories=categories)


@pytest.fixture(scope="module")
def events():
    """Users of few and of many events; every third item has no category, some have two."""
    made = random_events(
        np.random.default_rng(0), num_users=NUM_USERS, num_items=30, untimed_share=0.1
    )
    made = made.select(np.random.default_rng(1).random(len(made)) > made.user / NUM_USERS)
    return with_categories(made, [[i % 5, (i + 1) % 5][: i % 3] for i in range(30)])


def config_of(measure, **similarity):
    return IndexConfig(
        profile=HALF_LIVES, measure=measure, stan_days=0.0005,
        similarity=SimilarityConfig(**similarity),
    )  # fmt: skip


def plain_measure_config(measure):
    return config_of(measure, shrinkage=0, max_jaccard=1)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    "similarity",
    [{}, {"shrinkage": 0, "max_jaccard": 0.3}, {"item_share": 0.7, "category_share": 0.6}],
)
def test_every_measure_is_that_of_brute_force(events, measure, similarity):
    config = config_of(measure, **similarity).model_copy(update={"max_events": 4})
    index = build_index(events, config=config)
    idfs = plain_idfs(events, index.as_of, HALF_LIVES)
    users = plain_users(events, index.as_of, config, idfs)
    assert min(len(user.items) for user in users.values()) < 4
    for k in (3, 40):
        for id_, probe in users.items():
            others = {other: user for other, user in users.items() if other != id_}
            found = [(n.user_id, n.similarity) for n in index.similar(id_, k)]
            assert_best(found, probe, others, k, config)


def all_pairs(index):
    dense = np.zeros((len(index), len(index)))
    found = index.find(index.profiled(np.arange(len(index))), len(index))
    for user in range(len(index)):
        kept = found.user[user] != NO_ROW
        dense[user, found.user[user][kept]] = found.similarity[user][kept]
    return dense


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_are_symmetric_to_the_bit_but_for_stan(events, measure):
    dense = all_pairs(build_index(events, config=config_of(measure, max_jaccard=1)))
    assert (dense > 0).sum() > 200
    assert np.array_equal(dense, dense.T) == (measure != "stan")


@pytest.mark.parametrize("measure", MEASURES)
def test_a_user_is_one_to_itself_before_shrinkage(events, measure):
    index = build_index(events, config=plain_measure_config(measure))
    itself = np.diag(all_pairs(index))
    everyone = index.profiled(np.arange(len(index)))
    is_there = everyone.fields > 0
    if measure in ("stan", "order_aware"):
        is_there &= np.diff(everyone.sequences.offsets) > 0
    assert is_there.sum() > 15
    if measure == "stan":  # never above 1, and 1 for a single choice only
        assert np.all((itself[is_there] > 0) & (itself[is_there] <= 1))
    else:
        np.testing.assert_allclose(itself[is_there], 1, rtol=1e-7)


def test_categories_share_out_their_weight_where_either_has_some():
    """u0 only searched; u1 chose too; u2 chose what has no category; u3 chose what u1 chose."""
    rows = [(user, 0, SEARCH, SEARCHED, NO_ROW, 0, 0) for user in (0, 1, 2)]
    rows += [
        (user, 0, RECOMMEND, CLICK, item, NO_ROW, 1) for user, item in ((1, 0), (2, 1), (3, 0))
    ]
    events = make_events(rows, num_users=4, num_items=2, query_terms=[[0]])
    config = IndexConfig(similarity=SimilarityConfig(shrinkage=0, max_jaccard=1))
    index = build_index(with_categories(events, [[0], []]), config=config)
    found = {(n, other.user_id): other.cosine for n in range(4) for other in index.similar(f"u{n}")}
    assert found[0, "u1"] == pytest.approx(0.4 / (0.4 + 0.4 + 0.2))
    assert found[0, "u2"] == pytest.approx(0.4 / (0.4 + 0.4))
    assert found[1, "u2"] == pytest.approx(0.4 / (0.4 + 0.4 + 0.2))
    assert found[1, "u3"] == pytest.approx((0.4 + 0.2) / (0.4 + 0.4 + 0.2))
    plain = build_index(events, config=config).similar("u0")
    assert [n.cosine for n in plain] == pytest.approx([0.5, 0.5])


def test_categories_put_the_best_users_in_another_order(events):
    with_them = build_index(events, config=config_of("cosine")).all_neighbours(5)
    without = build_index(events, config=config_of("cosine", category_share=0)).all_neighbours(5)
    assert np.any(with_them.rows != without.rows)


@pytest.mark.parametrize("measure", ["jaccard", "order_aware"])
def test_only_the_best_by_the_index_are_put_in_order(events, measure):
    plain = build_index(replace(events, categories=None), config=config_of("cosine"))
    few = plain.config.model_copy(update={"measure": measure, "num_reranked": 6})
    index = build_index(replace(events, categories=None), config=few)
    moved = 0
    for id_ in index.users.ids:
        found = [n.user_id for n in index.similar(id_, 6)]
        best = [n.user_id for n in plain.similar(id_, 6)]
        assert sorted(found) == sorted(best)
        assert [n.user_id for n in index.similar(id_, 3)] == found[:3]
        moved += found != best
        assert len(index.similar(id_, 9)) == len(plain.similar(id_, 9))
    assert moved > 5


def big_world(num_users=2000, num_choices=40):
    """Users of ten tastes with items by a steep law, so that most users share something."""
    rng = np.random.default_rng(5)
    rows = []
    for user in range(num_users):
        own = rng.random(num_choices) < 0.6
        item = (np.exp(rng.random(num_choices) * np.log(300)) - 1).astype(int)
        item = np.where(own, 300 + 30 * (user % 10) + item % 30, item)
        rows += [(user, 1000 * place, RECOMMEND, CLICK, int(i), NO_ROW, place)
                 for place, i in enumerate(item)]  # fmt: skip
    return make_events(rows, num_users=num_users, num_items=600)


def test_the_best_500_of_2000_hold_nearly_all_of_the_best_10_by_order():
    events = big_world()
    config = IndexConfig(measure="order_aware", num_reranked=500)
    whole = config.model_copy(update={"num_reranked": 2000})
    probes = np.arange(0, 2000, 40)
    fast, _ = build_index(events, config=config).search(probes, 10)
    everyone = build_index(events, config=whole)
    exact, _ = everyone.search(probes, 10)
    assert np.all(everyone.search(probes, 1000)[0].rows != NO_ROW)  # not just 500 to choose from
    hits = [np.isin(a, b).mean() for a, b in zip(exact.rows, fast.rows, strict=True)]
    assert np.mean(hits) >= 0.95
    plain, _ = build_index(events).search(probes, 10)
    by_cosine = [np.isin(a, b).mean() for a, b in zip(exact.rows, plain.rows, strict=True)]
    assert np.mean(by_cosine) < np.mean(hits) - 0.1


def test_stan_finds_nobody_by_words_alone():
    rows = [(user, 0, SEARCH, SEARCHED, NO_ROW, 0, 0) for user in (0, 1)]
    rows += [(0, 1, RECOMMEND, CLICK, 0, NO_ROW, 1), (1, 1, RECOMMEND, CLICK, 1, NO_ROW, 1)]
    events = make_events(rows, num_users=2, num_items=2, query_terms=[[0]])
    assert len(build_index(events).similar("u0")) == 1
    index = build_index(events, config=IndexConfig(measure="stan"))
    assert (
        index.similar("u0").reason == "no other user shares one of the latest choices with this one"
    )
    assert len(index.edges()) == 0


def test_stan_reads_no_time_where_times_are_places(events):
    place = np.where(events.is_timed, events.time // 1000, NO_TIME)
    columns = {**events.columns, "time": place}
    half_lives = ProfileConfig(item_half_life=17, term_half_life=26, category_half_life=35)
    ordinal = replace(events, columns=columns, time_kind="ordinal")
    for log, reads_time in ((events, True), (ordinal, False)):
        near, far = (
            build_index(
                log, config=IndexConfig(measure="stan", profile=half_lives, stan_days=days)
            ).all_neighbours(5)
            for days in (1e-12, 1e12)
        )
        assert np.sum(far.rows != NO_ROW) > 80
        assert np.array_equal(near.scores, far.scores) != reads_time


def test_sums_are_searched_by_jaccard_but_not_by_order(events):
    for measure in MEASURES:
        index = build_index(events, config=config_of(measure))
        sums = profile_sums(events, np.ones(len(events), bool), index.as_of, HALF_LIVES)
        everyone = np.arange(NUM_USERS)
        if measure in ("stan", "order_aware"):
            with pytest.raises(BadInputError, match=f"'{measure}', which reads the order"):
                index.search_profiles(sums, 5)
            continue
        ranked, num_duplicates = index.search_profiles(sums, 5, excluded=everyone)
        expected, num_expected = index.search(everyone, 5)
        np.testing.assert_array_equal(ranked.rows, expected.rows)
        np.testing.assert_array_equal(ranked.scores, expected.scores)
        np.testing.assert_array_equal(num_duplicates, num_expected)


def test_sums_without_categories_are_compared_by_items_and_terms(events):
    index = build_index(events, config=config_of("cosine"))
    plain = build_index(replace(events, categories=None), config=config_of("cosine"))
    sums = profile_sums(events, np.ones(len(events), bool), index.as_of, HALF_LIVES)
    del sums["category"]
    got, _ = index.search_profiles(sums, 5, excluded=np.arange(NUM_USERS))
    expected, _ = plain.search(np.arange(NUM_USERS), 5)
    np.testing.assert_array_equal(got.rows, expected.rows)
    np.testing.assert_array_equal(got.scores, expected.scores)
