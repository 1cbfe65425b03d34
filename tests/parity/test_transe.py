"""TransE beside PyTorch Geometric's: the same distances, loss and gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import margin_ranking_loss
from torch_geometric.nn.kge import TransE as Theirs

from sargraph.embedding.transe import TransEModel, TransETraining
from sargraph.testing.planted_topics import two_topics


def pair() -> tuple[TransEModel, Theirs]:
    """Our model after a projection, and theirs with the same weights."""
    ours = TransEModel.build(two_topics(), TransETraining(dim=6, margin=0.7), seed=0)
    ours.module.double()
    ours.module.project()
    shape = ours.module.node.shape
    theirs = Theirs(shape[0], len(ours.module.relation), 6, margin=0.7, p_norm=2.0).double()
    theirs.node_emb.weight.data.copy_(ours.module.node.data)
    theirs.rel_emb.weight.data.copy_(ours.module.relation.data)
    return ours, theirs


def test_distances_are_the_same() -> None:
    ours, theirs = pair()
    known, _ = next(iter(ours.batches(1, torch.Generator().manual_seed(0))))
    expected = -theirs(known.head, known.relation, known.tail)
    assert len(expected) > 500 and len(known.relation.unique()) == 4
    torch.testing.assert_close(ours.module.distance(known), expected, rtol=1e-10, atol=1e-12)


def test_the_loss_and_its_gradient_are_the_same() -> None:
    """Theirs is given the corrupted triples of ours, and normalises in the forward pass.

    That takes out the part of the gradient along a node, which our projection takes out of the
    weights afterwards; relations have the same gradient.
    """
    ours, theirs = pair()
    known, corrupt = next(iter(ours.batches(1, torch.Generator().manual_seed(0))))
    scores = [theirs(part.head, part.relation, part.tail) for part in (known, corrupt)]
    expected = margin_ranking_loss(*scores, torch.ones_like(scores[0]), margin=theirs.margin)
    found = ours.step((known, corrupt))["loss"]
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-10)
    assert float(found.detach()) > 0
    found.backward()
    expected.backward()
    by_relation, by_node = ours.module.relation.grad, ours.module.node.grad
    assert by_relation is not None and by_node is not None
    assert float(by_relation.abs().max()) > 0
    torch.testing.assert_close(by_relation, theirs.rel_emb.weight.grad, rtol=1e-8, atol=1e-12)
    node = ours.module.node.detach()
    learned = node.any(dim=1)
    assert 0 < int((~learned).sum()) < 10  # theirs divides by the length 0 of these, ours has none
    across = by_node - (by_node * node).sum(1, keepdim=True) * node
    torch.testing.assert_close(
        across[learned], theirs.node_emb.weight.grad[learned], rtol=1e-8, atol=1e-12
    )
