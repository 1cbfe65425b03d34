"""The index: planted clusters are found, later events change nothing, evidence adds up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from sargraph.core.errors import ArtifactError, BadInputError, UnknownIdError
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.schema import CLICK, RECOMMEND, SEARCH
from sargraph.events.split import SplitConfig, split_events
from sargraph.graph.build import build_graph
from sargraph.graph.graph import SIMILAR_TO
from sargraph.neighbours.build import build_index, similar_users
from sargraph.neighbours.index import UserIndex
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.profile import ProfileConfig, profile_sums, profiles
from sargraph.neighbours.similarity import SimilarityConfig
from sargraph.testing.events import make_events, random_events


@pytest.fixture(scope="module")
def events():
    return random_events(np.random.default_rng(0), num_users=30, num_items=60, num_events=700)


@pytest.fixture(scope="module")
def split(events):
    return split_events(events, SplitConfig())


@pytest.fixture(scope="module")
def index(events, split):
    return build_index(events, split)


def planted_world(seed, num_clusters=5, users_per_cluster=20, share_of_own=0.8):
    """Users who mostly choose from their cluster's 20 items and search with its 6 terms."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(num_clusters * users_per_cluster):
        cluster = user % num_clusters
        for place in range(25):
            own = cluster if rng.random() < share_of_own else int(rng.integers(num_clusters))
            is_search = rng.random() < 0.4
            item = own * 20 + int(rng.integers(20))
            query = own * 6 + int(rng.integers(6)) if is_search else NO_ROW
            source = SEARCH if is_search else RECOMMEND
            rows.append((user, place * 3_600_000, source, CLICK, item, query, user * 25 + place))
    return make_events(
        rows, num_users=num_clusters * users_per_cluster, num_items=num_clusters * 20,
        query_terms=[[term] for term in range(num_clusters * 6)],
    )  # fmt: skip


def assert_same_profiles(one, other):
    for part, same in zip(one.parts, other.parts, strict=True):
        for name in ("offsets", "entries", "values"):
            a, b = getattr(part.profiled.rows, name), getattr(same.profiled.rows, name)
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(part.postings.packed, same.postings.packed)


def precision_at_10(events, num_clusters=5):
    ranked = build_index(events).all_neighbours(10)
    assert np.all(ranked.rows != NO_ROW)
    cluster = np.arange(len(events.users)) % num_clusters
    return float(np.mean(cluster[ranked.rows] == cluster[:, None]))


def test_neighbours_of_planted_clusters_are_of_the_same_cluster():
    assert precision_at_10(planted_world(0)) >= 0.9


def test_without_clusters_neighbours_are_of_any_cluster():
    assert precision_at_10(planted_world(0, share_of_own=0.0)) == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize("kind", ["global_time", "leave_last_out"])
def test_events_that_are_not_training_change_nothing(events, kind):
    split = split_events(events, SplitConfig(kind=kind))
    rng = np.random.default_rng(3)
    held_out = ~split.is_train
    columns = dict(events.columns)
    for name, size in (("item", len(events.items)), ("query", len(events.queries))):
        column = columns[name].copy()
        column[held_out & (column != NO_ROW)] = rng.integers(size)
        columns[name] = column
    before, after = build_index(events, split), build_index(replace(events, columns=columns), split)
    assert before.as_of == after.as_of
    assert_same_profiles(before, after)


def test_events_at_or_after_as_of_change_nothing(events):
    as_of = int(np.median(events.time))
    early = build_index(events, events.time < as_of, as_of=as_of)
    everything = build_index(events, as_of=as_of)
    assert np.any(events.time == as_of)
    assert_same_profiles(early, everything)


def test_as_of_is_the_cut_or_just_after_the_last_event_used(events, split):
    assert build_index(events, split).as_of == split.cut_valid
    assert build_index(events).as_of == events.time.max() + 1
    untimed = replace(
        events, columns={**events.columns, "time": np.full(len(events), NO_TIME)}, time_kind="none"
    )
    assert build_index(untimed).as_of == NO_TIME
    assert len(build_index(untimed).similar("u1", 3)) == 3


