"""Measures of two users against loops; their symmetry, bounds, extremes and errors."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_TIME
from sargraph.neighbours.measures import (
    Rows,
    Sequences,
    common_entries,
    cosine,
    lcs_similarity,
    order_aware,
    set_jaccard,
    shrunk,
    stan_similarity,
    weighted_jaccard,
)
from sargraph.testing import similarity_oracles as oracles

SIZES = (0, 1, 1, 2, 5, 17, 40, 59)
LENGTHS = (0, 1, 2, 7, 50, 63, 64, 65, 128, 150)


def random_rows(rng, width, gap=1, sizes=SIZES, dtype=np.float64):
    """Packed rows of distinct ascending entries, and the same as dictionaries."""
    entries = [gap * np.sort(rng.choice(width, size=n, replace=False)) for n in sizes]
    values = [rng.exponential(size=n).astype(dtype) for n in sizes]
    offsets = np.r_[0, np.cumsum(sizes)].astype(np.int64)
    packed = Rows(offsets, np.concatenate(entries).astype(np.int32), np.concatenate(values))
    pairs = zip(entries, values, strict=True)
    return packed, [dict(zip(e.tolist(), v.tolist(), strict=True)) for e, v in pairs]


def random_sequences(rng, width, lengths=LENGTHS):
    """Packed sequences with repeats, some without a time, and the same as lists."""
    lists = [rng.integers(width, size=n).tolist() for n in lengths]
    times = rng.integers(-1000, 1000, size=len(lists))
    times[rng.random(len(lists)) < 0.3] = NO_TIME
    return pack(lists, times), lists


def pack(lists, times=None):
    offsets = np.r_[0, np.cumsum([len(items) for items in lists])].astype(np.int64)
    times = np.full(len(lists), NO_TIME) if times is None else times
    return Sequences(offsets, np.array(list(chain.from_iterable(lists)), dtype=np.int32), times)


def probe_of(packed, row):
    a, b = packed.offsets[row : row + 2]
    if isinstance(packed, Rows):
        return Rows.one(packed.entries[a:b], packed.values[a:b])
    return Sequences.one(packed.items[a:b], packed.last_time[row])


def all_pairs(measure, packed, **options):
    """[rows, rows], each row as the probe against all in a shuffled order."""
    rows = np.random.default_rng(9).permutation(len(packed))
    out = np.empty((len(packed), len(packed)))
    for row in range(len(packed)):
        out[row, rows] = measure(probe_of(packed, row), packed, rows, **options)
    return out


def table(oracle, given):
    return np.array([[oracle(a, b) for b in given] for a in given])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("width", "gap"), [(60, 1), (400, 1), (400, 4096)])
def test_measures_of_rows_follow_their_formulas(width, gap, dtype):
    packed, given = random_rows(np.random.default_rng(width), width, gap, dtype=dtype)
    for measure in (weighted_jaccard, cosine):
        got, expected = all_pairs(measure, packed), table(getattr(oracles, measure.__name__), given)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=0)
        np.testing.assert_array_equal(got, got.T)
        assert np.all((got >= 0) & (got <= 1))
        np.testing.assert_allclose(np.diag(got)[1:], 1, rtol=1e-15)
        assert np.all(got[0] == 0)
    common = table(lambda a, b: len(set(a) & set(b)), given)
    union = table(lambda a, b: len(set(a) | set(b)), given)
    assert np.sum(common[np.triu_indices(len(given), 1)] > 0) > 5
    np.testing.assert_array_equal(all_pairs(common_entries, packed), common)
    got = all_pairs(set_jaccard, packed)
    np.testing.assert_array_equal(got, common / np.maximum(union, 1))
    assert common_entries(probe_of(packed, 1), packed, np.arange(2)).dtype == np.int64


def test_jaccard_of_a_row_with_itself_is_exactly_one_and_never_more():
    rng = np.random.default_rng(5)
    for scale in (1e-140, 1e-3, 1.0, 1e140):
        entries = np.arange(59)
        u = Rows.one(entries, scale * rng.exponential(size=59))
        nearly = Rows.one(entries, np.nextafter(u.values, 0))
        one = np.array([0])
        assert weighted_jaccard(u, u, one) == 1
        assert cosine(u, u, one) == pytest.approx(1, rel=1e-15)
        for measure in (weighted_jaccard, cosine):
            assert 1 - 1e-12 < measure(u, nearly, one)[0] <= 1


def test_entries_with_regular_gaps_are_found():
    for gap in (1, 64, 4096, 1 << 20):
        entries = gap * np.arange(1000, dtype=np.int64) % (2**31 - 1)
        entries = np.unique(entries)
        probe = Rows.one(entries[::2], np.ones(len(entries[::2])))
        everything = Rows.one(entries, np.ones(len(entries)))
        found = common_entries(probe, everything, np.array([0, 0]))
        assert found.tolist() == [len(entries[::2])] * 2


@pytest.mark.parametrize("width", [3, 30, 5000])
@pytest.mark.parametrize("time_decay", [None, 300.0])
def test_stan_follows_its_formula(width, time_decay):
    rng = np.random.default_rng(width)
    packed, given = random_sequences(rng, width)
    times = packed.last_time.tolist()
    pairs = [(s, n, t, r) for s, t in zip(given, times, strict=True)
             for n, r in zip(given, times, strict=True)]  # fmt: skip
    for decay in (1.02, 20.0):
        expected = [
            oracles.stan(s, n, None if NO_TIME in (t, r) else t - r, decay, time_decay)
            for s, n, t, r in pairs
        ]
        got = all_pairs(stan_similarity, packed, position_decay=decay, time_decay=time_decay)
        np.testing.assert_allclose(got.ravel(), expected, rtol=1e-12)
        assert np.all((got >= 0) & (got <= 1 + 1e-15))
        assert np.any(got > 0)


def test_stan_moved_back_by_its_decay_falls_to_one_over_e():
    candidates = pack([[3, 1, 2]] * 3, np.array([900, 400, NO_TIME]))
    probe = Sequences.one([1, 2, 9], 1000)
    near, far, untimed = stan_similarity(probe, candidates, np.arange(3), time_decay=500.0)
    assert far == pytest.approx(near * math.exp(-1), rel=1e-12)
    plain = stan_similarity(probe, candidates, np.arange(3), time_decay=None)
    assert untimed == plain[2] == plain[0] > near
    later = stan_similarity(Sequences.one([1, 2, 9], 800), candidates, np.arange(3), time_decay=500)
    assert later[0] == pytest.approx(near, rel=1e-12)  # earlier or later by 100


def test_stan_weighs_an_item_by_its_latest_place():
    candidates = pack([[1], [2], [1, 1, 1]])
    probe = Sequences.one([1, 2, 1])
    first, second, repeated = stan_similarity(probe, candidates, np.arange(3), time_decay=None)
    assert first == repeated
    assert second == pytest.approx(first * math.exp(-1 / 1.02))
    assert stan_similarity(Sequences.one([4]), pack([[4]]), np.array([0]), time_decay=None) == 1


@pytest.mark.parametrize("width", [1, 2, 4, 40, 1000])
def test_lcs_follows_the_recursion(width):
    packed, given = random_sequences(np.random.default_rng(width), width)
    got, expected = all_pairs(lcs_similarity, packed), table(oracles.lcs_similarity, given)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(got, got.T)
    assert np.all(np.diag(got) == [0] + [1] * (len(given) - 1))


def test_lcs_of_many_short_sequences():
    rng = np.random.default_rng(0)
    for _ in range(30):
        lengths = rng.integers(0, 9, size=12)
        packed, given = random_sequences(rng, 4, lengths)
        got, expected = all_pairs(lcs_similarity, packed), table(oracles.lcs_similarity, given)
        np.testing.assert_array_equal(got, expected)


def test_lcs_reads_the_order():
    candidates = pack([[1, 2, 3, 4], [4, 3, 2, 1], [1, 9, 2, 9, 3, 9, 4]])
    got = lcs_similarity(Sequences.one([1, 2, 3, 4]), candidates, np.arange(3))
    assert got.tolist() == [1, 0.25, 4 / 7]


def test_order_aware_is_the_weighted_sum_of_both():
    rng = np.random.default_rng(1)
    packed, weights = random_rows(rng, 80, sizes=[0, 3, 20, 59, 59])
    sequences, lists = random_sequences(rng, 80, lengths=[0, 5, 30, 70, 50])
    rows = np.array([4, 0, 3, 3, 1])
    for row in range(5):
        probes = probe_of(packed, row), probe_of(sequences, row)
        for share, options in ((0.6, {}), (0.25, {"jaccard_share": 0.25})):
            got = order_aware(*probes, packed, sequences, rows, **options)
            expected = [
                share * oracles.weighted_jaccard(weights[row], weights[v])
                + (1 - share) * oracles.lcs_similarity(lists[row], lists[v])
                for v in rows
            ]
            np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert order_aware(*probes, packed, sequences, rows)[0] == 1


def test_shrinkage_believes_many_common_entries_more():
    similarity, common = np.array([0.8, 0.8, 0.8]), np.array([0, 5, 95])
    np.testing.assert_allclose(shrunk(similarity, common), [0, 0.4, 0.76])
    np.testing.assert_allclose(shrunk(similarity, common, kappa=95), [0, 0.04, 0.4])
    np.testing.assert_array_equal(shrunk(similarity, common, kappa=0), similarity)
    with pytest.raises(BadInputError, match="got kappa = -1"):
        shrunk(similarity, common, -1)
    with pytest.raises(BadInputError, match="count the same candidates"):
        shrunk(similarity, common[:2])


def test_no_candidates_give_no_similarities():
    none = np.array([], dtype=np.int64)
    row, sequence = Rows.one([1], [1.0]), Sequences.one([1])
    empty_row, empty_sequence = Rows.one([], []), Sequences.one([])
    for measure in (weighted_jaccard, cosine, common_entries, set_jaccard):
        assert measure(row, row, none).shape == (0,)
        assert measure(empty_row, empty_row, np.array([0])).tolist() == [0]
    assert lcs_similarity(sequence, sequence, none).shape == (0,)
    assert lcs_similarity(empty_sequence, empty_sequence, np.array([0])).tolist() == [0]
    assert stan_similarity(sequence, sequence, none, time_decay=1.0).shape == (0,)


def test_memory_mapped_arrays_are_read_as_they_are(tmp_path):
    packed, given = random_rows(np.random.default_rng(2), 60)
    for name in ("offsets", "entries", "values"):
        np.save(tmp_path / f"{name}.npy", getattr(packed, name))
    columns = ("offsets", "entries", "values")
    mapped = Rows(*(np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in columns))
    got = weighted_jaccard(probe_of(packed, 6), mapped, np.arange(8))
    np.testing.assert_allclose(got, [oracles.weighted_jaccard(given[6], v) for v in given])


OFFSETS, NUMBERS, WEIGHTS = np.array([0, 1, 2]), np.array([4, 7], np.int32), np.ones(2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((OFFSETS.astype(np.int32), NUMBERS, WEIGHTS), r"got offsets of int32 \[3\], expected"),
        ((np.array([0, 1, 3]), NUMBERS, WEIGHTS), "do not run from 0 to 2 entries"),
        ((np.array([1, 2]), NUMBERS, WEIGHTS), "do not run from 0 to 2 entries"),
        ((np.array([], np.int64), NUMBERS[:0], WEIGHTS[:0]), "do not run from 0 to 0 entries"),
        ((np.array([0, 2, 1, 2]), NUMBERS, WEIGHTS), "got offsets that fall"),
        ((OFFSETS, NUMBERS.astype(np.int64), WEIGHTS), "got entries of int64"),
        ((OFFSETS, NUMBERS[:, None], WEIGHTS), r"got entries of int32 \[2, 1\]"),
        ((OFFSETS, NUMBERS, WEIGHTS[:1]), "got 1 values, expected 2"),
        ((OFFSETS, NUMBERS, NUMBERS), "got values of int32"),
        ((OFFSETS, NUMBERS, [1.0, 2.0]), r"got values of list \[2\]"),
    ],
)
def test_arrays_that_do_not_fit_are_an_error(arrays, message):
    with pytest.raises(BadInputError, match=message) as caught:
        Rows(*arrays)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rows.one([3, 1], [1, 1]), "do not ascend"),
        (lambda: Rows.one([1, 1], [1, 1]), "do not ascend"),
        (lambda: Rows.one([1, 2], [1, -1]), "negative or not finite"),
        (lambda: Rows.one([1, 2], [1, np.nan]), "negative or not finite"),
        (lambda: Rows.one([1, 2], [1]), "got 1 values"),
        (lambda: Rows.one([1.5], [1]), "got entries of float64"),
        (lambda: Rows.one([2**31], [1]), "expected 0 to 2147483647"),
        (lambda: Sequences.one([-1, 2]), "got items from -1 to 2"),
        (lambda: Sequences.one([[1, 2]]), "expected one row of integers"),
        (lambda: Sequences(OFFSETS, NUMBERS, np.zeros(3, np.int64)), "got 3 last_time"),
        (lambda: Sequences(OFFSETS, NUMBERS, np.zeros(2)), "got last_time of float64"),
    ],
)
def test_a_single_row_is_checked(make, message):
    with pytest.raises(BadInputError, match=message):
        make()


def test_probes_and_candidates_that_do_not_fit_are_an_error():
    two, one = Rows(OFFSETS, NUMBERS, WEIGHTS), Rows.one([4], [1.0])
    sequences, sequence = Sequences(OFFSETS, NUMBERS, np.zeros(2, np.int64)), Sequences.one([4])
    rows = np.array([0])
    for measure in (weighted_jaccard, cosine, common_entries, set_jaccard):
        with pytest.raises(BadInputError, match="got a probe of 2 rows, expected one"):
            measure(two, two, rows)
        with pytest.raises(BadInputError, match="rows from 0 to 2, expected 0 to 1"):
            measure(one, two, np.array([0, 2]))
        with pytest.raises(BadInputError, match="rows from -1 to 0"):
            measure(one, two, np.array([0, -1]))
        with pytest.raises(BadInputError, match="got rows of float64"):
            measure(one, two, np.array([0.0]))
        with pytest.raises(BadInputError, match="candidates of Sequences for a probe of Rows"):
            measure(one, sequences, rows)
    for name in ("position_decay", "time_decay"):
        with pytest.raises(BadInputError, match=f"got {name} = 0"):
            stan_similarity(sequence, sequences, rows, **{"time_decay": 1.0, name: 0})
    with pytest.raises(BadInputError, match=r"got jaccard_share = 1\.5"):
        order_aware(one, sequence, two, sequences, rows, 1.5)
    with pytest.raises(BadInputError, match="got 1 rows and 2 sequences"):
        order_aware(one, sequence, one, sequences, rows)
