"""Search against a naive oracle: symmetry, self, renormalisation, top-k, duplicates, heads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from sargraph.core.types import NO_ROW
from sargraph.neighbours.measures import Rows
from sargraph.neighbours.postings import build_postings
from sargraph.neighbours.profile import idf, scaled
from sargraph.neighbours.similarity import (
    SimilarityConfig,
    field_masks,
    unit_rows,
    weighted_rows,
)


def random_units(seed, num_users=40, widths=(15, 9), density=0.25):
    rng = np.random.default_rng(seed)
    units = {}
    for field, width in zip(("item", "term"), widths, strict=True):
        values = rng.random((num_users, width)) * (rng.random((num_users, width)) < density)
        values[rng.random(num_users) < 0.2] = 0  # some users have nothing in this field
        units[field] = unit_rows(csr_array(values))
    return units


def naive(units, config):
    """(cosine, similarity, is_duplicate) of all pairs, in loops over dense rows."""
    dense = {field: unit.toarray() for field, unit in units.items()}
    num_users = len(dense["item"])
    cosine = np.zeros((num_users, num_users))
    shrunk = np.zeros_like(cosine)
    duplicate = np.zeros_like(cosine, dtype=bool)
    for u in range(num_users):
        for v in range(num_users):
            total, common, union = 0.0, 0, 0
            for field, share in (("item", config.item_share), ("term", config.term_share)):
                p, q = dense[field][u], dense[field][v]
                if p.any() or q.any():
                    total += share
                    if p.any() and q.any():
                        norms = np.linalg.norm(p) * np.linalg.norm(q)
                        cosine[u, v] += share * (p @ q) / norms
                common += int(np.sum((p > 0) & (q > 0)))
                union += int(np.sum((p > 0) | (q > 0)))
            if common:
                cosine[u, v] /= total
                shrunk[u, v] = cosine[u, v] * common / (common + config.shrinkage)
                duplicate[u, v] = common / union > config.max_jaccard
    return cosine, shrunk, duplicate


def inverted(units, config, head_size=500):
    width = sum(unit.shape[1] for unit in units.values())
    return build_postings(weighted_rows(units, config), field_masks(units), width, head_size)


def find(postings, probes, k, config, *, excluded=None, alive=None, num_rescored=0):
    probes = np.asarray(probes)
    return postings.search(
        postings.rows.take(probes),
        postings.fields[probes],
        probes if excluded is None else excluded,
        k,
        config,
        alive=np.ones(len(postings), bool) if alive is None else alive,
        num_rescored=num_rescored,
    )


def as_dense(postings, config, k=None):
    """The similarities of all pairs that a search finds."""
    n = len(postings)
    nobody = np.full(n, NO_ROW)
    found = find(postings, np.arange(n), k or n, config, excluded=nobody)
    dense = np.zeros((n, n))
    for u in range(n):
        kept = found.user[u] != NO_ROW
        dense[u, found.user[u][kept]] = found.similarity[u][kept]
    return dense


@pytest.mark.parametrize("shares", [(0.4, 0.4), (0.7, 0.1)])
@pytest.mark.parametrize("shrinkage", [0.0, 5.0])
def test_every_pair_equals_the_oracle(shares, shrinkage):
    config = SimilarityConfig(
        item_share=shares[0], term_share=shares[1], shrinkage=shrinkage, max_jaccard=1
    )
    units = random_units(0)
    _, expected, _ = naive(units, config)
    got = as_dense(inverted(units, config), config)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-15)


def test_similarity_is_symmetric_to_the_bit():
    config = SimilarityConfig(max_jaccard=1)
    dense = as_dense(inverted(random_units(1), config), config)
    assert np.array_equal(dense, dense.T)
    assert (dense > 0).sum() > 200


def test_a_user_is_one_to_itself_before_shrinkage():
    units, config = random_units(2), SimilarityConfig(shrinkage=0, max_jaccard=1)
    postings = inverted(units, config)
    present = postings.fields > 0
    itself = np.diag(as_dense(postings, config))
    np.testing.assert_allclose(itself[present], 1, rtol=1e-6)
    assert present.sum() > 20
    assert np.all(itself[~present] == 0)


def brute_force(units, config, k):
    _, shrunk, duplicate = naive(units, config)
    np.fill_diagonal(shrunk, 0)
    shrunk[duplicate] = 0
    order = np.argsort(-shrunk, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(shrunk, order, axis=1)


@pytest.mark.parametrize("seed", [3, 4, 5])
@pytest.mark.parametrize("k", [1, 7, 60])
def test_top_k_equals_brute_force(seed, k):
    units, config = random_units(seed), SimilarityConfig(max_jaccard=0.4)
    rows, scores = brute_force(units, config, k)
    found = find(inverted(units, config, head_size=3), np.arange(40), k, config)
    for u in range(40):
        kept = scores[u] > 0
        valid = found.user[u] != NO_ROW
        assert found.user[u][valid].tolist() == rows[u][kept].tolist()
        np.testing.assert_allclose(found.similarity[u][valid], scores[u][kept], rtol=1e-6)
    _, shrunk, duplicate = naive(units, config)
    np.fill_diagonal(duplicate, False)
    least = np.where(scores[:, -1] > 0, scores[:, -1], 0) if k < 40 else np.zeros(40)
    expected = (duplicate & (shrunk >= least[:, None] * (1 - 1e-9))).sum(axis=1)
    assert found.num_duplicates.tolist() == expected.tolist()
    assert found.num_duplicates.sum() > 0


def big_rows(seed, num_users, width=3000, size=12, levels=None):
    """Rows whose entries follow a steep law, on a few levels of weight so that there are ties."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(num_users), size)
    entry = (np.exp(rng.random(num_users * size) * np.log(width)) - 1).astype(int)
    value = (
        rng.integers(1, levels + 1, len(user)) if levels else 2.0 ** (-8 * rng.random(len(user)))
    )
    matrix = csr_array((value.astype(float), (user, entry)), shape=(num_users, width))
    weights = unit_rows(scaled(matrix, idf(matrix)))
    return {"item": weights, "term": csr_array((num_users, 1))}


