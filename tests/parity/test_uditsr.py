"""UDITSR in parity mode gives the numbers of the published implementation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sargraph.embedding.uditsr import UDITSRTables
from sargraph.testing.uditsr_golden import PRECISIONS, WITHOUT_EFFECT, Golden, our_name


@pytest.fixture(params=PRECISIONS, ids=lambda p: p[0])
def precision(request: pytest.FixtureRequest) -> tuple[str, torch.dtype, float]:
    return request.param


@pytest.fixture
def golden(golden_dir: Path, precision: tuple[str, torch.dtype, float]) -> Golden:
    path = golden_dir / "uditsr.npz"
    if not path.exists():
        pytest.skip(f"no golden numbers at {path}")
    return Golden(path, precision[0], precision[1])


@pytest.fixture
def close(precision: tuple[str, torch.dtype, float]):
    def check(ours: Tensor, theirs: Tensor) -> None:
        torch.testing.assert_close(
            ours.double(), theirs.double(), rtol=precision[2], atol=precision[2]
        )

    return check


def test_edge_intents_are_the_published_ones(golden: Golden, close) -> None:
    close(golden.model.edge_intent(golden.edges), golden.output("q_e"))


def test_layers_and_final_tables_are_the_published_ones(golden: Golden, close) -> None:
    tables: UDITSRTables = golden.model.propagate(golden.edges)
    layers = golden.model.layers(golden.edges)
    for layer in range(1, golden.num_layers + 1):
        close(layers[layer][0], golden.output(f"layer{layer}_user"))
        close(layers[layer][1], golden.output(f"layer{layer}_item"))
    close(tables.user, golden.output("user_final"))
    close(tables.item, golden.output("item_final"))


def test_losses_are_the_published_ones(golden: Golden, close) -> None:
    losses = golden.model.losses(golden.batch(), golden.model.propagate(golden.edges))
    close(losses.bpr, golden.output("bpr_loss"))
    close(losses.supervised, golden.output("seach_supervised_loss"))
    close(losses.translation, golden.output("intent_translate_loss"))
    close(losses.total, golden.output("total_loss"))


def test_every_gradient_is_the_published_one(golden: Golden, close) -> None:
    losses = golden.model.losses(golden.batch(), golden.model.propagate(golden.edges))
    losses.total.backward()
    ours = dict(golden.model.named_parameters())
    names = [n[2:] for n in golden.arrays.files if n.startswith("w/") and n[2:] != WITHOUT_EFFECT]
    assert {our_name(name) for name in names} == set(ours)
    for name in names:
        close(ours[our_name(name)].grad, golden.output(f"grad/{name}"))


def test_the_published_attention_bias_has_no_effect(golden: Golden, precision) -> None:
    assert golden.output(f"grad/{WITHOUT_EFFECT}").abs().max() < precision[2]


def test_scores_are_the_published_ones(golden: Golden, close) -> None:
    user, item = golden.tensor("eval_USER"), golden.tensor("eval_ITEM")
    is_search, terms = golden.tensor("eval_TYPE") == 1, golden.tensor("eval_QUERY")
    tables = golden.model.propagate(golden.edges)
    expected = golden.output("eval_pos_score")
    close(golden.model.score(user, item, is_search, terms, tables), expected[:, 0])
    close(
        golden.model.score_candidates(user, item.unsqueeze(1), is_search, terms, tables), expected
    )
