"""Soft neighbours against loops: candidates by mean vectors, order by exact alignment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.schema import CLICK, RECOMMEND
from sargraph.events.split import SplitConfig, split_events
from sargraph.events.vocabulary import Vocabulary
from sargraph.neighbours import soft as module
from sargraph.neighbours.build import build_index
from sargraph.neighbours.profile import ProfileConfig
from sargraph.neighbours.soft import SoftConfig, build_soft_index
from sargraph.testing import similarity_oracles as oracles
from sargraph.testing.events import make_events, random_events

DAY = 86_400_000


@pytest.fixture(scope="module")
def events():
    """A hundred days, so that a week of half-life says something."""
    found = random_events(np.random.default_rng(0), num_users=18, num_items=30, num_events=260)
    columns = {**found.columns, "time": found.time * 216_000}
    return replace(found, columns=columns)


@pytest.fixture(scope="module")
def items():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(30, 5)) * rng.exponential(size=(30, 1))
    vectors[[3, 11, 12]] = 0
    return vectors


def histories(events, mask, as_of, config):
    """(items, weights) of each user by a loop over the events."""
    found = [([], []) for _ in range(len(events.users))]
    half_life = (config.profile.item_half_life or 7.0) * DAY
    for row in range(len(events)):
        if mask[row] and events.time[row] < as_of and events.is_positive[row]:
            is_search = bool(events.is_search[row])
            if config.profile.source == "recommend" and is_search:
                continue
            kind = config.profile.search_weight if is_search else config.profile.click_weight
            chosen, weights = found[events.user[row]]
            chosen.append(int(events.item[row]))
            weights.append(kind * 0.5 ** ((as_of - events.time[row]) / half_life))
    return [(chosen[-config.max_events :], w[-config.max_events :]) for chosen, w in found]


def naive(past, vectors, config, user, k):
    """All users aligned with one, best first; or only the candidates by mean vectors."""
    has_vector = [any(vectors[i].any() for i in chosen) for chosen, _ in past]
    if not has_vector[user]:
        return []
    units = [v / max(np.linalg.norm(v), 1e-300) for v in vectors]
    means = [sum((w * units[i] for i, w in zip(*one, strict=True)), np.zeros(5)) for one in past]
    others = [v for v in range(len(past)) if v != user and has_vector[v]]
    lengths = [np.linalg.norm(mean) for mean in means]
    others.sort(key=lambda v: -float(means[user] @ means[v]) / (lengths[user] * lengths[v]))
    scores = {}
    for v in others[: max(k, config.num_candidates)]:
        one = oracles.soft_alignment(*past[user], past[v][0], vectors, config.rank_half_life)
        if config.symmetric:
            back = oracles.soft_alignment(*past[v], past[user][0], vectors, config.rank_half_life)
            one = (one + back) / 2
        scores[v] = one
    return sorted(scores.items(), key=lambda pair: (-round(pair[1], 6), pair[0]))[:k]


CONFIGS = [
    SoftConfig(num_candidates=100),
    SoftConfig(num_candidates=100, symmetric=True, rank_half_life=2.0),
    SoftConfig(num_candidates=4, max_events=5),
    SoftConfig(num_candidates=6, profile=ProfileConfig(source="recommend", item_half_life=30.0)),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_neighbours_are_those_of_loops(events, items, config):
    as_of = int(np.quantile(events.time, 0.8))
    mask = np.random.default_rng(2).random(len(events)) < 0.8
    index = build_soft_index(events, items, mask, as_of, config)
    past = histories(events, mask, as_of, config)
    ranked = index.search(np.arange(18), 4)
    for user in range(18):
        expected = naive(past, items, config, user, 4)
        assert [v for v, _ in ranked.valid(user)] == [v for v, _ in expected]
        scores = [score for _, score in ranked.valid(user)]
        np.testing.assert_allclose(scores, [score for _, score in expected], atol=3e-6)


def test_exact_search_aligns_everybody(events, items):
    everything, as_of = np.ones(len(events), bool), int(events.time.max()) + 1
    few = build_soft_index(events, items, everything, as_of, SoftConfig(num_candidates=1))
    many = build_soft_index(events, items, everything, as_of, SoftConfig(num_candidates=50))
    users = np.arange(18)
    np.testing.assert_array_equal(few.search(users, 3, exact=True).rows, many.search(users, 3).rows)
    assert many.recall(3) == 1.0
    assert few.recall(1) < 1.0
    assert few.recall(1, num_probes=5, seed=3) == few.recall(1, num_probes=5, seed=3)


def test_recall_is_the_share_of_the_exact_best_that_candidates_hold(events, items):
    everything, as_of = np.ones(len(events), bool), int(events.time.max()) + 1
    index = build_soft_index(events, items, everything, as_of, SoftConfig(num_candidates=5))
    users = index.findable
    exact, found = index.search(users, 5, exact=True).rows, index.search(users, 5).rows
    hits = [np.isin(a, b).mean() for a, b in zip(exact, found, strict=True)]
    assert index.recall(5) == pytest.approx(np.mean(hits))
    assert 0.3 < index.recall(5) < 1


def taste_world(seed=0, num_tastes=4, users_per_taste=15, per_user=6):
    """Users of one taste, no two of whom ever choose the same item."""
    rng = np.random.default_rng(seed)
    num_users = num_tastes * users_per_taste
    rows = [(user, place * DAY, RECOMMEND, CLICK, user * per_user + place, NO_ROW, user)
            for user in range(num_users) for place in range(per_user)]  # fmt: skip
    events = make_events(rows, num_users=num_users, num_items=num_users * per_user)
    taste = np.arange(num_users) % num_tastes
    centres = rng.normal(size=(num_tastes, 16))
    noise = rng.normal(size=(num_users * per_user, 16))
    return events, taste, centres[np.repeat(taste, per_user)] + 0.6 * noise


@pytest.mark.parametrize("symmetric", [False, True])
def test_users_of_one_taste_who_share_no_item_are_found(symmetric):
    events, taste, vectors = taste_world()
    everything, as_of = np.ones(len(events), bool), 10 * DAY
    assert np.all(build_index(events).all_neighbours(5).rows == NO_ROW)
    config = SoftConfig(num_candidates=20, symmetric=symmetric)
    ranked = build_soft_index(events, vectors, everything, as_of, config).search(np.arange(60), 5)
    assert np.mean(taste[ranked.rows] == taste[:, None]) >= 0.9
    lost = np.random.default_rng(1).normal(size=vectors.shape)
    ranked = build_soft_index(events, lost, everything, as_of, config).search(np.arange(60), 5)
    assert np.mean(taste[ranked.rows] == taste[:, None]) == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize("cut", ["as_of", "split"])
def test_later_events_change_nothing(events, items, cut):
    split = split_events(events, SplitConfig(kind="leave_last_out"))
    as_of = int(np.median(events.time)) if cut == "as_of" else int(events.time.max()) + 1
    mask = split.is_train if cut == "split" else np.ones(len(events), bool)
    held_out = ~mask | (events.time >= as_of)
    assert cut == "split" or np.any(events.time == as_of)
    columns = dict(events.columns)
    columns["item"] = np.where(held_out, (events.item + 7) % 30, events.item)
    one = build_soft_index(events, items, mask, as_of)
    other = build_soft_index(replace(events, columns=columns), items, mask, as_of)
    assert held_out.any()
    np.testing.assert_array_equal(one.means, other.means)
    for before, after in ((one.choices, other.choices), (one, other)):
        for name in ("items", "offsets") if before is one.choices else ("weights",):
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    found = [index.search(np.arange(18), 5) for index in (one, other)]
    np.testing.assert_array_equal(found[0].rows, found[1].rows)


def test_blocks_and_the_order_of_probes_do_not_matter(monkeypatch, events, items):
    everything, as_of = np.ones(len(events), bool), int(events.time.max()) + 1
    index = build_soft_index(events, items, everything, as_of, SoftConfig(num_candidates=6))
    whole = index.search(np.arange(18), 3)
    monkeypatch.setattr(module, "BLOCK", 4)
    users = np.random.default_rng(0).permutation(18)
    parts = index.search(users, 3)
    np.testing.assert_array_equal(parts.rows, whole.rows[users])
    np.testing.assert_array_equal(parts.scores, whole.scores[users])


def test_users_without_an_item_that_has_a_vector_have_and_are_no_neighbours():
    rows = [(user, 1, RECOMMEND, CLICK, item, NO_ROW, user)
            for user, item in enumerate([0, 1, 2, 2, 0])]  # fmt: skip
    events = make_events(rows, num_users=6, num_items=3)
    vectors = np.array([[1.0, 0], [0.6, 0.8], [0, 0]])
    index = build_soft_index(events, vectors, np.ones(5, bool), 2)
    assert index.findable.tolist() == [0, 1, 4]
    for exact in (False, True):
        ranked = index.search(np.arange(6), 3, exact=exact)
        assert ranked.rows.tolist() == [
            [4, 1, -1], [0, 4, -1], [-1] * 3, [-1] * 3, [0, 1, -1], [-1] * 3
        ]  # fmt: skip
        np.testing.assert_allclose(ranked.scores[1, :2], 0.6, atol=1e-6)
    empty = build_soft_index(events, vectors, np.zeros(5, bool), 2)
    assert np.all(empty.search(np.arange(6), 2).rows == NO_ROW)
    assert empty.recall(2) == 1.0


def embeddings_of(ids, table):
    sizes = {"user": ["u0"], "query": [], "term": []}
    words = {kind: Vocabulary(found) for kind, found in sizes.items()}
    return Embeddings(
        tables={"item": table}, vocabularies={**words, "item": Vocabulary(ids)},
        query_terms=Ragged.from_lists([]), model="bpr", config={}, seed=0,
    )  # fmt: skip


def test_items_of_embeddings_are_matched_by_id(events, items):
    everything, as_of = np.ones(len(events), bool), int(events.time.max()) + 1
    table = items.astype(np.float32)
    order = np.random.default_rng(0).permutation(30)[:-2]
    given = embeddings_of([*(f"i{row}" for row in order), "other"], np.r_[table[order], table[:1]])
    known = np.isin(np.arange(30), order)
    one = build_soft_index(events, given, everything, as_of)
    other = build_soft_index(events, np.where(known[:, None], table, 0), everything, as_of)
    np.testing.assert_array_equal(one.units, other.units)
    np.testing.assert_array_equal(one.means, other.means)
    with pytest.raises(BadInputError, match="got embeddings of 1 items, none of which is in these"):
        build_soft_index(events, embeddings_of(["x"], table[:1]), everything, as_of)


def test_what_does_not_fit_is_an_error(events, items):
    everything, as_of = np.ones(len(events), bool), int(events.time.max()) + 1
    index = build_soft_index(events, items, everything, as_of)
    calls = [
        (lambda: index.search(np.arange(2), 0), "got k = 0, expected at least 1"),
        (lambda: index.search(np.array([18]), 1), "got users from 18 to 18, expected rows"),
        (lambda: index.recall(3, num_probes=0), "got num_probes = 0"),
        (lambda: build_soft_index(events, items[:9], everything, 1), r"expected \[30, dim"),
        (lambda: build_soft_index(events, items, everything[:9], 1), "got a mask of bool"),
        (lambda: build_soft_index(events, items * np.nan, everything, 1), "NaN or infinity"),
    ]  # fmt: skip
    for call, message in calls:
        with pytest.raises(BadInputError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises((ConfigError, ValueError), match="num_candidates"):
        SoftConfig(num_candidates=0)