@pytest.mark.parametrize("levels", [None, 1])
def test_many_segments_equal_sparse_products(levels):
    """140,000 users are three segments, the last of them short; both ways to collect are taken."""
    units = big_rows(0, 140_000, levels=levels)
    config = SimilarityConfig(shrinkage=2, max_jaccard=1)
    postings = inverted(units, config, head_size=50)
    probes = np.r_[0, 139_999, np.random.default_rng(1).integers(0, 140_000, 40)]
    found = find(postings, probes, 20, config)
    item = units["item"].astype(np.float32).astype(np.float64)
    ones = csr_array((np.ones(item.nnz), item.indices, item.indptr), shape=item.shape)
    products, common = (item[probes] @ item.T).toarray(), (ones[probes] @ ones.T).toarray()
    shrunk = products * common / np.maximum(common + 2, 1)
    shrunk[np.arange(len(probes)), probes] = 0
    for place in range(len(probes)):
        got, mine = found.similarity[place], shrunk[place]
        np.testing.assert_allclose(got, np.sort(mine)[::-1][:20], rtol=1e-6)
        np.testing.assert_allclose(mine[found.user[place]], got, rtol=1e-6)
        ties = np.diff(got) == 0
        assert np.all(np.diff(found.user[place])[ties] > 0)


def test_massive_ties_neither_overflow_nor_lose_the_lowest_rows():
    num_users = 70_000
    same = csr_array(np.ones((num_users, 2)))
    units = {"item": unit_rows(same), "term": csr_array((num_users, 1))}
    config = SimilarityConfig(max_jaccard=1)
    found = find(inverted(units, config), [2], 500, config)
    assert found.user[0].tolist() == [0, 1, *range(3, 501)]


