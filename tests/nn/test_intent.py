"""The demand intent generator against loops: values, gradients, padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sargraph.nn.intent import DemandIntent, query_vector
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


def generator_inputs(chunk_size: int) -> tuple[DemandIntent, list[Tensor], list[Tensor]]:
    torch.manual_seed(2)
    intent = DemandIntent(dim=3, num_user_terms=2, chunk_size=chunk_size).double()
    tables = [torch.randn(n, 3, dtype=torch.double, requires_grad=True) for n in (4, 5, 6)]
    terms = [torch.randint(-1, 6, (4, 2)), torch.randint(-1, 6, (5, 3))]
    return intent, tables, terms


def test_chunk_size_changes_no_number() -> None:
    user, item = torch.randint(0, 4, (11,)), torch.randint(0, 5, (11,))
    results = []
    for chunk_size in (1, 4, 100):
        intent, tables, terms = generator_inputs(chunk_size)
        output = intent(intent.tables(*tables, *terms), user, item)
        output.square().sum().backward()
        grads = [p.grad for p in (*tables, *intent.parameters())]
        results.append([output, *grads])
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-12, atol=1e-12)


def test_generator_gradients_are_right() -> None:
    intent, tables, terms = generator_inputs(chunk_size=2)
    user, item = torch.tensor([0, 1, 1, 3, 2]), torch.tensor([4, 0, 4, 2, 2])
    weights = list(intent.parameters())

    def demand(*inputs: Tensor) -> Tensor:
        return intent(intent.tables(*inputs[:3], *terms), user, item)

    assert torch.autograd.gradcheck(demand, (*tables, *weights))


def test_no_pairs_give_no_queries() -> None:
    intent, tables, terms = generator_inputs(chunk_size=2)
    none = torch.zeros(0, dtype=torch.long)
    output = intent(intent.tables(*tables, *terms), none, none)
    assert output.shape == (0, 3)
    output.sum().backward()


def test_query_vector_skips_missing_words() -> None:
    words = torch.arange(8.0).view(4, 2)
    terms = torch.tensor([[3, 1, -1], [0, 0, 2], [-1, -1, -1]])
    expected = torch.stack([words[3] + words[1], 2 * words[0] + words[2], torch.zeros(2)])
    torch.testing.assert_close(query_vector(words, terms), expected)
