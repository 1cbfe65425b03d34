"""The UniSAR module: the forward in loops, causality, edges, one test per mended defect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sargraph.core.config import parse_config
from sargraph.core.errors import ConfigError, DataError
from sargraph.sequence.encoders import distinct_rows
from sargraph.sequence.inputs import HistoryBatch, RequestBatch
from sargraph.sequence.unisar import UniSAR, UniSARConfig
from sargraph.testing.unisar_cases import (
    TERMS,
    Naive,
    losses,
    model,
    pick,
    request,
    texts,
)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("task", ["search", "recommend"])
def test_logits_equal_loops(task, causal):
    module, batch = model(causal=causal).double().eval(), request(task == "search")
    naive, logits = Naive(module), module.logits(batch, task).detach().numpy()
    for row in range(5):
        for column in (0, 3):
            expected = naive.logit(batch, task, row, column)
            assert logits[row, column] == pytest.approx(expected, abs=1e-9), (row, column)


def test_a_later_event_never_changes_an_earlier_state():
    module, batch = model().eval(), request()

    def states(history: HistoryBatch):
        requests = replace(batch, history=history)
        return module.encode_history(history, *module._vectors(requests))

    edited = batch.history.search_query.clone()
    edited[0, 1] = 6  # rank 3 of the first history; a recommendation shares the rank
    before, after = states(batch.history), states(replace(batch.history, search_query=edited))
    torch.testing.assert_close(before.rec[0, :3], after.rec[0, :3], rtol=0, atol=1e-6)
    torch.testing.assert_close(before.search[0, 0], after.search[0, 0], rtol=0, atol=1e-6)
    assert (before.rec[0, 3] - after.rec[0, 3]).abs().max() > 1e-4


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_each_parameter_learns_in_a_joint_step_so_none_is_a_dead_template(loss):
    module = model(loss=loss)
    total = losses(module, request()).total
    total = total + losses(module, request(is_search=True), "search").total
    total.backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        # A constant added to all logits of a request moves no softmax.
        is_idle = loss == "softmax" and name.endswith(".out.bias")
        assert is_idle or parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("task", ["search", "recommend"])
def test_u2_empty_histories_never_give_nan(task):
    module, batch = model(), request(task == "search")
    for rows in ([0, 1, 2, 3, 4], [0, 2], [3, 4], [4], [2]):
        module.zero_grad()
        made = losses(module, pick(batch, rows), task)
        parts = [value for value in vars(made).values() if value is not None]
        assert all(torch.isfinite(value) for value in parts), rows
        made.total.backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is None or torch.isfinite(parameter.grad).all(), (rows, name)
        assert torch.isfinite(module.logits(pick(batch, rows), task)).all()


def test_u2_an_empty_history_has_no_part_in_the_history_contrast():
    module, batch = model().eval(), request()
    filled = losses(module, pick(batch, [0, 1])).history
    assert losses(module, pick(batch, [0, 1, 4])).history.item() == pytest.approx(filled.item())


def test_u3_scores_are_logits_that_do_not_saturate():
    module, batch = model().eval(), request()
    with torch.no_grad():
        module.experts.branches["recommend"].out.bias.fill_(40.0)
    logits = module.logits(batch, "recommend")
    assert (torch.sigmoid(logits[0]) == 1.0).all()
    assert len(logits[0].unique()) == len(batch.candidates[0].unique()) > 1


@pytest.mark.parametrize("task", ["search", "recommend"])
def test_u4_a_batch_of_one_equals_its_row_of_a_larger_batch(task):
    module, batch = model().eval(), request(task == "search")
    together = module.logits(batch, task)
    for row in range(5):
        alone = module.logits(pick(batch, [row]), task)
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-6)


def test_u5_the_same_user_is_no_negative():
    batch = pick(request(), [0, 0, 0])
    module = model().eval()
    assert losses(module, batch).history.item() == pytest.approx(0.0, abs=1e-5)
    assert losses(model(mask_negatives=False).eval(), batch).history.item() > 1.0


def test_u5_a_clicked_item_is_no_negative_of_its_query():
    batch = pick(request(), [1])  # one search: query 5 led to item 8
    positives = torch.tensor([8, 8]), torch.tensor([5])
    loss = model().losses(batch, "recommend", *positives).query_item
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    published = model(mask_negatives=False).losses(batch, "recommend", *positives).query_item
    assert published.item() > 0.5


def test_u1_tables_start_equally_large_for_any_number_of_rows():
    small, large = (
        UniSAR(n, n, 2, n, UniSARConfig(), texts(2, 3, seed=0)).inputs for n in (50, 5000)
    )
    for inputs in (small, large):
        for table in (inputs.user.id_table, inputs.item.id_table, inputs.text.term_table):
            assert table.weight.std().item() == pytest.approx(0.1, rel=0.1)


def test_u7_each_distinct_row_is_encoded_once():
    rows, place = distinct_rows(10, torch.tensor([[7, -1], [2, 7]]), torch.tensor([2, 9]))
    assert rows.tolist() == [2, 7, 9]
    assert place[torch.tensor([7, 2, 9, -1])].tolist() == [1, 0, 2, 3]


def test_equal_candidates_get_equal_logits():
    batch = request()
    constant = batch.candidates[:, :1].expand(-1, 6)
    logits = model().eval().logits(replace(batch, candidates=constant), "recommend")
    torch.testing.assert_close(logits, logits[:, :1].expand_as(logits), rtol=0, atol=1e-6)


def test_a_candidate_is_scored_alike_in_any_company():
    module, batch = model().eval(), request()
    some = replace(batch, candidates=batch.candidates[:, [2, 0]])
    whole = module.logits(batch, "recommend")[:, [2, 0]]
    torch.testing.assert_close(module.logits(some, "recommend"), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_missing_candidates_rank_last_and_cost_nothing(loss):
    module, batch = model(loss=loss).eval(), request()
    padded = torch.nn.functional.pad(batch.candidates, (0, 2), value=-1)
    wider = replace(batch, candidates=padded)
    logits = module.logits(wider, "recommend")
    assert torch.isneginf(logits[:, -2:]).all()
    made = losses(module, wider)
    assert made.click.item() == pytest.approx(losses(module, batch).click.item(), rel=1e-5)
    made.total.backward()
    assert torch.isfinite(module.no_query.grad).all()


def test_click_losses_equal_their_formulas():
    batch = request()
    logits = model().eval().logits(batch, "recommend").detach().double().numpy()
    softmax = np.mean(np.log(np.exp(logits).sum(1)) - logits[:, 0])
    score = 1 / (1 + np.exp(-logits))
    bce = -np.mean(np.concatenate([np.log(score[:, :1]), np.log(1 - score[:, 1:])], axis=1))
    for loss, expected in (("softmax", softmax), ("bce", bce)):
        made = losses(model(loss=loss).eval(), batch)
        assert made.click.item() == pytest.approx(expected, rel=1e-5)


def test_total_weighs_its_parts_and_a_weight_of_zero_leaves_one_out():
    made = losses(model(query_item_weight=0.5, history_weight=2.0).eval(), request())
    expected = made.click + 0.5 * made.query_item + 2.0 * made.history
    assert made.total.item() == pytest.approx(expected.item())
    bare = losses(model(query_item_weight=0.0, history_weight=0.0).eval(), request())
    assert bare.query_item.item() == bare.history.item() == 0.0
    assert bare.total.item() == pytest.approx(made.click.item())


def test_same_seed_same_weights_and_the_global_stream_is_left_alone():
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    first, second = model(), model()
    assert torch.equal(torch.rand(1), expected)
    for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_saved_tensors_share_no_memory():
    pointers = [value.data_ptr() for value in model().state_dict().values()]
    assert len(set(pointers)) == len(pointers)


def test_another_number_of_texts_is_refused():
    with pytest.raises(ConfigError, match="rows of query_terms"):
        UniSAR(2, 2, 3, TERMS, UniSARConfig(), texts(2, 3, seed=0))


def test_wrong_batches_are_refused_in_words():
    module, batch = model(), request()
    with pytest.raises(DataError, match="column 0"):
        losses(module, replace(batch, candidates=torch.full((5, 2), -1)))
    with pytest.raises(DataError, match=r"4 recommendation slots, expected at most 2.*max_rec"):
        model(max_rec=2).logits(batch, "recommend")
    with pytest.raises(DataError, match="rank 40"):
        ranks = torch.full_like(batch.history.rec_rank, 40)
        late = replace(batch.history, rec_rank=ranks)
        module.logits(replace(batch, history=late), "recommend")


def test_unknown_user_and_query_are_ordinary_inputs():
    module, batch = model().eval(), request(is_search=True)
    history = replace(batch.history, user=torch.full((5,), -1))
    cold = RequestBatch(history, torch.full((5,), -1), batch.candidates)
    assert torch.isfinite(module.logits(cold, "search")).all()


def test_config_parity_turns_every_choice_unless_set():
    published = UniSARConfig(parity=True)
    assert not (published.causal or published.mask_negatives or published.positive_temperature)
    assert published.loss == "bce"
    assert UniSARConfig(parity=True, causal=True).causal
    assert UniSARConfig().causal
    with pytest.raises(ConfigError, match="must divide dim"):
        parse_config(UniSARConfig, {"dim": 9}, "here")
    with pytest.raises(ConfigError, match="did you mean 'dropout'"):
        parse_config(UniSARConfig, {"droput": 0.1}, "here")
