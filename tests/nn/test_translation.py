"""Translation over edges: message by message, fused, with parallel and left-out edges."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from sargraph.core.errors import BadInputError
from sargraph.nn.edges import TranslationEdges
from sargraph.nn.sparse import SparsePattern
from sargraph.nn.translation import (
    TranslationConv,
    TranslationPropagation,
    combine_layers,
    layer_weights,
)

SIZES = (5, 6, 7)


def random_edges(num_edges: int = 20, seed: int = 0) -> TranslationEdges:
    generator = torch.Generator().manual_seed(seed)
    user = torch.randint(0, SIZES[0] - 1, (num_edges,), generator=generator)  # the last has none
    item = torch.randint(0, SIZES[1] - 1, (num_edges,), generator=generator)
    is_search = torch.rand(num_edges, generator=generator) < 0.5
    terms = torch.randint(-1, SIZES[2], (num_edges, 3), generator=generator)
    return TranslationEdges.build(user, item, is_search, terms, SIZES)


def random_tables(edges: TranslationEdges) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(9)
    lengths = (SIZES[0], SIZES[1], len(edges.pair_context), SIZES[2])
    made = [torch.randn(n, 4, dtype=torch.double, generator=generator) for n in lengths]
    return made[0], made[1], made[2], made[3]


def run(
    propagation: TranslationPropagation, edges: TranslationEdges, *inputs: Tensor | None
) -> list[tuple[Tensor, Tensor]]:
    """All layers, from the demand of every pair."""
    user, item, demand, words, *keep = inputs
    means = edges.means(torch.double, *keep)
    return list(propagation(means, user, item, lambda m: m.matmul(demand), words))


def edge_demand(edges: TranslationEdges, demand: Tensor, words: Tensor) -> Tensor:
    rows = []
    for e in range(len(edges.user)):
        if edges.is_search[e]:
            terms = [t for t in edges.query_terms[e].tolist() if t >= 0]
            rows.append(sum((words[t] for t in terms), torch.zeros_like(words[0])))
        else:
            rows.append(demand[edges.pair[e]])
    return torch.stack(rows)


def pairs_of(edges: TranslationEdges) -> list[tuple[int, int]]:
    return list(zip(edges.pair_context.tolist(), edges.pair_item.tolist(), strict=True))


def test_pairs_are_unique_and_lead_back_to_their_edges() -> None:
    edges = random_edges(60)
    assert len(edges.pair_context) < int((~edges.is_search).sum())
    assert len(set(pairs_of(edges))) == len(edges.pair_context)
    assert torch.equal(edges.pair_context[edges.pair[edges.pair_edge]], edges.user[edges.pair_edge])
    assert torch.equal(edges.pair_item[edges.pair[edges.pair_edge]], edges.item[edges.pair_edge])
    assert (edges.pair[edges.is_search] == -1).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_convolution_sends_neighbour_plus_demand(sign: int) -> None:
    edges = random_edges()
    user, _, pairs, words = random_tables(edges)
    demand = edge_demand(edges, pairs, words)
    conv = TranslationConv(sign)
    assert isinstance(conv, MessagePassing)
    output = conv(user, torch.stack([edges.user, edges.item]), demand, SIZES[1])
    for item in range(SIZES[1]):
        messages = [
            user[edges.user[e]] + sign * demand[e]
            for e in range(len(edges.user))
            if edges.item[e] == item
        ]
        expected = sum(messages) / len(messages) if messages else torch.zeros(4).double()
        torch.testing.assert_close(output[item], expected)


def test_fused_layers_equal_messages_along_edges() -> None:
    edges = random_edges(40)
    user, item, pairs, words = random_tables(edges)
    keep = torch.rand(40, generator=torch.Generator().manual_seed(3)) < 0.6
    propagation = TranslationPropagation(num_layers=3)
    layers = run(propagation, edges, user, item, pairs, words, keep)
    demand = edge_demand(edges, pairs, words)[keep]
    forth = torch.stack([edges.user, edges.item])[:, keep]
    for before, after in pairwise(layers):
        to_item = propagation.to_item(before[0], forth, demand, SIZES[1])
        to_user = propagation.to_user(before[1], forth.flip(0), demand, SIZES[0])
        torch.testing.assert_close(after, (to_user, to_item))


def test_fused_propagation_runs_through_pyg_message_passing() -> None:
    edges = random_edges()
    propagation = TranslationPropagation(num_layers=1)
    seen = []
    propagation.to_item.register_message_and_aggregate_forward_hook(
        lambda module, inputs, output: seen.append(output.shape)
    )
    run(propagation, edges, *random_tables(edges))
    assert seen == [(SIZES[1], 4)]


def test_propagation_gradients_are_right() -> None:
    edges = random_edges(12)
    tables = [t.requires_grad_() for t in random_tables(edges)]
    keep = torch.arange(12) % 3 > 0
    propagation = TranslationPropagation(num_layers=2)

    def final(*inputs: Tensor) -> Tensor:
        return torch.cat(run(propagation, edges, *inputs, keep)[-1])

    assert torch.autograd.gradcheck(final, tables)


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_layers_at_some_nodes_are_rows_of_all_layers(num_layers: int) -> None:
    edges = random_edges(40)
    tables = [t.requires_grad_() for t in random_tables(edges)]
    user, item, pairs, words = tables
    keep = torch.rand(40, generator=torch.Generator().manual_seed(3)) < 0.6
    rows = torch.tensor([4, 0, 2]), torch.tensor([3, 5])
    propagation = TranslationPropagation(num_layers)
    means = edges.means(torch.double, keep)
    found = list(propagation.at(rows, means, user, item, lambda m: m.matmul(pairs), words))
    whole = run(propagation, edges, *tables, keep)
    expected = [(of_user[rows[0]], of_item[rows[1]]) for of_user, of_item in whole]
    torch.testing.assert_close(found, expected)
    weight = torch.randn(5, 4, dtype=torch.double, generator=torch.Generator().manual_seed(5))
    ours, theirs = (
        torch.autograd.grad(
            sum((torch.cat(layer) * weight).sum() for layer in layers), tables, allow_unused=True
        )
        for layers in (found, expected)
    )
    torch.testing.assert_close(
        *([0 if each is None else each for each in grads] for grads in (ours, theirs))
    )


def test_left_out_edges_change_the_mean_as_if_they_never_were() -> None:
    edges = random_edges(30)
    user, item, pairs, words = random_tables(edges)
    keep = torch.arange(30) % 4 > 0
    fewer = TranslationEdges.build(
        edges.user[keep], edges.item[keep], edges.is_search[keep], edges.query_terms[keep], SIZES
    )
    place = {pair: row for row, pair in enumerate(pairs_of(edges))}
    rows = [place[pair] for pair in pairs_of(fewer)]
    propagation = TranslationPropagation(num_layers=2)
    masked = run(propagation, edges, user, item, pairs, words, keep)
    rebuilt = run(propagation, fewer, user, item, pairs[rows], words)
    torch.testing.assert_close(masked, rebuilt)


def test_outside_drops_every_edge_between_the_pairs() -> None:
    user, item = torch.tensor([0, 0, 0, 1]), torch.tensor([1, 1, 2, 1])
    is_search = torch.tensor([True, False, False, False])
    edges = TranslationEdges.build(user, item, is_search, torch.full((4, 1), 0), SIZES)
    keep = edges.outside(torch.tensor([0]), torch.tensor([1]))
    assert keep.tolist() == [False, False, True, True]


def test_no_edges_send_nothing() -> None:
    none = torch.zeros(0, dtype=torch.long)
    edges = TranslationEdges.build(none, none, none > 0, torch.zeros(0, 3).long(), SIZES)
    layers = run(TranslationPropagation(num_layers=2), edges, *random_tables(edges))
    assert all((table == 0).all() for layer in layers[1:] for table in layer)


def test_a_node_without_edges_receives_zero() -> None:
    edges = random_edges()
    layers = run(TranslationPropagation(num_layers=1), edges, *random_tables(edges))
    assert (layers[1][0][-1] == 0).all() and (layers[1][1][-1] == 0).all()
    assert (layers[1][0][:-1].abs().sum(1) > 0).all()


@pytest.mark.parametrize("bad", [(5, 0, 0), (0, 6, 0), (0, 0, 7), (-1, 0, 0), (0, 0, -2)])
def test_rows_outside_the_tables_are_refused(bad: tuple[int, int, int]) -> None:
    user, item, term = (torch.tensor([row]) for row in bad)
    with pytest.raises(BadInputError, match="expected"):
        TranslationEdges.build(user, item, user == -5, term.view(1, 1), SIZES)


def test_layer_weights() -> None:
    assert layer_weights(2, normalise=False) == [1, 1 / 2, 1 / 3]
    assert sum(layer_weights(4, normalise=True)) == pytest.approx(1)
    layers = [(torch.ones(2, 1), torch.ones(3, 1)), (torch.full((2, 1), 4.0), torch.zeros(3, 1))]
    user, item = combine_layers(layers, [1.0, 0.5])
    assert user.tolist() == [[3.0], [3.0]] and item.tolist() == [[1.0], [1.0], [1.0]]
    assert layers[0][0].tolist() == [[1.0], [1.0]]  # what was given stays as it was


def test_rows_of_a_sparse_matrix_are_a_matrix_of_their_own() -> None:
    row, column = torch.tensor([2, 0, 2, 2]), torch.tensor([1, 0, 1, 3])  # (2, 1) twice
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    matrix = SparsePattern.build(row, column, 3, 4).weighted(weight)
    x = torch.randn(4, 2, dtype=torch.double, requires_grad=True)
    rows = torch.tensor([2, 1, 2, 0])
    torch.testing.assert_close(matrix.rows(rows).matmul(x), matrix.matmul(x)[rows])
    assert torch.autograd.gradcheck(matrix.rows(rows).matmul, x)
    assert matrix.rows(rows[:0]).matmul(x).shape == (0, 2)


def test_sparse_product_is_the_dense_one_both_ways() -> None:
    row, column = torch.tensor([2, 0, 2, 2]), torch.tensor([1, 0, 1, 3])  # (2, 1) twice
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    dense = torch.zeros(3, 4).double().index_put((row, column), weight, accumulate=True)
    pattern = SparsePattern.build(row, column, 3, 4)
    x = torch.randn(4, 2, dtype=torch.double, requires_grad=True)
    torch.testing.assert_close(pattern.weighted(weight).matmul(x), dense @ x)
    y = torch.randn(3, 2, dtype=torch.double)
    torch.testing.assert_close(pattern.flipped().weighted(weight).matmul(y), dense.T @ y)
    assert torch.autograd.gradcheck(pattern.weighted(weight).matmul, x)
