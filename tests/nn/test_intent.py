"""The demand intent generator against loops: values, gradients, padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import sargraph.nn.pair_features
from sargraph.nn.contexts import WordContexts
from sargraph.nn.intent import DemandIntent, IntentTables, query_vector
from sargraph.nn.pair_features import plain_features
from sargraph.nn.sparse import SparseMatrix, SparsePattern
from sargraph.nn.word_attention import word_attention


def attention_by_loops(key: Tensor, words: Tensor, terms: Tensor, valid: Tensor) -> Tensor:
    rows = []
    for n in range(len(key)):
        chosen = [words[terms[n, t]] for t in range(terms.shape[1]) if valid[n, t]]
        context = torch.zeros_like(key[n])
        for y in chosen:
            context = context + y / sum((key[n] @ (z - y)).exp() for z in chosen)
        rows.append(context)
    return torch.stack(rows)


def attention_inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    key = torch.randn(6, 4, dtype=torch.double, generator=generator, requires_grad=True)
    words = torch.randn(5, 4, dtype=torch.double, generator=generator, requires_grad=True)
    terms = torch.randint(0, 5, (6, 3), generator=generator)
    terms[0] = 2  # one word three times
    valid = torch.rand(6, 3, generator=generator) > 0.3
    valid[0] = True
    valid[1] = False
    return key, words, terms, valid


def test_word_attention_is_the_loop() -> None:
    inputs = attention_inputs()
    torch.testing.assert_close(word_attention(*inputs), attention_by_loops(*inputs))


def test_word_attention_gradients_are_right() -> None:
    key, words, terms, valid = attention_inputs()
    assert torch.autograd.gradcheck(lambda k, w: word_attention(k, w, terms, valid), (key, words))


def test_row_without_words_gets_zero_context_and_no_gradient() -> None:
    key, words, terms, valid = attention_inputs()
    context = word_attention(key, words, terms, valid)
    assert (context[1] == 0).all()
    context.sum().backward()
    assert key.grad is not None and (key.grad[1] == 0).all() and key.grad[2].abs().sum() > 0


@pytest.mark.parametrize("shape", [(0, 3), (4, 0)])
def test_word_attention_of_nothing_is_zero(shape: tuple[int, int]) -> None:
    key = torch.randn(shape[0], 2, requires_grad=True)
    terms = torch.zeros(shape, dtype=torch.long)
    context = word_attention(key, torch.randn(3, 2), terms, terms == 0)
    assert context.shape == key.shape and (context == 0).all()
    context.sum().backward()


def generator_inputs() -> tuple[DemandIntent, list[Tensor], WordContexts, Tensor]:
    torch.manual_seed(2)
    intent = DemandIntent(dim=3, num_user_terms=2).double()
    tables = [torch.randn(n, 3, dtype=torch.double, requires_grad=True) for n in (4, 5, 6)]
    contexts = WordContexts(torch.arange(4), torch.randint(-1, 6, (4, 2)))
    return intent, tables, contexts, torch.randint(-1, 6, (5, 3))


def random_pairs(size: int) -> tuple[Tensor, Tensor]:
    return torch.randint(0, 4, (size,)), torch.randint(0, 5, (size,))


def random_matrix(num_rows: int, size: int) -> SparseMatrix:
    row, column = torch.randint(0, num_rows, (2 * size,)), torch.randint(0, size, (2 * size,))
    weight = torch.rand(2 * size, dtype=torch.double)
    return SparsePattern.build(row, column, num_rows, size).weighted(weight)


def plain_demand(intent: DemandIntent, tables: IntentTables, *pairs: Tensor) -> Tensor:
    """q~ by torch's own operations."""
    layers = (intent.first.weight[:, -3:], intent.second.weight, intent.second.bias)
    parts = (tables.user, tables.item, tables.words, tables.item_terms)
    return intent.third(plain_features(*parts, pairs, layers))


@pytest.mark.parametrize("chunk", [1, 4, 1000])
def test_compiled_loops_equal_torch_in_values_and_gradients(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sargraph.nn.pair_features, "CHUNK", chunk)
    intent, tables, *terms = generator_inputs()
    user, item = random_pairs(11)
    parameters = [*tables, *intent.parameters()]
    made = intent.tables(*tables, *terms)
    ours = intent(made, user, item)
    theirs = plain_demand(intent, made, user, item)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    factor = torch.randn(11, 3, dtype=torch.double)
    grads = [
        torch.autograd.grad((each * factor).sum(), parameters, retain_graph=True)
        for each in (ours, theirs)
    ]
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


def test_mean_demand_is_the_matrix_times_every_virtual_query() -> None:
    intent, tables, *terms = generator_inputs()
    user, item = random_pairs(11)
    matrix = random_matrix(6, 11)
    parameters = [*tables, *intent.parameters()]
    factor = torch.randn(6, 3, dtype=torch.double)
    results = []
    for mean in (
        lambda made: intent.mean_demand(made, user, item, matrix),
        lambda made: matrix.matmul(plain_demand(intent, made, user, item)),
    ):
        found = mean(intent.tables(*tables, *terms))
        results.append([found, *torch.autograd.grad((found * factor).sum(), parameters)])
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)


def test_buffers_are_used_again_once_a_graph_is_gone() -> None:
    """A second forward pass before the first backward pass must not overwrite what that needs."""
    intent, tables, *terms = generator_inputs()
    user, item = random_pairs(11)
    matrix = random_matrix(6, 11)

    def mean(items: Tensor) -> Tensor:
        return intent.mean_demand(intent.tables(*tables, *terms), user, items, matrix)

    first = mean(item)
    expected = torch.autograd.grad(first.sum(), tables[0], retain_graph=True)[0]
    second = mean(item.flip(0))
    assert torch.equal(torch.autograd.grad(first.sum(), tables[0])[0], expected)
    del first, second
    kept = [each.data_ptr() for each in intent.pool.idle]
    assert len(kept) == 3
    third = mean(item)
    assert not intent.pool.idle
    del third
    assert {each.data_ptr() for each in intent.pool.idle} == set(kept)


def test_generator_gradients_are_right() -> None:
    intent, tables, *terms = generator_inputs()
    user, item = torch.tensor([0, 1, 1, 3, 2]), torch.tensor([4, 0, 4, 2, 2])
    weights = list(intent.parameters())

    def demand(*inputs: Tensor) -> Tensor:
        return intent(intent.tables(*inputs[:3], *terms), user, item)

    assert torch.autograd.gradcheck(demand, (*tables, *weights))


def test_no_pairs_give_no_queries() -> None:
    intent, tables, *terms = generator_inputs()
    none = torch.zeros(0, dtype=torch.long)
    output = intent(intent.tables(*tables, *terms), none, none)
    assert output.shape == (0, 3)
    output.sum().backward()


def test_few_and_many_users_have_the_same_parts() -> None:
    """The words' products run over a user's places or over all words, whichever are fewer."""
    intent, tables, contexts, item_terms = generator_inputs()
    whole = intent.tables(*tables, contexts, item_terms).user
    for user in range(4):
        one = contexts.take(torch.tensor([user]))
        part = intent.tables(tables[0][[user]], *tables[1:], one, item_terms).user
        torch.testing.assert_close(part, whole[[user]])


def test_query_vector_skips_missing_words() -> None:
    words = torch.arange(8.0).view(4, 2)
    terms = torch.tensor([[3, 1, -1], [0, 0, 2], [-1, -1, -1]])
    expected = torch.stack([words[3] + words[1], 2 * words[0] + words[2], torch.zeros(2)])
    torch.testing.assert_close(query_vector(words, terms), expected)
