"""The four transitions of a merged history against loops, and what an event may see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sargraph.nn.transition import (
    Events,
    TransitionEncoder,
    TransitionFusion,
    visible_across,
    visible_within,
)
from sargraph.testing import unisar_oracle as oracle

DIM, HEADS, REC, SEARCH = 8, 2, 4, 3


def histories(seed: int = 0) -> tuple[Events, Events]:
    """Four histories: mixed, recommendation only, search only, empty; ranks with ties."""
    generator = torch.Generator().manual_seed(seed)
    rec_rank = torch.tensor([[0, 2, 3, 3], [0, 1, 2, 9], [9, 9, 9, 9], [9, 9, 9, 9]])
    search_rank = torch.tensor([[1, 3, 6], [9, 9, 9], [0, 1, 1], [9, 9, 9]])
    rec_length, search_length = torch.tensor([4, 3, 0, 0]), torch.tensor([3, 0, 3, 0])
    return (
        Events(
            torch.randn(4, REC, DIM, generator=generator, dtype=torch.float64),
            rec_rank,
            torch.arange(REC) < rec_length.unsqueeze(1),
        ),
        Events(
            torch.randn(4, SEARCH, DIM, generator=generator, dtype=torch.float64),
            search_rank,
            torch.arange(SEARCH) < search_length.unsqueeze(1),
        ),
    )


def encoder(causal: bool, num_layers: int = 1) -> TransitionEncoder:
    torch.manual_seed(0)
    return TransitionEncoder(DIM, HEADS, num_layers, REC, SEARCH, causal=causal).double()


def as_events(rec: Events, search: Events, row: int) -> list[oracle.OracleEvent]:
    return [
        oracle.OracleEvent(source, slot, int(side.rank[row, slot]), side.vectors[row, slot].numpy())
        for source, side in (("rec", rec), ("search", search))
        for slot in range(side.vectors.shape[1])
        if side.valid[row, slot]
    ]


@pytest.mark.parametrize("causal", [True, False])
def test_transitions_equal_loops(causal):
    model, (rec, search) = encoder(causal), histories()
    made, w = model(rec, search), oracle.weights_of(model)
    outputs = {
        "rec": (made.src2rec, made.rec2rec),
        "search": (made.rec2src, made.src2src),
    }
    for row in range(4):
        events = as_events(rec, search, row)
        for event in events:
            expected = oracle.transition(w, HEADS, events, event, causal)
            for ours, theirs in zip(outputs[event.source], expected, strict=True):
                got = ours[row, event.slot].detach().numpy()
                np.testing.assert_allclose(got, theirs, atol=1e-10)


def test_events_of_one_moment_never_see_each_other():
    rec, search = histories()
    within = visible_within(rec, causal=True)[0]
    assert within[2].tolist() == [True, True, True, False]
    assert within[3].tolist() == [True, True, False, True]
    across = visible_across(of=search, to=rec, causal=True)[0]
    assert across.tolist() == [
        [False, False, False],
        [True, False, False],
        [True, False, False],
        [True, False, False],
    ]


def test_padding_is_never_seen():
    rec, search = histories()
    for causal in (True, False):
        assert not visible_within(rec, causal)[1][..., 3].any()
        assert not visible_across(of=search, to=rec, causal=causal)[1].any()


def test_a_later_event_never_changes_an_earlier_state():
    model = encoder(causal=True, num_layers=2)
    torch.manual_seed(1)
    fusion = TransitionFusion(DIM, HEADS, num_layers=2, causal=True).double()
    rec, search = histories()

    def states(search_events: Events) -> list[torch.Tensor]:
        made = model(rec, search_events)
        parts = [made.src2rec, made.rec2rec, made.rec2src, made.src2src]
        return parts + list(fusion(made, rec, search_events))

    before = states(search)
    edited = search.vectors.clone()
    edited[0, 1] += 1.0  # rank 3 of the mixed history
    after = states(Events(edited, search.rank, search.valid))
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        rank = (rec if index in (0, 1, 4) else search).rank[0]
        earlier_or_same = rank <= 3 if index in (0, 1, 4) else rank < 3
        assert torch.equal(old[0][earlier_or_same], new[0][earlier_or_same]), index
    assert not torch.equal(before[3][0, 2], after[3][0, 2])  # a later search does notice


def test_without_the_causal_mask_an_earlier_state_does_change():
    model, (rec, search) = encoder(causal=False), histories()
    edited = search.vectors.clone()
    edited[0, 1] += 1.0
    after = model(rec, Events(edited, search.rank, search.valid))
    assert not torch.equal(model(rec, search).src2rec[0, 0], after.src2rec[0, 0])


@pytest.mark.parametrize("causal", [True, False])
def test_fusion_equals_loops(causal):
    torch.manual_seed(2)
    model, fusion = encoder(causal), TransitionFusion(DIM, HEADS, 1, causal=causal).double()
    rec, search = histories()
    made = model(rec, search)
    fused, w = fusion(made, rec, search), oracle.weights_of(fusion)
    sides = (
        ("rec", rec, made.rec2rec, made.src2rec, fused[0]),
        ("search", search, made.src2src, made.rec2src, fused[1]),
    )
    for name, side, own, memory, out in sides:
        for row in range(4):
            filled = [slot for slot in range(own.shape[1]) if side.valid[row, slot]]
            for slot in filled:
                seen = [
                    s
                    for s in filled
                    if not causal or s == slot or side.rank[row, s] < side.rank[row, slot]
                ]
                expected = oracle.decode(
                    w,
                    f"{name}_layers.0",
                    HEADS,
                    [own[row, s].detach().numpy() for s in seen],
                    [memory[row, s].detach().numpy() for s in seen],
                    at=seen.index(slot),
                )
                np.testing.assert_allclose(out[row, slot].detach(), expected, atol=1e-10)