def test_evidence_adds_up_to_the_numerator_of_the_cosine(events, split, index):
    config = index.config.similarity
    raw = {
        field: matrix.toarray()
        for field, matrix in profiles(events, split.is_train, index.as_of).items()
    }
    some_items = some_terms = 0
    for u in range(len(index)):
        for neighbour in index.similar(index.users.ids[u], 5):
            v = index.users.row(neighbour.user_id)
            present = {f: bool(p[u].any() or p[v].any()) for f, p in raw.items()}
            total = config.item_share * present["item"] + config.term_share * present["term"]
            for field, share, shared in (
                ("item", config.item_share, neighbour.shared_items),
                ("term", config.term_share, neighbour.shared_terms),
            ):
                p, q = raw[field][u], raw[field][v]
                numerator = float(p @ q)
                norm = np.linalg.norm(p) * np.linalg.norm(q)
                got = sum(entry.contribution for entry in shared) * total / share * norm
                assert got == pytest.approx(numerator, rel=1e-6)
                ids = {index.vocabularies[field].ids[x] for x in np.flatnonzero(p * q)}
                assert {entry.id for entry in shared} == ids
                values = [entry.contribution for entry in shared]
                assert values == sorted(values, reverse=True)
            everything = neighbour.shared_items + neighbour.shared_terms
            assert sum(e.contribution for e in everything) == pytest.approx(neighbour.cosine)
            assert sum(e.share for e in everything) == pytest.approx(1)
            shrunk = neighbour.cosine * len(everything) / (len(everything) + config.shrinkage)
            assert neighbour.similarity == pytest.approx(shrunk, rel=1e-6)
            some_items += len(neighbour.shared_items)
            some_terms += len(neighbour.shared_terms)
    assert some_items > 50
    assert some_terms > 50


def test_a_shared_event_one_half_life_earlier_halves_its_term():
    day = 86_400_000
    products = []
    for age in (1, 8):
        rows = [
            (0, (30 - age) * day, RECOMMEND, CLICK, 0, NO_ROW, 0),
            (0, 29 * day, RECOMMEND, CLICK, 1, NO_ROW, 1),
            (1, 29 * day, RECOMMEND, CLICK, 0, NO_ROW, 2),
        ]
        world = make_events(rows, num_users=2, num_items=2)
        item = profiles(world, np.ones(3, bool), 30 * day)["item"].toarray()
        products.append(float(item[0] @ item[1]))
    assert products[1] == pytest.approx(products[0] / 2, rel=1e-12)


def duplicates_world():
    """u1 does what u0 does, u2 half of it; u3 does nothing, u4 something of its own."""
    rows = [(user, t, RECOMMEND, CLICK, t, NO_ROW, t) for user in (0, 1) for t in range(6)]
    rows += [(2, t, RECOMMEND, CLICK, t, NO_ROW, t) for t in range(3)]
    rows += [(4, 1, RECOMMEND, CLICK, 6, NO_ROW, 1)]
    return make_events(rows, num_users=5, num_items=7)


def test_duplicates_are_left_out_and_counted():
    found = build_index(duplicates_world()).similar("u0", 10)
    assert [n.user_id for n in found] == ["u2"]
    assert found.num_duplicates == 1
    keep = IndexConfig(similarity=SimilarityConfig(max_jaccard=1.0))
    kept = build_index(duplicates_world(), config=keep).similar("u0", 10)
    assert [n.user_id for n in kept] == ["u1", "u2"]
    assert kept.num_duplicates == 0


def test_no_neighbours_comes_with_a_reason():
    index = build_index(duplicates_world())
    for user_id, reason in (("u3", "chose no item"), ("u4", "no other user shares")):
        found = index.similar(user_id)
        assert len(found) == 0
        assert reason in found.reason
        assert found.to_frame().empty
    only_twins = duplicates_world().select(np.isin(duplicates_world().user, (0, 1)))
    assert "are duplicates" in build_index(only_twins).similar("u0").reason


def test_an_unknown_user_is_an_error_that_names_the_nearest(index):
    with pytest.raises(UnknownIdError, match=r"unknown id 'u299'.*did you mean") as caught:
        index.similar("u299")
    assert caught.value.exit_code == 2
    with pytest.raises(BadInputError, match="got k = 0"):
        index.similar("u1", 0)