def test_heads_hold_the_heaviest_postings():
    rng = np.random.default_rng(0)
    matrix = rng.random((200, 6)) * (rng.random((200, 6)) < 0.6)
    units = {"item": unit_rows(csr_array(matrix)), "term": csr_array((200, 1))}
    postings = inverted(units, SimilarityConfig(), head_size=30)
    weights = units["item"].toarray() * np.sqrt(0.5)
    for entry in range(6):
        head = postings.packed[postings.head[entry, 0] : postings.head[entry, -1]]
        tail = postings.packed[postings.tail[entry, 0] : postings.tail[entry, -1]]
        users, others = head & 0xFFFF, tail & 0xFFFF
        assert len(head) == 30
        assert np.all(np.diff(users.astype(int)) > 0)
        assert np.all(np.diff(others.astype(int)) > 0)
        assert {*users, *others} == set(np.flatnonzero(weights[:, entry]))
        assert weights[users, entry].min() >= weights[others, entry].max() - 2 / 65535
        scaled = (head >> 16) / postings.scale
        np.testing.assert_allclose(scaled, weights[users, entry], atol=0.51 / postings.scale)


def test_inexact_search_finds_nearly_everyone_and_scores_them_in_full():
    units = big_rows(2, 20_000, size=30)
    config = SimilarityConfig(shrinkage=0, max_jaccard=1)
    postings = inverted(units, config, head_size=300)
    probes = np.arange(0, 20_000, 400)
    exact = find(postings, probes, 20, config)
    fast = find(postings, probes, 20, config, num_rescored=60)
    hits = [np.isin(a, b).mean() for a, b in zip(exact.user, fast.user, strict=True)]
    assert 0.9 < np.mean(hits) < 1
    for place in range(len(probes)):
        _, at, there = np.intersect1d(exact.user[place], fast.user[place], return_indices=True)
        assert np.array_equal(exact.similarity[place][at], fast.similarity[place][there])


def test_whoever_is_gone_or_excluded_is_not_found():
    units, config = random_units(6), SimilarityConfig(max_jaccard=1)
    postings = inverted(units, config)
    probe = int(np.argmax(np.diff(postings.rows.offsets)))
    everyone = find(postings, [probe], 40, config)
    best = everyone.user[0, 0]
    alive = np.ones(40, bool)
    alive[best] = False
    left = find(postings, [probe], 40, config, alive=alive)
    assert left.user[0, :-1].tolist() == everyone.user[0, 1:].tolist()
    for excluded in (best, NO_ROW):
        found = find(postings, [probe], 40, config, excluded=np.array([excluded]))
        assert (best in found.user[0]) == (excluded == NO_ROW)
        assert probe in found.user[0]


def test_entries_of_any_size_keep_their_pairs():
    """Squares of 2^-600 vanish in a double; the row must still have length 1 and its pairs."""
    tiny = csr_array(np.array([[2.0**-600, 2.0**-601], [1.0, 2.0**-600], [0, 2.0**-500]]))
    units = {"item": unit_rows(tiny), "term": csr_array((3, 1))}
    np.testing.assert_allclose(np.linalg.norm(units["item"].toarray(), axis=1), 1)
    config = SimilarityConfig(max_jaccard=1)
    found = find(inverted(units, config), [0, 1, 2], 3, config)
    assert (found.user != NO_ROW).sum(axis=1).tolist() == [2, 2, 2]


def test_users_without_any_entry_have_no_neighbours():
    units = {"item": csr_array((3, 2)), "term": csr_array((3, 2))}
    config = SimilarityConfig()
    found = find(inverted(units, config), [0, 1, 2], 2, config)
    assert np.all(found.user == NO_ROW)
    assert found.num_duplicates.tolist() == [0, 0, 0]


def test_packed_rows_are_items_before_terms_and_as_long_as_their_fields():
    units, config = random_units(7), SimilarityConfig(item_share=0.3, term_share=0.1)
    rows, fields = weighted_rows(units, config), field_masks(units)
    assert isinstance(rows, Rows)
    for user in range(40):
        mine = slice(rows.offsets[user], rows.offsets[user + 1])
        is_item = rows.entries[mine] < 15
        lengths = [(rows.values[mine][part] ** 2).sum() for part in (is_item, ~is_item)]
        expected = [0.75 * (fields[user] & 1), 0.25 * (fields[user] >> 1)]
        np.testing.assert_allclose(lengths, expected, rtol=1e-6)
