"""Similarity against a naive oracle: symmetry, self, renormalisation, top-k, duplicates, blocks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

import sargraph.neighbours.similarity as similarity
from sargraph.core.types import NO_ROW
from sargraph.neighbours.similarity import Comparer, SimilarityConfig, unit_rows


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


def as_dense(comparer, column):
    num_users = len(comparer)
    pairs = comparer.pairs(np.arange(num_users))
    dense = np.zeros((num_users, num_users), dtype=getattr(pairs, column).dtype)
    probe = np.repeat(np.arange(num_users), np.diff(pairs.offsets))
    dense[probe, pairs.user] = getattr(pairs, column)
    return dense


@pytest.mark.parametrize("shares", [(0.4, 0.4), (0.7, 0.1)])
@pytest.mark.parametrize("shrinkage", [0.0, 5.0])
def test_every_pair_equals_the_oracle(shares, shrinkage):
    config = SimilarityConfig(
        item_share=shares[0], term_share=shares[1], shrinkage=shrinkage, max_jaccard=0.6
    )
    units = random_units(0)
    expected = naive(units, config)
    comparer = Comparer(units, config)
    for column, dense in zip(("cosine", "similarity", "is_duplicate"), expected, strict=True):
        np.fill_diagonal(dense, 0)
        np.testing.assert_allclose(as_dense(comparer, column), dense, rtol=1e-12, atol=1e-15)
    assert expected[2].any()


def test_similarity_is_symmetric_to_the_bit():
    comparer = Comparer(random_units(1), SimilarityConfig())
    dense = as_dense(comparer, "similarity")
    assert np.array_equal(dense, dense.T)
    assert (dense > 0).sum() > 200


def test_a_copy_of_a_user_has_cosine_one_before_shrinkage():
    units = {f: csr_array(np.vstack([u.toarray()] * 2)) for f, u in random_units(2).items()}
    comparer = Comparer(units, SimilarityConfig())
    n = len(comparer) // 2
    present = comparer.has_field[:n].any(axis=1)
    copies = as_dense(comparer, "cosine")[np.arange(n), np.arange(n) + n]
    np.testing.assert_allclose(copies[present], 1, rtol=1e-12)
    assert present.sum() > 20
    assert np.all(copies[~present] == 0)


def brute_force(units, config, k):
    _, shrunk, duplicate = naive(units, config)
    np.fill_diagonal(shrunk, 0)
    shrunk[duplicate] = 0
    order = np.argsort(-shrunk, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(shrunk, order, axis=1)


@pytest.mark.parametrize("max_pairs", [1, 100, 10**6])
@pytest.mark.parametrize("k", [1, 7, 60])
def test_top_k_equals_brute_force_whatever_the_block(monkeypatch, max_pairs, k):
    monkeypatch.setattr(similarity, "MAX_PAIRS", max_pairs)
    units, config = random_units(3), SimilarityConfig(max_jaccard=0.4)
    rows, scores = brute_force(units, config, k)
    ranked, num_duplicates = Comparer(units, config).search(np.arange(40), k)
    for u in range(40):
        kept = scores[u] > 0
        valid = ranked.valid(u)
        assert [row for row, _ in valid] == rows[u][kept].tolist()
        np.testing.assert_allclose([score for _, score in valid], scores[u][kept], rtol=1e-6)
        assert np.all(ranked.rows[u, len(valid) :] == NO_ROW)
    _, _, duplicate = naive(units, config)
    np.fill_diagonal(duplicate, False)
    assert num_duplicates.tolist() == duplicate.sum(axis=1).tolist()
    assert num_duplicates.sum() > 0


def test_ties_go_to_the_lower_row():
    same = csr_array(np.ones((6, 2)))
    units = {"item": unit_rows(same), "term": csr_array((6, 1))}
    ranked, _ = Comparer(units, SimilarityConfig(max_jaccard=1)).search(np.array([2]), 3)
    assert ranked.rows.tolist() == [[0, 1, 3]]


def test_blocks_bound_the_pairs_and_cover_every_probe_once(monkeypatch):
    monkeypatch.setattr(similarity, "MAX_PAIRS", 90)
    comparer = Comparer(random_units(4), SimilarityConfig())
    probes = np.random.default_rng(0).permutation(40)
    blocks = list(comparer.blocks(probes))
    covered = [place for block in blocks for place in range(block.start, block.stop)]
    assert covered == list(range(40))
    assert len(blocks) > 5
    for block in blocks:
        count = len(comparer.pairs(probes[block]).user)
        assert count <= 90 or block.stop - block.start == 1


def test_entries_of_any_size_keep_their_pairs():
    """Squares of 2^-600 vanish in a double; the row must still have length 1 and its pairs."""
    tiny = csr_array(np.array([[2.0**-600, 2.0**-601], [1.0, 2.0**-600], [0, 2.0**-500]]))
    units = unit_rows(tiny)
    np.testing.assert_allclose(np.linalg.norm(units.toarray(), axis=1), 1)
    comparer = Comparer({"item": units, "term": csr_array((3, 1))}, SimilarityConfig())
    assert np.diff(comparer.pairs(np.arange(3)).offsets).tolist() == [2, 2, 2]


def test_users_without_any_entry_have_no_pairs():
    comparer = Comparer({"item": csr_array((3, 2)), "term": csr_array((3, 2))}, SimilarityConfig())
    ranked, num_duplicates = comparer.search(np.arange(3), 2)
    assert np.all(ranked.rows == NO_ROW)
    assert num_duplicates.tolist() == [0, 0, 0]
