"""The audits of leaks catch whoever cheats: an audit that passes everything is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sargraph.events.split import TEST, SplitConfig, requests_for, split_events
from sargraph.graph.build import build_graph
from sargraph.graph.graph import EdgeTable
from sargraph.testing import leak_cheats as cheats
from sargraph.testing.events import random_events
from sargraph.testing.leak_chance import ByColumn
from sargraph.testing.leaks import (
    assert_every_parameter_trains,
    assert_future_unread,
    assert_no_reverse_edge,
    assert_order_unread,
    assert_training_unread,
    assert_twin_unread,
    fixed_split,
    graph_columns,
)

TWINS = SplitConfig(twins=True)


@pytest.fixture(scope="module")
def events():
    return random_events(np.random.default_rng(0), num_events=500, untimed_share=0.1)


class TestNegativeControls:
    """One cheat, or one leak, for each audit."""

    @pytest.fixture
    def split(self, events):
        return split_events(events, TWINS)

    def test_an_honest_reader_of_histories_passes(self, events, split):
        assert_future_unread(cheats.honest_history, events, split)
        bind = lambda scorer, e, s: cheats.honest_history(e, s)  # noqa: E731
        assert_future_unread(cheats.honest_history, events, split, rebind=bind)
        assert_twin_unread(cheats.honest_history, events, fixed_split(events, TWINS))

    @pytest.mark.parametrize(
        "cheat", [cheats.whole_history, cheats.ties_history, cheats.trained_on_everything]
    )
    @pytest.mark.parametrize("is_rebound", [True, False])
    def test_a_reader_of_the_future_is_caught(self, events, split, cheat, is_rebound):
        rebind = (lambda scorer, e, s: cheat(e, s)) if is_rebound else None
        with pytest.raises(AssertionError, match="reads the future"):
            assert_future_unread(cheat, events, split, rebind=rebind, num_times=8)

    @pytest.mark.parametrize("kind", ["item", "query", "action", "delete", "add", "ties"])
    def test_each_kind_of_edit_is_noticed_by_who_looks(self, events, split, kind, monkeypatch):
        from sargraph.testing import leaks

        monkeypatch.setattr(leaks, "EDITS", {kind: leaks.EDITS[kind]})
        with pytest.raises(AssertionError, match="reads the future"):
            assert_future_unread(
                cheats.whole_history, events, split, num_times=8,
                rebind=lambda scorer, e, s: cheats.whole_history(e, s),
            )  # fmt: skip

    def test_a_training_that_counts_held_out_events_is_caught(self, events, split):
        def counts(e, s):
            return {"counts": np.bincount(e.item[e.is_positive], minlength=len(e.items))}

        with pytest.raises(AssertionError, match="'counts' depends on held-out events"):
            assert_training_unread(counts, events, split)
        with pytest.raises(AssertionError, match="depends on held-out events"):
            assert_training_unread(lambda e, s: graph_columns(build_graph(e)), events, split)

    def test_a_reader_of_twins_is_caught(self, events):
        with pytest.raises(AssertionError, match="twin of a target is read"):
            assert_twin_unread(cheats.twin_reader, events, fixed_split(events, TWINS))

    def test_a_split_that_keeps_twins_in_training_is_caught(self, events):
        split_of = fixed_split(events, SplitConfig())
        with pytest.raises(AssertionError, match="is a twin of a target"):
            assert_twin_unread(
                cheats.honest_history, events, lambda e: replace(split_of(e), twins=True)
            )
        with pytest.raises(ValueError, match="no twins"):
            assert_twin_unread(cheats.honest_history, events, split_of)

    @pytest.mark.parametrize("twins", [True, False])
    def test_an_edge_of_a_held_out_pair_is_caught(self, events, twins):
        split = split_events(events, SplitConfig(twins=twins))
        with pytest.raises(AssertionError, match=r"stored edge .* joins a held-out pair"):
            assert_no_reverse_edge(lambda e, s: build_graph(e), events, split)

    @pytest.mark.parametrize("kind", [("user", "saw", "item"), ("item", "seen_by", "user")])
    def test_an_extra_edge_of_a_held_out_pair_is_caught(self, events, split, kind):
        requests = requests_for(events, split, TEST, "recommend").take(np.arange(1))
        ends = {"user": requests.user, "item": requests.target}
        extra = {kind: EdgeTable.of(ends[kind[0]], ends[kind[2]])}
        with pytest.raises(AssertionError, match="joins a held-out pair"):
            assert_no_reverse_edge(lambda e, s: build_graph(e, s, extra_edges=extra), events, split)

    def test_a_query_that_only_held_out_events_asked_is_caught(self, events, split):
        part = np.where(events.query == 3, TEST, split.part).astype(np.int8)
        new = replace(split, part=part, twins=False)
        kind, someone = ("query", "near", "query"), np.array([0])
        extra = {kind: EdgeTable.of(someone, np.array([3]))}
        assert_no_reverse_edge(build_graph, events, new)
        with pytest.raises(AssertionError, match="only held-out events asked"):
            assert_no_reverse_edge(lambda e, s: build_graph(e, s, extra_edges=extra), events, new)

    def test_a_scorer_by_column_is_caught(self, events, split):
        requests = requests_for(events, split, TEST, "recommend")
        candidates = np.zeros((len(requests), 5), dtype=np.int64)
        with pytest.raises(AssertionError, match="by its column"):
            assert_order_unread(ByColumn(1), requests, candidates)


class TestUntrainedParameters:
    def test_a_module_in_a_list_is_caught(self):
        class Hides(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.seen = nn.Linear(2, 1)
                self.layers = [nn.Linear(2, 2)]

        module = Hides()
        with pytest.raises(AssertionError, match=r"layers\[0\]"):
            assert_every_parameter_trains(module, lambda: module.seen(torch.ones(1, 2)).sum())

    def test_a_weight_without_gradient_is_caught_and_may_be_excused(self):
        module = nn.ModuleDict({"used": nn.Linear(2, 1), "idle": nn.Linear(2, 1)})
        loss = lambda: module["used"](torch.ones(1, 2)).sum()  # noqa: E731
        with pytest.raises(AssertionError, match=r"does not train: \['idle.weight', 'idle.bias'\]"):
            assert_every_parameter_trains(module, loss)
        idle = {"idle.weight": "kept for later", "idle.bias": "kept for later"}
        assert_every_parameter_trains(module, loss, idle)
        with pytest.raises(AssertionError, match="take them off the list"):
            assert_every_parameter_trains(module, loss, {**idle, "used.bias": "wrong"})
        with pytest.raises(AssertionError, match="do not exist"):
            assert_every_parameter_trains(module, loss, {**idle, "no.such": "wrong"})

    def test_rounding_is_no_gradient(self):
        module = nn.Linear(3, 4)
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))

        def loss():  # a softmax is blind to a shift of all its logits
            logits = module(x) + 0 * module.bias.sum()
            return -torch.log_softmax(logits.mean(1, keepdim=True).expand(5, 4), 1)[:, 0].sum()

        with pytest.raises(AssertionError, match="does not train"):
            assert_every_parameter_trains(module, lambda: loss() + 0.0 * module.weight.sum())

    def test_a_gradient_that_is_not_finite_is_caught(self):
        module = nn.Linear(1, 1)
        with pytest.raises(AssertionError, match="not finite"):
            assert_every_parameter_trains(module, lambda: module(torch.ones(1, 1)).sum() / 0.0)
