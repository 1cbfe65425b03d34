"""Starts that know no target: what the graph holds, what the loss may ask, what is gained."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sargraph.core.errors import BadInputError
from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW
from sargraph.embedding.init_from import check_init_gain, init_embeddings
from sargraph.embedding.init_gain import init_gain
from sargraph.embedding.init_splits import EARLIER_SHARE, earlier_split, held_out_of_users
from sargraph.embedding.train import train
from sargraph.events.schema import CLICK, RECOMMEND, SEARCH
from sargraph.events.split import LEFT_OUT, TRAIN, VALID, SplitConfig, split_events
from sargraph.graph.audit import audit
from sargraph.graph.build import build_graph
from sargraph.graph.targets import targets_in_graph
from sargraph.testing.events import make_events, random_events
from sargraph.testing.leak_edits import World
from sargraph.testing.leaks import assert_training_unread

SPLITS = [
    SplitConfig(valid_share=0.15),
    SplitConfig(twins=True),
    SplitConfig(kind="leave_last_out"),
    SplitConfig(kind="leave_last_out", twins=True),
]
SMALL = {"dim": 8, "num_epochs": 1}


def world(time_kind="ms", untimed=0.2):
    events = random_events(
        np.random.default_rng(4), num_items=60, num_events=600, untimed_share=untimed
    )
    return events if time_kind == "ms" else ordinal(events)


def ordinal(events):
    """The same events with each user's place in order as the time, untimed ones left out."""
    events = events.select(events.is_timed)
    starts = np.searchsorted(events.user, np.arange(len(events.users)))
    place = np.arange(len(events)) - starts[events.user]
    rows = [
        (int(u), int(p) // 2, *(int(events.columns[k][n]) for k in NAMES))  # ties of two
        for n, (u, p) in enumerate(zip(events.user, place, strict=True))
    ]
    terms = [list(row) for row in events.query_terms]
    return make_events(rows, num_users=12, num_items=60, query_terms=terms, num_terms=10,
                       time_kind="ordinal")  # fmt: skip


NAMES = ("source", "action", "item", "query", "session")


def check_piece(events, split, piece):
    """What must hold of any piece: sides are disjoint, only training is used, no target inside."""
    graph = build_graph(events, piece.graph)
    assert audit(graph, events, piece.graph).ok
    assert not np.any(piece.loss_on & piece.graph.is_train)
    assert np.all(split.is_train[piece.loss_on]) and np.all(split.is_train[piece.graph.is_train])
    rows = np.flatnonzero(piece.loss_on & events.is_positive)
    assert len(rows) and targets_in_graph(graph, events, rows, "event") == 0
    chosen = split.is_train & events.is_positive
    if split.twins or not events.is_timed[chosen].all():
        assert targets_in_graph(graph, events, rows, "pair") == 0
    return graph


@pytest.mark.parametrize("config", SPLITS)
def test_earlier_cuts_clock_times_once_for_all(config):
    events = world()
    split = split_events(events, config)
    piece = earlier_split(events, split)
    check_piece(events, split, piece)
    timed = events.is_timed & split.is_train
    cut = piece.graph.cut_valid
    assert np.array_equal(piece.loss_on[timed], events.time[timed] >= cut)
    assert np.mean(events.time[timed] < cut) == pytest.approx(EARLIER_SHARE, abs=0.05)
    untimed = ~events.is_timed & split.is_train
    assert 0 < np.mean(piece.loss_on[untimed]) < 0.6  # users with two: one of them


@pytest.mark.parametrize("config", SPLITS[2:])
def test_earlier_cuts_an_order_user_by_user(config):
    events = world("ordinal")
    split = split_events(events, config)
    piece = earlier_split(events, split)
    check_piece(events, split, piece)
    for user in range(len(events.users)):
        mine = np.flatnonzero((events.user == user) & split.is_train)
        if len(mine) < 2:
            assert not piece.loss_on[mine].any()
            continue
        first_late = events.time[mine[max(int(len(mine) * EARLIER_SHARE), 1)]]
        expected = [bool(events.time[row] >= first_late) for row in mine]
        assert piece.loss_on[mine].tolist() == expected


@pytest.mark.parametrize("config", SPLITS)
def test_a_fold_holds_out_the_last_events_of_its_own_users_only(config):
    events = world(untimed=0.0)
    split = split_events(events, config)
    users = np.arange(len(events.users)) % 2 == 0
    piece = held_out_of_users(events, split, users)
    check_piece(events, split, piece)
    assert not piece.loss_on[~users[events.user]].any()
    others = split.is_train & ~users[events.user]
    assert np.all(piece.graph.part[others] == TRAIN)
    for user in np.flatnonzero(users):
        mine = np.flatnonzero((events.user == user) & split.is_train)
        late = piece.loss_on[mine]
        assert late.any() and not late[0]
        assert events.time[mine[late]].min() > events.time[mine[~late]].max()


def test_earlier_choices_of_a_later_target_leave_the_graph_where_the_split_has_twins():
    rows = [(0, t, RECOMMEND, CLICK, t % 9, NO_ROW, t) for t in range(12)]
    events = make_events(rows, num_users=1, num_items=12)
    split = split_events(events, SplitConfig(kind="leave_last_out", twins=True))
    piece = earlier_split(events, split)
    targets = set(events.item[piece.loss_on].tolist())
    part = piece.graph.part
    repeats = [row for row in range(12) if part[row] == LEFT_OUT and split.is_train[row]]
    assert {int(events.item[row]) for row in repeats} <= targets
    kept = set(events.item[part == TRAIN].tolist())
    assert not kept & targets and np.all(part[piece.loss_on] == VALID)


def test_too_little_to_cut_is_refused():
    events = make_events([(0, 1, RECOMMEND, CLICK, 0, -1, 0)], num_users=1, num_items=1)
    split = split_events(events, SplitConfig(kind="leave_last_out"))
    with pytest.raises(BadInputError, match="leaves the graph no chosen item"):
        earlier_split(events, split)


@pytest.mark.parametrize("how", ["graph", "earlier", "crossfit"])
def test_shares_masks_and_tables(how):
    events = world()
    split = split_events(events, SplitConfig(valid_share=0.15))
    found = init_embeddings(events, split, "uditsr", SMALL, how, seed=1)
    again = init_embeddings(events, split, "uditsr", SMALL, how, seed=1)
    assert found.report["by_event"] == (1.0 if how == "graph" else 0.0)
    assert found.share_of_targets_in_graph == (1.0 if how == "graph" else 0.0)
    for kind, table in found.embeddings.tables.items():
        assert table.dtype == np.float32 and np.isfinite(table).all()
        assert np.array_equal(table, again.embeddings.tables[kind])
    assert np.array_equal(found.loss_on, split.is_train) == (how == "graph")
    assert len(found.splits) == (2 if how == "crossfit" else 1)


def test_crossfit_takes_each_users_row_from_the_graph_of_its_fold():
    """A stand-in training whose vectors say which items a user's edges lead to."""
    events = world(untimed=0.0)
    split = split_events(events, SplitConfig())
    seen = []

    def spy(graph, model, config, *, seed):
        real = train(graph, "uditsr", SMALL, seed=seed)
        user = np.zeros((len(events.users), 60), np.float32)
        for kind in (("user", "clicked", "item"), ("user", "found", "item")):
            np.add.at(user, (graph.edges[kind].from_row, graph.edges[kind].to_row), 1)
        seen.append(user)
        tables = {"user": user, "item": np.eye(60, dtype=np.float32)}
        tables |= {k: np.zeros((len(real.tables[k]), 60), np.float32) for k in ("query", "term")}
        return type(real)(tables=tables, vocabularies=real.vocabularies,
                          query_terms=real.query_terms, model="spy", config={}, seed=0)  # fmt: skip

    found = init_embeddings(events, split, "spy", {}, "crossfit", train=spy, num_folds=3)
    everything = init_embeddings(events, split, "spy", {}, "graph", train=spy).embeddings
    late = np.zeros_like(seen[0])
    rows = np.flatnonzero(found.loss_on & events.is_positive)
    np.add.at(late, (events.user[rows], events.item[rows]), 1)
    np.testing.assert_allclose(
        found.embeddings.tables["user"], everything.tables["user"] - late, atol=1e-4
    )
    np.testing.assert_allclose(found.embeddings.tables["item"], np.eye(60), atol=1e-4)
    assert found.embeddings.model == "spy crossfit" and not found.embeddings.weights
    assert found.report["unaligned"] == pytest.approx([0, 0, 0], abs=1e-5)
    assert found.report["by_event_in_item_rows"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("how", ["earlier", "crossfit"])
def test_held_out_events_decide_nothing(how):
    events = world()
    split = split_events(events, SplitConfig(twins=True))

    def learned(e, s):
        return init_embeddings(e, s, "uditsr", SMALL, how, seed=1).embeddings.tables

    # Untimed events are drawn into a side by their row, which an added or deleted event moves.
    assert_training_unread(learned, *only_timed(events, split))


def only_timed(events, split):
    world = World.of(events, split).take(np.flatnonzero(events.is_timed))
    return world.events, world.split


def test_wrong_arguments_are_refused():
    events = world()
    split = split_events(events, SplitConfig())
    with pytest.raises(BadInputError, match="expected 'graph', 'earlier' or 'crossfit'"):
        init_embeddings(events, split, "uditsr", SMALL, "later")
    with pytest.raises(BadInputError, match="expected at least 2"):
        init_embeddings(events, split, "uditsr", SMALL, "crossfit", num_folds=1)


def test_a_gain_on_training_data_alone_is_warned_of():
    assert check_init_gain(0.2, 0.1) is None
    assert check_init_gain(0.21, 0.1).startswith("the graph start gains 0.2100")
    assert "and not at all" in check_init_gain(0.1, -0.1)
    assert "\n" not in check_init_gain(0.5, 0.1)
    for quiet in ((0.0, -1.0), (-0.1, -0.2), (0.1, math.nan), (math.nan, 0.1)):
        assert check_init_gain(*quiet) is None


def noisy_tastes(seed: int):
    """80 users of four topics, of whose choices six in ten are of any topic."""
    rng, rows = np.random.default_rng(seed), []
    for user in range(80):
        for n in range(12):
            topic = user % 4 if rng.random() > 0.6 else int(rng.integers(4))
            item, is_search = 4 * int(rng.integers(20)) + topic, rng.random() < 0.3
            rows.append(
                (user, int(rng.integers(1000)), SEARCH if is_search else RECOMMEND, CLICK, item,
                 item % 8 if is_search else NO_ROW, 100 * user + n)
            )  # fmt: skip
    terms = [[q, q + 8, q + 16] for q in range(8)]
    return make_events(rows, num_users=80, num_items=80, query_terms=terms, num_terms=24)


def test_the_naive_start_knows_training_targets_and_the_earlier_one_does_not():
    """At step 0 the naive start gains far more on its own targets than on validation."""
    gains = {"graph": np.zeros((3, 2)), "earlier": np.zeros((3, 2))}
    for seed in range(3):
        events = noisy_tastes(seed)
        split = split_events(events, SplitConfig(valid_share=0.15))
        valid = np.flatnonzero((split.part == VALID) & events.is_positive)
        for how, found in gains.items():
            config = {"dim": 16, "num_epochs": 12, "batch_size": 512, "learning_rate": 0.02,
                      "propagation": "full", "naming_weight": 0.0}  # fmt: skip
            start = init_embeddings(events, split, "uditsr", config, how)
            own = np.flatnonzero(start.loss_on & events.is_positive)
            found[seed] = [init_gain(start.embeddings, events, rows) for rows in (own, valid)]
    naive, earlier = (gains[how].mean(axis=0).tolist() for how in gains)
    assert check_init_gain(*naive) is not None
    assert check_init_gain(*earlier) is None
    assert naive[0] > 0.3 > 2 * earlier[0]
    assert earlier[1] > 0.03  # it does know something of new choices


def test_the_gain_of_tables_equals_a_loop():
    events = noisy_tastes(1)
    found = train(build_graph(events), "uditsr", SMALL)
    rows = np.arange(0, len(events), 97)
    item, user = (found.tables[k].astype(float) for k in ("item", "user"))
    rng = make_rng(0, "init gain")
    candidates = rng.integers(0, 80, (len(rows), 51))
    candidates[:, 0] = events.item[rows]
    orders = [rng.permutation(len(rows)) for _ in range(4)]
    losses = []
    for order in (np.arange(len(rows)), *orders):
        scores = [[user[events.user[rows[n]]] @ item[c] for c in line]
                  for n, line in zip(order, candidates, strict=True)]  # fmt: skip
        spread = np.std([line[1:] for line in scores])
        total = 0.0
        for line in scores:
            total += math.log(sum(math.exp(s / spread) for s in line)) - line[0] / spread
        losses.append(total / len(rows))
    assert init_gain(found, events, rows) == pytest.approx(np.mean(losses[1:]) - losses[0])
    assert math.isnan(init_gain(found, events, rows[:0]))
