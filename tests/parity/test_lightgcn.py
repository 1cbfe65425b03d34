"""LightGCN beside PyTorch Geometric's: the same vectors and the same loss on one graph."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.nn.models import LightGCN as Theirs

from sargraph.embedding.lightgcn import LightGCNModel, LightGCNTraining
from sargraph.testing.planted_topics import SIZES, two_topics


def pair(
    num_layers: int, regularisation: float = 0.0
) -> tuple[LightGCNModel, Theirs, torch.Tensor]:
    """Our model, theirs with the same weights, and the edges in both directions."""
    graph = two_topics()
    config = LightGCNTraining(dim=6, num_layers=num_layers, regularisation=regularisation)
    ours = LightGCNModel.build(graph, config, seed=0)
    ours.module.double()
    pairs = {
        (int(user), int(item))
        for table in graph.edges.values()
        for user, item in zip(table.from_row, table.to_row, strict=True)
    }
    assert len(pairs) < sum(len(table) for table in graph.edges.values())  # some edges are twice
    user, item = torch.tensor(sorted(pairs)).T
    item = item + SIZES["user"]
    edges = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
    theirs = Theirs(SIZES["user"] + SIZES["item"], 6, num_layers).double()
    theirs.alpha.fill_(1 / (num_layers + 1))  # theirs was rounded to float32
    theirs.embedding.weight.data.copy_(ours.module.embedding.data)
    return ours, theirs, edges


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_the_vectors_are_the_same(num_layers: int) -> None:
    ours, theirs, edges = pair(num_layers)
    expected = theirs.get_embedding(edges).detach()
    assert float(expected.abs().max()) > 0.01
    found = ours.module.propagate(ours.data.edges.matrix(torch.float64)).detach()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("regularisation", [0.0, 0.3])
def test_the_loss_and_its_gradient_are_the_same(regularisation: float) -> None:
    ours, theirs, edges = pair(2, regularisation)
    batch = next(iter(ours.batches(1, torch.Generator().manual_seed(0))))
    user = batch.user
    item, negative = batch.item + SIZES["user"], batch.negative + SIZES["user"]
    ranks = (theirs(edges, torch.stack([user, end])) for end in (item, negative))
    rows = torch.cat([user, item, negative])
    expected = theirs.recommendation_loss(*ranks, node_id=rows, lambda_reg=regularisation)
    found = ours.step(batch)["loss"]
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)
    found.backward()
    expected.backward()
    assert ours.module.embedding.grad is not None
    assert float(ours.module.embedding.grad.abs().max()) > 0
    torch.testing.assert_close(
        ours.module.embedding.grad, theirs.embedding.weight.grad, rtol=1e-8, atol=1e-12
    )
