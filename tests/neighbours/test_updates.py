"""Users who come and go: answers as of brute force over whoever is there, old objects unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.errors import BadInputError, UnknownIdError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW
from sargraph.events.events import Categories
from sargraph.events.vocabulary import Vocabulary
from sargraph.neighbours.build import build_index
from sargraph.neighbours.index import UserIndex
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.profile import ProfileConfig
from sargraph.neighbours.updates import MAX_PARTS
from sargraph.testing.events import random_events
from sargraph.testing.index_oracle import assert_best, plain_idfs, plain_users

HALF_LIVES = ProfileConfig(item_half_life=0.0002, term_half_life=0.0003, category_half_life=0.0004)
CONFIG = IndexConfig(profile=HALF_LIVES)
NUM_OLD = 20


def world(seed, prefix, num_users=NUM_OLD, num_items=25, first_item=0, **options):
    """Random users `{prefix}0`, ... who choose from items `i{first_item}`, ... of 5 categories."""
    options = {"num_events": 15 * num_users, "untimed_share": 0.2, **options}
    events = random_events(
        np.random.default_rng(seed), num_users=num_users, num_items=num_items, **options
    )
    items = [f"i{first_item + place}" for place in range(num_items)]
    of_item = [[(first_item + place) % 5] for place in range(num_items)]
    names = Vocabulary([f"1/{place}" for place in range(5)])
    return replace(
        events,
        vocabularies={
            **events.vocabularies,
            "user": Vocabulary([f"{prefix}{place}" for place in range(num_users)]),
            "item": Vocabulary(items),
        },
        categories=Categories(names, np.ones(5, dtype=np.int64), Ragged.from_lists(of_item)),
    )


@pytest.fixture(scope="module")
def old():
    return world(0, "old")


@pytest.fixture(scope="module")
def index(old):
    return build_index(old, config=CONFIG)


@pytest.fixture(scope="module")
def idfs(old, index):
    return plain_idfs(old, index.as_of, HALF_LIVES)


def plain(events, index, idfs, config=CONFIG):
    """All users of some events as the index should compare them."""
    last = int(events.time[events.is_timed].max()) + 1
    return plain_users(events, max(last, index.as_of), config, idfs)


def assert_answers(index, users, k=6):
    """`index` answers for every user as brute force over `users` does."""
    num_found = 0
    for user_id, probe in users.items():
        others = {id_: other for id_, other in users.items() if id_ != user_id}
        found = [(n.user_id, n.similarity) for n in index.similar(user_id, k)]
        assert_best(found, probe, others, k, index.config)
        num_found += len(found)
    assert num_found > k * len(users) / 2


def answers(index, k=6):
    """Who is found for each user who is there, and how similar."""
    return {
        id_: [(n.user_id, n.similarity) for n in index.similar(id_, k)]
        for row, id_ in enumerate(index.users.ids)
        if index._home[row] != NO_ROW
    }


@pytest.mark.parametrize("measure", ["jaccard", "order_aware"])
def test_the_best_of_all_parts_together_are_put_in_order(old, measure):
    """As many as of one part, so that it does not matter when a user came."""
    config = CONFIG.model_copy(update={"measure": measure, "num_reranked": 4})
    later = old.select(old.user >= NUM_OLD // 2)
    whole = build_index(old, config=config)
    added = whole.remove(whole.users.ids[NUM_OLD // 2 :]).add(later)
    assert len(added.parts) == 2
    found = 0
    for user_id in whole.users.ids:
        mine, theirs = ([(n.user_id, n.similarity) for n in index.similar(user_id, 3)]
                        for index in (added, whole))  # fmt: skip
        assert [id_ for id_, _ in mine] == [id_ for id_, _ in theirs]
        assert [s for _, s in mine] == pytest.approx([s for _, s in theirs])
        found += len(mine)
    assert found > NUM_OLD


@pytest.mark.parametrize("measure", ["cosine", "jaccard", "stan", "order_aware"])
def test_new_users_are_found_and_find_as_in_brute_force_over_all(old, idfs, measure):
    config = CONFIG.model_copy(update={"measure": measure, "stan_days": 0.0005})
    index = build_index(old, config=config)
    late = world(1, "new", num_users=12, first_item=10, num_times=60)
    assert late.time.max() > old.time.max()
    more = index.add(late)
    assert len(more.parts) == 2
    everyone = {**plain(old, index, idfs, config), **plain(late, index, idfs, config)}
    assert len(everyone) == len(more) == NUM_OLD + 12
    assert_answers(more, everyone)


def test_what_the_index_does_not_know_is_counted_and_left_out(index, idfs):
    late = world(2, "new", num_users=12, first_item=15)
    more = index.add(late)
    unknown = sum(user.num_unknown for user in plain(late, index, idfs).values())
    assert unknown > 20
    assert more.counts == dict(users_added=12, users_replaced=0, unknown_entries=unknown)
    assert more.vocabularies["item"] == index.vocabularies["item"]
    twice = more.add(late)
    assert twice.counts == dict(users_added=12, users_replaced=12, unknown_entries=2 * unknown)


def test_unknown_terms_and_categories_are_counted_too(index, idfs):
    late = world(3, "new", num_users=4)
    strange = replace(
        late,
        vocabularies={**late.vocabularies, "term": Vocabulary([f"x{t}" for t in range(10)])},
        categories=replace(late.categories, vocabulary=Vocabulary([f"2/{c}" for c in range(5)])),
    )
    users = plain(strange, index, idfs)
    num_unknown = sum(user.num_unknown for user in users.values())
    assert num_unknown > 20
    more = index.add(strange)
    assert more.counts["unknown_entries"] == num_unknown
    assert not more.similar("new1")[0].shared_terms
    assert not more.similar("new1")[0].shared_categories


def test_the_events_of_the_index_added_again_change_no_answer(old, index):
    again = index.add(old)
    assert again.counts["users_replaced"] == len(np.unique(old.user))
    assert again.users == index.users
    before, after = answers(index), answers(again)
    for id_, found in before.items():
        assert [other for other, _ in found] == [other for other, _ in after[id_]]
        np.testing.assert_allclose(
            [score for _, score in found], [score for _, score in after[id_]], rtol=1e-6
        )


def test_a_replaced_user_is_found_by_the_new_history_alone(old, index, idfs):
    other = world(4, "old", num_users=5, first_item=5)
    changed = index.add(other)
    assert changed.counts["users_replaced"] == 5
    assert changed.users == index.users
    users = {**plain(old, index, idfs), **plain(other, index, idfs)}
    assert answers(changed) != answers(index)
    assert_answers(changed, users)


def test_removed_users_are_never_found_until_they_are_added_again(old, index, idfs):
    gone = ["old3", "old4", "old17"]
    less = index.remove(gone)
    users = plain(old, index, idfs)
    assert any(id_ in gone for found in answers(index).values() for id_, _ in found)
    assert_answers(less, {id_: user for id_, user in users.items() if id_ not in gone})
    for name in gone:
        with pytest.raises(UnknownIdError, match=f"user '{name}' was removed.*add it again"):
            less.similar(name)
    with pytest.raises(UnknownIdError, match="user 'old3' was removed"):
        less.search(np.array([0, 3]), 2)
    with pytest.raises(UnknownIdError, match="unknown id 'nobody'"):
        less.remove(["nobody"])
    back = less.add(old.select(np.isin(old.user, [3, 4, 17])))
    assert back.counts == {"users_added": 0, "users_replaced": 3, "unknown_entries": 0}
    assert_answers(back, users)


def test_many_parts_become_two_with_unchanged_answers(old, index, idfs):
    users, grown = plain(old, index, idfs), index
    for number in range(MAX_PARTS - 1):
        late = world(10 + number, f"n{number}_", num_users=4, first_item=number)
        users |= plain(late, index, idfs)
        grown = grown.add(late)
    grown = grown.remove(["n0_0", "n0_1", "n0_2", "n0_3", "n2_1", "old5"])
    users = {id_: u for id_, u in users.items() if grown._home[grown.users.row(id_)] != NO_ROW}
    assert len(grown.parts) == MAX_PARTS
    assert_answers(grown, users)
    last = world(30, "n2_", num_users=3)  # n2_0 to n2_2: one of them had been removed
    gathered = grown.add(last)
    assert len(gathered.parts) == 2
    assert all(part.alive.all() for part in gathered.parts[1:])
    assert_answers(gathered, {**users, **plain(last, index, idfs)})


def test_an_index_without_its_later_users_can_still_grow(old, index):
    late = world(5, "new", num_users=2)
    grown = index
    for _ in range(MAX_PARTS + 2):
        grown = grown.add(late).remove(["new0", "new1"])
    assert answers(grown) == answers(index)


def test_nobody_added_and_nobody_removed_change_nothing(old, index):
    nobody = index.add(old.select(np.zeros(len(old), dtype=bool)))
    assert answers(nobody) == answers(index)
    assert nobody.counts == {"users_added": 0, "users_replaced": 0, "unknown_entries": 0}
    assert answers(index.remove([])) == answers(index)


def test_an_index_of_nobody_can_grow():
    late = world(5, "new", num_users=6)
    vocabularies = {**late.vocabularies, "user": Vocabulary([])}
    nobody = late.select(np.zeros(len(late), dtype=bool))
    index = build_index(replace(nobody, vocabularies=vocabularies), config=CONFIG)
    assert (len(index), index.all_neighbours(3).rows.shape, len(index.edges())) == (0, (0, 3), 0)
    grown = index.add(late)
    assert [len(grown.similar(f"new{place}", 3)) for place in range(6)] == [3] * 6


def test_events_with_another_kind_of_time_are_refused(old, index):
    for kind in ("ordinal", "none"):
        with pytest.raises(BadInputError, match=f"time is '{kind}', expected 'ms'"):
            index.add(replace(old, time_kind=kind))


def test_the_old_index_answers_as_before(old, index):
    before, size, described = answers(index), index.num_bytes, index.describe()
    index.add(world(6, "new")).remove(["old1"])
    index.remove(["old2"]).add(world(7, "old", first_item=3))
    assert answers(index) == before
    assert (len(index), index.num_bytes, index.counts) == (NUM_OLD, size, {})
    assert index.describe().equals(described)


@pytest.fixture(scope="module", params=["cosine", "order_aware"])
def grown(request, old):
    index = build_index(old, config=CONFIG.model_copy(update={"measure": request.param}))
    return index.add(world(8, "new", num_users=9)).remove(["old7", "new2"])


def test_a_saved_index_of_several_parts_answers_the_same(tmp_path, grown):
    saved = grown.save(tmp_path / "index")
    loaded = UserIndex.load(tmp_path / "index")
    assert loaded.content_hash == saved.content_hash != ""
    assert loaded.counts == grown.counts
    assert len(loaded.parts) == 2
    for id_ in answers(grown):
        for exact in (True, False):
            assert loaded.similar(id_, 6, exact=exact) == grown.similar(id_, 6, exact=exact)
    with pytest.raises(UnknownIdError, match="'new2' was removed"):
        loaded.similar("new2")
    late = world(9, "late", num_users=3)
    assert answers(loaded.add(late)) == answers(grown.add(late))
    assert answers(loaded.remove(["old9"])) == answers(grown.remove(["old9"]))
    assert grown.remove(["old9"]).content_hash == "" == loaded.add(late).content_hash


def test_large_arrays_stay_on_disk(tmp_path, grown):
    grown.save(tmp_path / "index")
    for part in UserIndex.load(tmp_path / "index").parts:
        rows, postings, kept = part.profiled.rows, part.postings, part.profiled.sequences
        arrays = [rows.offsets, rows.entries, rows.values, postings.packed, postings.head,
                  postings.tail, part.profiled.categories.values,
                  part.profiled.transitions]  # fmt: skip
        arrays += [kept.offsets, kept.items, kept.last_time] if kept else []
        for array in arrays:
            assert type(array) is np.ndarray
            assert isinstance(array.base, np.memmap)
            assert not array.flags.writeable


def test_all_neighbours_and_edges_know_who_came_and_went(grown):
    ranked = grown.all_neighbours(4)
    assert ranked.rows.shape == (NUM_OLD + 9, 4)
    expected = answers(grown, 4)
    assert len(expected) == NUM_OLD + 9 - 2
    pairs = {}
    for row, id_ in enumerate(grown.users.ids):
        found = [(grown.users.ids[other], score) for other, score in ranked.valid(row)]
        assert found == expected.get(id_, [])
        pairs |= {(row, grown.users.row(other)): score for other, score in found}
    edges = grown.edges(4)
    got = zip(edges.from_row.tolist(), edges.to_row.tolist(), strict=True)
    assert dict(zip(got, edges.weight.tolist(), strict=True)) == pairs
    assert len(edges) == len(pairs) > 60


def test_describe_counts_the_users_who_are_there(old, grown, idfs):
    frame = grown.describe().set_index("field")
    late = world(8, "new", num_users=9)
    everyone = {**plain(old, grown, idfs), **plain(late, grown, idfs)}
    for field in ("item", "term", "category"):
        sizes = [len(u.bags[field]) for id_, u in everyone.items() if id_ not in ("old7", "new2")]
        assert frame.loc[field, "entries"] == sum(sizes)
        assert frame.loc[field, "users"] == sum(size > 0 for size in sizes)


def test_duplicates_in_any_part_are_left_out_and_counted(old, index):
    twins = Vocabulary([f"twin{place}" for place in range(NUM_OLD)])
    double = replace(old, vocabularies={**old.vocabularies, "user": twins})
    doubled = index.add(double)
    for user in range(NUM_OLD):
        found = doubled.similar(f"old{user}", 30)
        assert f"twin{user}" not in [n.user_id for n in found]
        assert found.num_duplicates >= 1
