"""Continuations against plain loops, and that nothing late or held out is in them."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW
from sargraph.events.events import Events
from sargraph.events.schema import CLICK, RECOMMEND, SEARCH
from sargraph.events.searches import search_numbers
from sargraph.events.split import (
    TEST,
    TRAIN,
    VALID,
    Split,
    SplitConfig,
    requests_for,
    split_events,
)
from sargraph.neighbours.continuations import (
    ContinuationConfig,
    ContinuationReader,
    Continuations,
    default_slices,
)
from sargraph.neighbours.probes import ALWAYS, ProbeReader
from sargraph.neighbours.profile import ProfileConfig, used_events
from sargraph.testing.continuation_oracle import (
    PlainIndex,
    own_rows,
    plain_continuation,
    profile_sums,
)
from sargraph.testing.events import Row, make_events, random_events

KINDS = {"time": SplitConfig(), "last": SplitConfig(kind="leave_last_out"),
         "twins": SplitConfig(kind="leave_last_out", twins=True)}  # fmt: skip


def world(seed: int, untimed: float = 0.1, time_kind: str = "ms", **options) -> Events:
    rng = np.random.default_rng(seed)
    events = random_events(rng, untimed_share=untimed, **options)
    if time_kind == "ms":
        return events
    place = np.where(events.is_timed, events.time // 1000, events.time)
    return replace(events, time_kind=time_kind, columns={**events.columns, "time": place})


def reader(events: Events, split: Split, **options) -> ContinuationReader:
    known = split.is_train & split.visible
    settings = ContinuationConfig(**{"k": 3, "max_events": 4, **options})
    return ContinuationReader(
        events, known, split.visible, settings, drop_target=split.twins, index_of=PlainIndex.build
    )


def all_requests(events: Events, split: Split) -> Requests:
    parts = [requests_for(events, split, part, source)
             for part in (TRAIN, VALID, TEST) for source in ("search", "recommend")]  # fmt: skip
    names = [field.name for field in fields(Requests)]
    return Requests(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def same(one: Continuations, other: Continuations) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Continuations)
    )


@pytest.mark.parametrize("time_kind", ["ms", "ordinal"])
@pytest.mark.parametrize("kind", KINDS)
def test_probes_are_what_plain_loops_add_up(kind, time_kind):
    events = world(0, time_kind=time_kind)
    split = split_events(events, KINDS[kind])
    fading = {"item_half_life": 1e-4, "term_half_life": 3e-4} if time_kind == "ms" else {}
    requests = all_requests(events, split).take(np.arange(0, 200, 5))
    for by in ("both", "search", "recommend"):
        config = ProfileConfig(impression_weight=0.2, source=by, **fading)
        read = ProbeReader(events, split.visible, config, drop_target=split.twins)
        found = read.read(requests)
        for n in range(len(requests)):
            expected = _plain_probe(events, split, requests, n, config)
            for field, sums in expected.items():
                row = found.sums[field][[n]].toarray()[0]
                np.testing.assert_allclose(
                    row, [sums.get(x, 0.0) for x in range(len(row))], rtol=1e-9, atol=1e-300
                )


def _plain_probe(events, split, requests, n, config):
    user, as_of, event, target = (
        int(column[n]) for column in (requests.user, requests.as_of, requests.event,
                                      requests.target)
    )  # fmt: skip
    number = search_numbers(events)
    mask = used_events(events, split.visible, ALWAYS, config)
    rows = own_rows(events, split.visible, user, as_of, event)
    to_target = {
        s for s in {int(number[r]) for r in rows} - {NO_ROW}
        if {int(events.item[r]) for r in rows if number[r] == s and events.is_positive[r]}
        == {target}
    } if split.twins else set()  # fmt: skip
    on_target = [r for r in rows if split.twins and events.item[r] == target]
    items = profile_sums(events, [r for r in rows if mask[r] and r not in on_target], as_of, config)
    searched = [r for r in rows if mask[r] and number[r] != number[event]
                and number[r] not in to_target]  # fmt: skip
    terms = profile_sums(events, searched, as_of, config)
    return {"item": items["item"], "term": terms["term"]}


@pytest.mark.parametrize("time_kind", ["ms", "ordinal"])
@pytest.mark.parametrize("kind", KINDS)
def test_continuations_are_the_plain_ones(kind, time_kind):
    events = world(1, time_kind=time_kind)
    split = split_events(events, KINDS[kind])
    read = reader(events, split)
    requests = all_requests(events, split)
    found = read.read(requests)
    has_clock, seen = time_kind == "ms", 0
    for n in range(len(requests)):
        as_of, event = int(requests.as_of[n]), int(requests.event[n])
        own = [int(events.item[r])
               for r in own_rows(events, split.visible, int(requests.user[n]), as_of, event)
               if events.is_positive[r]
               and not (split.twins and events.item[r] == requests.target[n])]  # fmt: skip
        assert found.activity[n] == len(own)
        for rank in range(3):
            neighbour = found.neighbour[n, rank]
            pairs = list(zip(found.item[n, rank].tolist(), found.step[n, rank].tolist(),
                             strict=True))  # fmt: skip
            if neighbour == NO_ROW:
                assert pairs == [(NO_ROW, 0)] * 4 and found.similarity[n, rank] == 0
                continue
            theirs = [int(events.item[r]) for r in range(len(events))
                      if events.user[r] == neighbour and events.is_positive[r]
                      and split.is_train[r] and split.visible[r]
                      and (events.time[r] < as_of or not has_clock)]  # fmt: skip
            expected = plain_continuation(own, theirs, 4)
            assert pairs == (expected + [(NO_ROW, 0)] * 4)[:4]
            assert neighbour != requests.user[n] and found.similarity[n, rank] > 0
            seen += len(expected)
    assert seen > 100


def test_a_request_finds_the_neighbours_of_the_latest_index_not_after_it():
    events = world(2)
    split = split_events(events, SplitConfig())
    read, requests = reader(events, split), all_requests(events, split)
    found, slices = read.read(requests), read.slices
    assert len(slices) > 5 and (np.diff(slices) > 0).all()
    probes = ProbeReader(events, split.visible, ProfileConfig()).read(requests)
    for n in range(0, len(requests), 17):
        known = slices[slices <= requests.as_of[n]]
        mask = split.is_train & split.visible
        config = ContinuationConfig().index
        index = PlainIndex.build(events, mask, as_of=int(known[-1]), config=config)
        mine = {kind: sums[[n]] for kind, sums in probes.sums.items()}
        ranked, _ = index.search_profiles(mine, 3, excluded=requests.user[[n]])
        assert found.neighbour[n].tolist() == ranked.rows[0].tolist()


def test_logs_without_a_clock_have_one_index_of_all_training_events():
    events = world(2, time_kind="ordinal")
    split = split_events(events, SplitConfig(kind="leave_last_out"))
    known = split.is_train
    latest = events.time[known & events.is_timed].max()
    assert default_slices(events, known).tolist() == [latest + 1]


@pytest.mark.parametrize("neighbours", ["similar", "random", "own"])
@pytest.mark.parametrize("seed", range(2))
def test_what_happens_at_or_after_a_request_changes_nothing(neighbours, seed):
    """Late events of all users, and all held-out ones of others, get other items and users."""
    events = world(seed + 5, num_times=30)
    split = split_events(events, SplitConfig())
    requests = all_requests(events, split)
    slices = default_slices(events, split.is_train)
    rng = np.random.default_rng(seed)
    for as_of in rng.choice(np.unique(requests.as_of), 4, replace=False):
        asked = requests.take(np.flatnonzero(requests.as_of == as_of))
        late = events.time >= as_of
        late |= (split.part != TRAIN) & ~np.isin(events.user, asked.user)
        item = np.where(late, rng.permutation(events.item), events.item)
        query = np.where(late & events.is_search, rng.permutation(events.query), events.query)
        query = np.where(late & events.is_search & (query < 0), 0, query)
        edited = replace(events, columns={**events.columns, "item": item, "query": query})
        found = []
        for one in (events, edited):
            known = split.is_train & split.visible
            settings = ContinuationConfig(k=3, max_events=4, neighbours=neighbours)
            found.append(ContinuationReader(one, known, split.visible, settings, slices=slices,
                                            index_of=PlainIndex.build).read(asked))  # fmt: skip
        assert same(*found)


@pytest.mark.parametrize("time_kind", ["ms", "ordinal"])
def test_held_out_events_change_nothing_in_training(time_kind):
    events = world(3, time_kind=time_kind, untimed=0.0)
    split = split_events(events, SplitConfig(kind="leave_last_out"))
    requests = requests_for(events, split, TRAIN, "recommend")
    rng = np.random.default_rng(0)
    item = np.where(split.is_train, events.item, rng.permutation(events.item))
    edited = replace(events, columns={**events.columns, "item": item})
    assert same(reader(events, split).read(requests), reader(edited, split).read(requests))


def test_requests_do_not_depend_on_each_other():
    events = world(4)
    split = split_events(events, SplitConfig())
    requests = all_requests(events, split)
    for neighbours in ("similar", "random", "own"):
        read = reader(events, split, neighbours=neighbours)
        together = read.read(requests)
        rows = np.random.default_rng(0).permutation(len(requests))[:30]
        assert same(read.read(requests.take(rows)), together.take(rows))


def test_similar_by_one_source_is_blind_to_the_other():
    events = world(6, untimed=0.0)
    split = split_events(events, SplitConfig())
    asked = requests_for(events, split, TEST, "recommend")
    for by, other in (("search", RECOMMEND), ("recommend", SEARCH)):
        read = reader(events, split, by=by).read(asked)
        is_other = events.columns["source"] == other
        item = np.where(is_other, np.random.default_rng(0).permutation(events.item), events.item)
        again = replace(events, columns={**events.columns, "item": item})
        found = reader(again, split, by=by).read(asked)
        assert np.array_equal(found.neighbour, read.neighbour)
        assert np.array_equal(found.similarity, read.similarity)


def planted() -> Events:
    """User 0 follows users 1 and 2; user 3 shares a word alone; user 4 nothing."""
    lists = {0: [0, 1, 2], 1: [0, 1, 2, 3, 4], 2: [9, 2, 8, 0, 7], 3: [10, 11], 4: [12]}
    rows: list[Row] = [
        (user, time, RECOMMEND, CLICK, item, NO_ROW, NO_ROW)
        for user, items in lists.items() for time, item in enumerate(items)
    ]  # fmt: skip
    rows += [(user, 0, SEARCH, 0, 13, 0, 90 + user) for user in (0, 3)]
    return make_events(rows, num_users=5, num_items=14, query_terms=[[0]], time_kind="ordinal")


def test_it_reads_on_after_the_newest_shared_item_then_back():
    events = planted()
    everything = np.ones(len(events), dtype=bool)
    ask = Requests(*(np.array([v]) for v in (0, NO_ROW, 9, 5, NO_ROW)))
    found = ContinuationReader(
        events, everything, everything, ContinuationConfig(k=4, max_events=4),
        index_of=PlainIndex.build,
    ).read(ask)  # fmt: skip
    of = {int(user): rank for rank, user in enumerate(found.neighbour[0])}
    assert set(of) == {1, 2, 3, NO_ROW}
    assert found.item[0, of[1]].tolist() == [3, 4, 1, 0]
    assert found.step[0, of[1]].tolist() == [1, 2, -1, -2]
    assert found.item[0, of[2]].tolist() == [8, 0, 7, 9]
    assert found.step[0, of[2]].tolist() == [1, 2, 3, -1]


def test_random_neighbours_match_in_activity_and_are_other_users():
    events = world(8, num_users=300, num_items=40, num_events=6000)
    split = split_events(events, SplitConfig())
    asked = requests_for(events, split, TEST, "recommend").take(np.arange(12))
    similar, random = (
        reader(events, split, neighbours=kind).read(asked) for kind in ("similar", "random")
    )
    has = random.neighbour != NO_ROW
    assert has.mean() > 0.9
    assert (random.neighbour != asked.user[:, None]).all()
    assert (random.neighbour != similar.neighbour)[has].all()
    count = np.bincount(events.user[split.is_train & events.is_positive], minlength=300)
    buckets = [np.log2(count[c.neighbour[has]] + 1).astype(int) for c in (similar, random)]
    assert np.array_equal(*buckets)
    assert np.array_equal(similar.similarity[has], random.similarity[has])


def test_own_events_are_the_latest_and_steps_count_back():
    events = planted()
    everything = np.ones(len(events), dtype=bool)
    ask = Requests(*(np.array([v]) for v in (1, NO_ROW, 4, 5, NO_ROW)))
    settings = ContinuationConfig(k=2, max_events=3, neighbours="own")
    found = ContinuationReader(events, everything, everything, settings).read(ask)
    assert found.item[0].tolist() == [[3, 2, 1], [0, NO_ROW, NO_ROW]]
    assert found.step[0].tolist() == [[-1, -2, -3], [-1, 0, 0]]
    assert found.neighbour[0].tolist() == [1, 1]


def test_no_request_and_no_history_have_no_neighbours():
    events = planted()
    everything = np.ones(len(events), dtype=bool)
    read = ContinuationReader(
        events, everything, everything, ContinuationConfig(), index_of=PlainIndex.build
    )
    assert len(read.read(Requests.empty())) == 0
    nothing = read.read(Requests(*(np.array([v]) for v in (0, NO_ROW, 0, 5, NO_ROW))))
    assert (nothing.neighbour == NO_ROW).all() and nothing.activity.tolist() == [0]


@pytest.mark.parametrize("time_kind", ["ms", "ordinal"])
def test_the_index_gives_what_the_plain_one_does(time_kind):
    events = world(9, time_kind=time_kind, num_users=40, num_items=60, num_events=900)
    split = split_events(events, SplitConfig())
    requests = all_requests(events, split)
    known = split.is_train & split.visible
    plain = reader(events, split).read(requests)
    found = ContinuationReader(
        events, known, split.visible, ContinuationConfig(k=3, max_events=4)
    ).read(requests)
    np.testing.assert_allclose(found.similarity, plain.similarity, rtol=1e-5, atol=1e-7)
    assert (found.neighbour == plain.neighbour).mean() > 0.99  # but for ties
    settings = {"profile": {"transition": "S2R"}}
    if time_kind == "ms":
        by_transition = ContinuationConfig(k=3, max_events=4, index=settings)
        other = ContinuationReader(events, known, split.visible, by_transition).read(requests)
        assert (other.neighbour != found.neighbour).any() and (other.neighbour != NO_ROW).any()


def test_settings_that_cannot_be_met_are_refused():
    with pytest.raises(ValueError, match="measure"):
        ContinuationConfig(index={"measure": "stan"})
    with pytest.raises(ValueError, match="source"):
        ContinuationConfig(by="search", index={"profile": {"source": "recommend"}})
