"""The demand at a time against loops, and the limits of its decay."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sargraph.nn.contexts import TimedContexts, WordContexts
from sargraph.nn.intent import DemandIntent, query_vector
from sargraph.nn.timed_intent import TimedIntent
from sargraph.nn.word_attention import word_attention

DIM, USERS, ITEMS, TERMS, QUERIES = 3, 4, 5, 6, 4


def inputs() -> tuple[TimedIntent, list[Tensor], TimedContexts, Tensor]:
    torch.manual_seed(3)
    intent = TimedIntent(DIM).double()
    tables = [
        torch.randn(n, DIM, dtype=torch.double, requires_grad=True) for n in (7, ITEMS, TERMS)
    ]
    history = torch.randint(-1, QUERIES, (7, 3))
    history[0], history[1] = -1, torch.tensor([2, 2, 1])
    calendar = torch.stack([torch.randint(low, low + 5, (7,)) for low in (0, 12, 19)], dim=1)
    calendar[0] = -1
    contexts = TimedContexts(
        user=torch.randint(0, USERS, (7,)),
        history=history,
        age=torch.rand(7, 3, dtype=torch.double) * 20 + 0.1,
        calendar=calendar,
        queries=torch.randint(-1, TERMS, (QUERIES, 2)),
    )
    return intent, tables, contexts, torch.randint(-1, TERMS, (ITEMS, 4))


def history_by_loops(intent: TimedIntent, tables: list[Tensor], contexts: TimedContexts) -> Tensor:
    rows = []
    for c in range(len(contexts)):
        marks = [int(row) for row in contexts.calendar[c] if row >= 0]
        season = sum((intent.calendar.weight[m] for m in marks), torch.zeros(DIM).double())
        ask = intent.ask_history(torch.cat([tables[0][c], season]))
        total, mixed = 1.0, torch.zeros(DIM).double()  # the place that refuses has weight e^0
        for query, age in zip(contexts.history[c].tolist(), contexts.age[c], strict=True):
            if query >= 0:
                words = [t for t in contexts.queries[query].tolist() if t >= 0]
                vector = sum((tables[2][t] for t in words), torch.zeros(DIM).double())
                weight = torch.exp(ask @ vector - torch.exp(intent.log_decay) * age)
                total, mixed = total + weight, mixed + weight * vector
        rows.append(mixed / total)
    return torch.stack(rows)


def demand_by_loops(
    intent: TimedIntent,
    tables: list[Tensor],
    contexts: TimedContexts,
    terms: Tensor,
    c: int,
    i: int,
) -> Tensor:
    r = history_by_loops(intent, tables, contexts)[c]
    marks = [int(row) for row in contexts.calendar[c] if row >= 0]
    season = sum((intent.calendar.weight[m] for m in marks), torch.zeros(DIM).double())
    key = intent.key(torch.cat([tables[0][c], r, season]))
    words = [tables[2][t] for t in terms[i].tolist() if t >= 0]
    weights = [torch.exp(key @ (intent.attention.weight @ y)) for y in words]
    mixed = sum(
        (w / sum(weights) * y for w, y in zip(weights, words, strict=True)),
        torch.zeros(DIM).double(),
    )
    hidden = intent.first(torch.cat([tables[0][c], tables[1][i], r, mixed, season])).tanh()
    return intent.third(intent.second(hidden).tanh())


def test_virtual_queries_at_a_time_are_the_loop() -> None:
    intent, tables, contexts, terms = inputs()
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(ITEMS))
    found = intent(intent.tables(*tables, contexts, terms), pairs[:, 0], pairs[:, 1])
    expected = [demand_by_loops(intent, tables, contexts, terms, int(c), int(i)) for c, i in pairs]
    torch.testing.assert_close(found, torch.stack(expected))


def test_gradients_are_right_and_reach_every_parameter() -> None:
    intent, tables, contexts, terms = inputs()
    pairs = torch.tensor([0, 1, 3, 5, 6]), torch.tensor([0, 2, 2, 4, 1])

    def demand(*given: Tensor) -> Tensor:
        return intent(intent.tables(*given[:3], contexts, terms), *pairs)

    parameters = list(intent.parameters())
    assert torch.autograd.gradcheck(demand, (*tables, *parameters))
    demand(*tables).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters)


def with_decay(intent: TimedIntent, value: float) -> TimedIntent:
    with torch.no_grad():
        intent.log_decay.fill_(value)
    return intent


def test_endless_decay_leaves_no_history() -> None:
    """λ = ∞: zero context."""
    intent, tables, contexts, _ = inputs()
    season = intent.season(contexts.calendar)
    found = with_decay(intent, math.inf).history(tables[0], season, tables[2], contexts)
    assert (found == 0).all()


def test_no_decay_does_not_see_ages() -> None:
    intent, tables, contexts, _ = inputs()
    season = intent.season(contexts.calendar)
    with_decay(intent, -math.inf)
    first = intent.history(tables[0], season, tables[2], contexts)
    older = TimedContexts(**{**vars(contexts), "age": contexts.age * 9})
    assert torch.equal(first, intent.history(tables[0], season, tables[2], older))
    assert (first[1] != 0).all()


def test_without_decay_over_frequent_words_it_is_the_published_form() -> None:
    """λ = 0, no season, keys of the history 0: r = Σ x / 4 of three words and the refusing place,
    so that four times its part of K and W1 gives what equal parts of three words give."""
    timed, tables, _, item_terms = inputs()
    with_decay(timed, -math.inf)
    words = torch.tensor([[0, 1, 2], [3, 3, 4], [5, 0, 1], [2, 4, 5]])
    static = DemandIntent(DIM, num_user_terms=3).double()
    with torch.no_grad():
        for parameter in (timed.ask_history.weight, timed.ask_history.bias):
            parameter.zero_()
        first = timed.first.weight.split(DIM, dim=1)
        parts = [first[0], first[1], first[2] / 4, first[3]]  # [e_u; e_i; r; c], no season
        static.first.weight.copy_(torch.cat(parts, dim=1))
        of_user, of_history, _ = timed.key.weight.split(DIM, dim=1)
        static.key.weight.copy_(torch.cat([of_user, *[of_history / 4] * 3], dim=1))
        for name in ("attention.weight", "second.weight", "third.weight", "key.bias",
                     "first.bias", "second.bias", "third.bias"):  # fmt: skip
            static.get_parameter(name).copy_(timed.get_parameter(name))
    none = torch.full((4, 3), -1)
    at_a_time = TimedContexts(
        torch.arange(4), words, torch.ones(4, 3).double(), none, torch.arange(TERMS).view(-1, 1)
    )
    given = (tables[0][:4], tables[1], tables[2])
    pairs = torch.cartesian_prod(torch.arange(4), torch.arange(ITEMS)).unbind(1)
    torch.testing.assert_close(
        timed(timed.tables(*given, at_a_time, item_terms), *pairs),
        static(static.tables(*given, WordContexts(torch.arange(4), words), item_terms), *pairs),
    )


@pytest.mark.parametrize("may_refuse", [False, True])
def test_biased_attention_is_a_softmax(may_refuse: bool) -> None:
    _, tables, contexts, _ = inputs()
    key, words = torch.randn(7, DIM).double(), tables[2].detach()
    valid, terms = contexts.history >= 0, contexts.history.clamp(min=0)
    bias = torch.randn(7, 3).double()
    found = word_attention(key, words, terms, valid, bias, may_refuse)
    for n in range(7):
        chosen = [t for t in range(3) if valid[n, t]]
        weights = [torch.exp(key[n] @ words[terms[n, t]] + bias[n, t]) for t in chosen]
        total = sum(weights) + (1.0 if may_refuse else 0.0)
        mixed = torch.zeros(DIM).double()
        for weight, t in zip(weights, chosen, strict=True):
            mixed += weight / total * words[terms[n, t]]
        torch.testing.assert_close(found[n], mixed)


def test_contexts_that_are_taken_keep_what_they_know() -> None:
    _, tables, contexts, _ = inputs()
    some = contexts.take(torch.tensor([5, 1, 0]))
    vectors = query_vector(tables[2], contexts.queries)
    fewer = query_vector(tables[2], some.queries)
    assert len(some.queries) <= len(contexts.queries)
    for place, row in enumerate((5, 1, 0)):
        for before, after in zip(contexts.history[row], some.history[place], strict=True):
            assert (before < 0) == (after < 0)
            if before >= 0:
                assert torch.equal(vectors[before], fewer[after])
