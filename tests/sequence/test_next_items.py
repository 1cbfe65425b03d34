"""Windows and targets: each target once, after all that is strictly older and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch

from sargraph.core.errors import DataError
from sargraph.core.types import NO_TIME
from sargraph.events.events import Events
from sargraph.events.split import Split, SplitConfig, split_events
from sargraph.sequence.next_items import NextItemBatch, NextItemData

Make = Callable[..., Events]


def _data(events: Events, split: Split | None = None, **options: object) -> NextItemData:
    split = split or split_events(events, SplitConfig(), seed=0)
    settings = {"max_events": 4, "batch_size": 10, **options}
    return NextItemData(events, split, **settings)


def _epoch(data: NextItemData, seed: int = 0) -> list[NextItemBatch]:
    return list(data.batches(torch.Generator().manual_seed(seed)))


def _told(batches: list[NextItemBatch]) -> Counter[tuple[tuple[int, ...], int]]:
    """(the items up to where a target is asked, the target), counted."""
    found: Counter[tuple[tuple[int, ...], int]] = Counter()
    for batch in batches:
        for row, slot, target in zip(
            batch.row.tolist(), batch.slot.tolist(), batch.target.tolist(), strict=True
        ):
            found[tuple(batch.items[row, : slot + 1].tolist()), target] += 1
    return found


def _naive(events: Events, split: Split, max_events: int) -> Counter[tuple[tuple[int, ...], int]]:
    """Every choice after the window of strictly older ones; windows counted from the end."""
    found: Counter[tuple[tuple[int, ...], int]] = Counter()
    kept = [
        n for n in range(len(events))
        if split.is_train[n] and split.visible[n] and events.is_positive[n]
    ]  # fmt: skip
    for user in range(len(events.users)):
        own = [n for n in kept if events.user[n] == user]
        for n in own:
            older = [m for m in own if events.time[m] < events.time[n]]
            if older:
                place = len(older) - 1  # in the user's choices, which rise in time
                from_end = len(own) - 1 - place
                start = max(0, len(own) - (from_end // max_events + 1) * max_events)
                items = tuple(int(events.item[m]) for m in own[start : place + 1])
                found[items, int(events.item[n])] += 1
    return found


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("max_events", [1, 3, 50])
def test_targets_and_their_histories_are_the_naive_ones(random_events: Make, seed, max_events):
    events = random_events(seed, untimed=0.0)
    split = split_events(events, SplitConfig(), seed=0)
    data = _data(events, split, max_events=max_events)
    told = _told(_epoch(data))
    assert told == _naive(events, split, max_events)
    assert sum(told.values()) == data.counts["targets"]


@pytest.mark.parametrize("seed", range(4))
def test_padding_comes_last_and_windows_are_short(random_events: Make, seed):
    for batch in _epoch(_data(random_events(seed), max_events=3)):
        assert batch.items.shape[1] <= 3
        valid = batch.items >= 0
        assert torch.equal(valid, valid.sort(dim=1, descending=True).values)
        assert bool(valid[batch.row, batch.slot].all())
        assert bool(valid[:, -1].any())  # no column that is padding alone


def test_batches_hold_about_so_many_targets_each(random_events: Make):
    data = _data(random_events(0, num_rec=900), batch_size=50)
    sizes = [len(batch.target) for batch in _epoch(data)]
    assert sum(sizes) == data.counts["targets"]
    assert max(sizes) < 50 + 4 * 2  # a window goes whole into a batch
    assert len(sizes) <= sum(sizes) / 50 + 1


def test_batches_are_of_like_length_and_in_random_order(random_events: Make):
    data = _data(random_events(0, num_rec=900), max_events=50, batch_size=30)
    filled = [float((b.items >= 0).float().mean()) for b in _epoch(data)]
    assert np.mean(filled) > 0.7
    first, again, other = (_epoch(data, seed) for seed in (1, 1, 2))
    assert all(torch.equal(a.items, b.items) for a, b in zip(first, again, strict=True))
    assert [len(b.row) for b in first] != [len(b.row) for b in other] or any(
        not torch.equal(a.items, b.items) for a, b in zip(first, other, strict=True)
    )


def test_untimed_choices_have_an_order_of_their_own_in_each_epoch(make_events: Make):
    events = make_events([{"time": NO_TIME, "item": t} for t in range(8)] + [{"time": 5}])
    everything = np.zeros(len(events), dtype=np.int8)
    split = Split(everything, NO_TIME, NO_TIME, everything.astype(bool), False, {})
    data = _data(events, split, max_events=50)
    told = [_told(_epoch(data, seed)) for seed in range(2)]
    assert told[0] != told[1]
    for found in told:
        assert sum(found.values()) == 7  # the first drawn follows nothing
        assert all(target not in items for items, target in found)


def test_choices_of_one_moment_never_see_each_other(make_events: Make):
    rows = [{"time": time, "item": item} for time, item in ((1, 0), (2, 1), (2, 2), (3, 3))]
    told = _told(_epoch(_data(make_events(rows), _all_train(make_events(rows)))))
    assert told == Counter({((0,), 1): 1, ((0,), 2): 1, ((0, 1, 2), 3): 1})


def _all_train(events: Events, twins: bool = False) -> Split:
    part = np.zeros(len(events), dtype=np.int8)
    return Split(part, NO_TIME, NO_TIME, part.astype(bool), twins, {})


def test_with_twins_a_repeated_item_is_no_target(make_events: Make):
    rows = [{"time": time, "item": item} for time, item in enumerate((4, 5, 4, 6))]
    events = make_events(rows)
    kept = _data(events, _all_train(events))
    dropped = _data(events, _all_train(events, twins=True))
    assert ((4, 5), 4) in _told(_epoch(kept))
    assert _told(_epoch(dropped)) == Counter({((4,), 5): 1, ((4, 5, 4), 6): 1})
    assert (kept.counts["repeated"], dropped.counts["repeated"]) == (0, 1)


def test_loss_on_limits_targets_and_seen_limits_what_is_read(make_events: Make):
    events = make_events([{"time": time, "item": time} for time in range(5)])
    late = events.time >= 3
    told = _told(_epoch(_data(events, _all_train(events), loss_on=late, max_events=9)))
    assert told == Counter({((0, 1, 2), 3): 1, ((0, 1, 2, 3), 4): 1})
    even = events.time % 2 == 0
    told = _told(_epoch(_data(events, _all_train(events), seen=even, max_events=9)))
    assert told == Counter({((0,), 2): 1, ((0, 2), 4): 1})


def test_first_choices_are_counted_and_shared_out(make_events: Make):
    rows = [{"user": u, "time": t, "item": 3 if t == 0 else u} for u in range(4) for t in range(3)]
    data = _data(make_events(rows), _all_train(make_events(rows)))
    share = _epoch(data)[0].first_share
    assert data.counts["first"] == 4
    assert share.tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_first_choices_count_even_where_the_loss_is_on_later_ones(make_events: Make):
    rows = [{"user": u, "time": t, "item": 3 if t == 0 else u} for u in range(4) for t in range(3)]
    events = make_events(rows)
    later = _data(events, _all_train(events), loss_on=events.time >= 1)
    assert (later.counts["first"], later.counts["targets"]) == (4, 8)
    assert _epoch(later)[0].first_share[3] == 1
    unread = _data(events, _all_train(events), seen=events.user > 0, loss_on=events.time >= 1)
    assert unread.counts["first"] == 3


def test_nothing_that_follows_is_refused(make_events: Make):
    events = make_events([{"user": user, "time": 1, "item": user} for user in range(5)])
    with pytest.raises(DataError, match="no choice that follows"):
        _data(events, _all_train(events))
