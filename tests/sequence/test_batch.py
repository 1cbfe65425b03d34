"""Training data: which requests, which negatives, and how an epoch is cut."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Events
from sargraph.events.schema import IMPRESSION, SEARCH
from sargraph.events.split import SplitConfig, split_events
from sargraph.sequence.batch import JointBatch, SequenceData

Make = Callable[..., Events]


def _data(events: Events, twins: bool = False, **options: int) -> SequenceData:
    split = split_events(events, SplitConfig(twins=twins), seed=0)
    return SequenceData(events, split, **options)


def _epoch(data: SequenceData, seed: int = 0) -> list[JointBatch]:
    return list(data.batches(torch.Generator().manual_seed(seed)))


def test_a_request_for_every_training_choice(random_events: Make) -> None:
    events = random_events(0)
    split = split_events(events, SplitConfig(), seed=0)
    data = SequenceData(events, split)
    chosen = np.flatnonzero(split.is_train & events.is_positive)
    made = np.concatenate([task.requests.event for task in data.tasks.values()])
    assert sorted(made) == chosen.tolist()
    assert (data.tasks["recommend"].requests.query == NO_ROW).all()
    assert (data.tasks["search"].requests.query != NO_ROW).all()


@pytest.mark.parametrize("seed", range(3))
def test_histories_hold_only_older_training_events(random_events: Make, seed: int) -> None:
    events = random_events(seed, untimed=0.0)
    split = split_events(events, SplitConfig(), seed=0)
    data = SequenceData(events, split)
    for task in data.tasks.values():
        histories = task.histories
        for n in range(len(task)):
            own = events.user == task.requests.user[n]
            older = own & split.is_train & (events.time < task.requests.as_of[n])
            rec = set(events.item[older & events.is_recommend & events.is_positive].tolist())
            assert set(histories.rec_item[n].tolist()) - {NO_ROW} <= rec
            opened_by = histories.searches.opened_by[histories.search[n]]
            assert older[opened_by[opened_by != NO_ROW]].all()


def test_an_untimed_choice_sees_the_other_ones_and_what_is_before_the_cut(
    make_events: Make,
) -> None:
    search = {"source": SEARCH, "query": 1}
    untimed = [{"time": NO_TIME, "item": item} for item in (1, 2, 3)]
    timed = [{**search, "time": t, "item": i, "session": t} for t, i in ((1, 2), (2, 7), (9, 8))]
    more = [{"time": t, "item": 10, "user": 1} for t in (1, 2, 3, 4, 5, 6, 8)]
    events = make_events([*untimed, *timed, *more])
    config = SplitConfig(untimed_share=0.0, valid_share=0.1, test_share=0.1)
    split = split_events(events, config, seed=0)
    assert split.cut_valid == 8
    data = SequenceData(events, split)
    recommend = data.tasks["recommend"]
    n = int(np.flatnonzero(recommend.requests.target == 2)[0])
    assert recommend.requests.as_of[n] == 8
    batch = recommend.histories.batch(np.array([n]))
    assert batch.rec_item[0, :3].tolist() == [1, 3, NO_ROW]
    # The search that led to item 2 is the same pair; the one at time 9 is after the cut.
    assert batch.search_item[batch.search_item != NO_ROW].tolist() == [7]
    assert batch.rec_rank[0, :2].tolist() == [0, 0] and batch.search_rank[0, 0] == 1


def test_every_request_once_per_epoch_and_all_tasks_finish_together(random_events: Make) -> None:
    data = _data(random_events(1), batch_size=16)
    batches = _epoch(data)
    assert len(batches) == data.num_steps > 1
    for task, made in data.tasks.items():
        sizes = [len(batch.tasks[task].query) for batch in batches]
        assert max(sizes) - min(sizes) <= 1 and max(sizes) <= 16
        positives = torch.cat([batch.tasks[task].candidates[:, 0] for batch in batches])
        assert sorted(positives.tolist()) == sorted(made.requests.target.tolist())


def test_u4_no_batch_of_one_is_left_over(random_events: Make) -> None:
    """1 + k * batch_size requests used to end in a batch of one sample."""
    data = _data(random_events(1))
    largest = max(len(made) for made in data.tasks.values())
    again = _data(random_events(1), batch_size=largest - 1)
    task = max(again.tasks, key=lambda name: len(again.tasks[name]))
    sizes = [len(batch.tasks[task].query) for batch in _epoch(again)]
    assert len(sizes) == 2 and min(sizes) > 1


def test_negatives_are_never_known_and_cover_all_others(random_events: Make) -> None:
    events = random_events(2)
    split = split_events(events, SplitConfig(), seed=0)
    data = SequenceData(events, split, num_negatives=50)
    chosen = events.is_positive & split.is_train
    known = {
        (int(u), int(i)) for u, i in zip(events.user[chosen], events.item[chosen], strict=True)
    }
    drawn: set[tuple[int, int]] = set()
    for batch in _epoch(data):
        for requests in batch.tasks.values():
            assert requests.candidates.shape[1] == 51
            for user, items in zip(requests.history.user, requests.candidates[:, 1:], strict=True):
                drawn |= {(int(user), int(item)) for item in items}
    assert not drawn & known
    assert drawn == {(u, i) for u, _ in drawn for i in range(12)} - known


def test_negatives_are_drawn_afresh_and_depend_on_the_generator_alone(random_events: Make) -> None:
    data = _data(random_events(2))
    first, again, other = (_epoch(data, seed)[0].tasks["recommend"] for seed in (0, 0, 1))
    assert torch.equal(first.candidates, again.candidates)
    assert not torch.equal(first.candidates.sort(0)[0], other.candidates.sort(0)[0])


def test_a_user_who_chose_everything_gets_no_negative(make_events: Make) -> None:
    rows = [{"time": t, "item": t % 2} for t in range(20)]
    some = [{"time": t, "item": 0, "user": 1} for t in range(20)]
    batch = _epoch(_data(make_events([*rows, *some], num_items=2)))[0].tasks["recommend"]
    all_known = batch.history.user == 0
    assert (batch.candidates[:, 0] >= 0).all()
    assert (batch.candidates[all_known, 1:] == NO_ROW).all()
    assert (batch.candidates[~all_known, 1:] == 1).all()


def test_without_any_choice_there_is_nothing_to_train_on(make_events: Make) -> None:
    events = make_events([{"time": t, "item": 1, "action": IMPRESSION} for t in range(5)])
    with pytest.raises(DataError):
        _data(events)


def test_one_task_alone(make_events: Make) -> None:
    data = _data(make_events([{"time": t, "item": t % 3} for t in range(20)], num_queries=0))
    batch = _epoch(data)[0]
    assert list(batch.tasks) == ["recommend"]
    assert len(batch.negative_items) == 1024 and len(batch.negative_queries) == 0