def test_all_neighbours_equal_the_answers_one_by_one(index):
    ranked = index.all_neighbours(4)
    assert ranked.rows.shape == (30, 4)
    for user in range(30):
        one = index.similar(index.users.ids[user], 4)
        rows = [row for row, _ in ranked.valid(user)]
        assert [n.user_id for n in one] == [index.users.ids[row] for row in rows]
        assert [n.similarity for n in one] == [score for _, score in ranked.valid(user)]


def test_edges_become_a_part_of_the_graph(events, split, index):
    graph = build_graph(events, split, extra_edges={SIMILAR_TO: index.edges(3)})
    table = graph.edges[SIMILAR_TO]
    ranked = index.all_neighbours(3)
    assert len(table) == np.sum(ranked.rows != NO_ROW)
    first = table.take(table.from_row == 7)
    assert first.to_row.tolist() == [row for row, _ in ranked.valid(7)]
    assert first.weight.tolist() == [score for _, score in ranked.valid(7)]
    assert np.all(table.time == NO_TIME)


def test_a_saved_index_answers_the_same(tmp_path, events, split):
    config = IndexConfig(profile=ProfileConfig(item_half_life=3, click_weight=2))
    index = build_index(events, split, config=config)
    saved = index.save(tmp_path / "index")
    loaded = UserIndex.load(tmp_path / "index")
    assert loaded.content_hash == saved.content_hash != ""
    assert (loaded.config, loaded.as_of, loaded.name) == (config, index.as_of, index.name)
    assert loaded.similar("u3", 5) == index.similar("u3", 5)
    np.testing.assert_array_equal(loaded.all_neighbours(5).rows, index.all_neighbours(5).rows)
    with pytest.raises(ArtifactError, match="holds 'index', expected 'events'"):
        type(events).load(tmp_path / "index")


def test_an_index_knows_its_events(tmp_path, events):
    saved = events.save(tmp_path / "events")
    assert build_index(saved).parents == {"events": saved.content_hash}


def test_similar_users_is_the_index_in_one_call(events, split, index):
    assert similar_users(events, "u5", 4, split=split) == index.similar("u5", 4)


def test_the_frame_names_what_is_shared(index):
    found = index.similar("u2", 3)
    frame = found.to_frame(num_shown=1)
    assert frame["user_id"].tolist() == [n.user_id for n in found]
    best = found[0].shared_items
    assert frame["shared_items"][0].startswith(best[0].name)
    assert len(best) == 1 or f"(+{len(best) - 1})" in frame["shared_items"][0]


def test_describe_counts_users_and_entries(events, split, index):
    frame = index.describe().set_index("field")
    for field, profile in profiles(events, split.is_train, index.as_of).items():
        sizes = np.diff(profile.indptr)
        assert frame.loc[field, "users"] == np.sum(sizes > 0)
        assert frame.loc[field, "entries"] == sizes.sum()
        assert frame.loc[field, "max"] == sizes.max()


def test_sums_of_ones_own_are_checked_and_may_name_an_entry_twice(events, split, index):
    sums = profile_sums(events, split.is_train, index.as_of)
    whole, _ = index.search_profiles(sums, 5)
    expected, _ = index.search(np.arange(len(index)), 5)
    nobody, _ = index.search_profiles(sums, 5, excluded=np.arange(len(index)))
    np.testing.assert_array_equal(nobody.rows, expected.rows)
    np.testing.assert_array_equal(whole.rows, expected.rows)  # one's own profile is a copy
    twice = {}
    for field, part in sums.items():
        indptr, order = part.indptr * 2, np.repeat(np.arange(part.nnz), 2)
        twice[field] = csr_array((part.data[order] / 2, part.indices[order], indptr), part.shape)
    again, _ = index.search_profiles(twice, 5)
    np.testing.assert_array_equal(again.rows, whole.rows)
    wide = {**sums, "item": csr_array((3, 1000))}
    with pytest.raises(BadInputError, match="sums over 1000 of field 'item'"):
        index.search_profiles(wide, 5)
