"""UDITSR against plain loops in both modes, its mended defects, and its edges."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.embedding.uditsr import UDITSR, TrainingBatch, UDITSRConfig
from sargraph.nn.edges import TranslationEdges
from sargraph.testing.uditsr_cases import EDGES, ITEMS, TERMS, USERS, World, as_rows


@pytest.fixture(params=[True, False], ids=["parity", "default"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def every_pair() -> tuple[Tensor, Tensor]:
    pairs = torch.cartesian_prod(torch.arange(USERS), torch.arange(ITEMS))
    return pairs[:, 0], pairs[:, 1]


def test_virtual_queries_are_the_oracle(world: World) -> None:
    user, item = every_pair()
    expected = [world.oracle.demand(int(u), int(i)) for u, i in zip(user, item, strict=True)]
    torch.testing.assert_close(world.model.demand(user, item), torch.stack(expected))


@pytest.mark.parametrize("drop", [False, True], ids=["all_edges", "message_edges"])
def test_propagated_tables_are_the_oracle(world: World, drop: bool) -> None:
    batch = world.batch()
    keep = world.edges.outside(batch.user, batch.item) if drop else None
    tables = world.model.propagate(world.edges, keep)
    users, items = world.oracle.final(world.edge_list(keep))
    torch.testing.assert_close(tables.user, torch.stack(users))
    torch.testing.assert_close(tables.item, torch.stack(items))
    intents = [world.oracle.edge_intent(edge) for edge in world.edge_list()]
    torch.testing.assert_close(world.model.edge_intent(world.edges), torch.stack(intents))


def test_losses_and_gradients_are_the_oracle(world: World) -> None:
    batch = world.batch()
    keep = world.edges.outside(batch.user, batch.item)
    losses = world.model.losses(batch, world.model.propagate(world.edges, keep))
    expected = world.oracle.losses(world.edge_list(keep), as_rows(batch), batch.negative.tolist())
    for name, value in expected.items():
        torch.testing.assert_close(getattr(losses, name), value)
    parameters = list(world.model.parameters())
    ours = torch.autograd.grad(losses.total, parameters)
    theirs = torch.autograd.grad(expected["total"], parameters)
    torch.testing.assert_close(ours, theirs)


def test_scores_are_the_oracle_one_by_one_and_as_candidates(world: World) -> None:
    tables = world.model.propagate(world.edges)
    final = world.oracle.final(world.edge_list())
    requests = world.batch(6)
    candidates = world.rows(0, ITEMS, 6, 4)
    many = world.model.score_candidates(
        requests.user, candidates, requests.is_search, requests.query_terms, tables
    )
    for column in range(4):
        rows = [
            (user, int(item), search, terms)
            for (user, _, search, terms), item in zip(
                as_rows(requests), candidates[:, column], strict=True
            )
        ]
        expected = torch.stack([world.oracle.score(row, final) for row in rows])
        item = candidates[:, column]
        one = world.model.score(
            requests.user, item, requests.is_search, requests.query_terms, tables
        )
        torch.testing.assert_close(one, expected)
        torch.testing.assert_close(many[:, column], expected)
    assert not many.requires_grad


def test_every_parameter_receives_a_gradient(world: World) -> None:
    world.model.losses(world.batch(400), world.model.propagate(world.edges)).total.backward()
    for name, parameter in world.model.named_parameters():
        assert parameter.grad is not None, name
        if name.endswith("score.third.bias") and world.model.config.linear_score:
            # The difference of two scores does not see it; a LeakyReLU after the score does.
            assert parameter.grad.abs().max() < 1e-12, name
        else:
            assert parameter.grad.abs().max() > 0, name


def test_padding_word_is_masked_and_untrained() -> None:
    """Published defect 1: word 0 padded queries, users and items, and was trained as a word."""
    model = World(parity=False).model
    longer = UDITSR(
        USERS,
        ITEMS,
        TERMS,
        model.config,
        model.user_terms,
        torch.cat([model.item_terms, torch.full((ITEMS, 5), -1)], dim=1),
    ).double()
    longer.load_state_dict({**model.state_dict(), "item_terms": longer.item_terms})
    user, item = every_pair()
    torch.testing.assert_close(longer.demand(user, item), model.demand(user, item))
    terms = torch.tensor([[3, -1, -1], [-1, -1, -1]])
    query = model.query_vector(terms)
    assert torch.equal(query[0], model.term_embedding.weight[3]) and (query[1] == 0).all()
    model.query_vector(terms).sum().backward()
    assert torch.nonzero(model.term_embedding.weight.grad.abs().sum(1)).tolist() == [[3]]


def test_a_fully_padded_user_item_and_query_stay_finite() -> None:
    world = World(parity=False)
    user, item = torch.tensor([USERS - 1]), torch.tensor([ITEMS - 1])
    nothing = torch.full((1, 3), -1)
    tables = world.model.propagate(world.edges)
    for is_search in (True, False):
        score = world.model.score(user, item, torch.tensor([is_search]), nothing, tables)
        score.sum().backward(retain_graph=True)
        assert torch.isfinite(score).all()
    assert all(torch.isfinite(p.grad).all() for p in world.model.parameters() if p.grad is not None)


def test_training_row_is_not_predicted_from_its_own_edge() -> None:
    """Published defect 2: the edge to be predicted stayed in the graph."""
    world = World(parity=False)
    rows = torch.tensor([3, 4])
    batch = TrainingBatch.of_edges(world.edges, rows, world.rows(0, ITEMS, 2))
    keep = world.edges.outside(batch.user, batch.item)
    assert not keep[rows].any() and keep.any()
    terms = world.edges.query_terms.clone()
    terms[4] = (terms[4] + 1) % TERMS  # the query of a row to be predicted
    changed = TranslationEdges.build(
        world.edges.user, world.edges.item, world.edges.is_search, terms, (USERS, ITEMS, TERMS)
    )
    before, after = world.model.propagate(world.edges, keep), world.model.propagate(changed, keep)
    assert torch.equal(before.user, after.user) and torch.equal(before.item, after.item)
    leaky = world.model.propagate(changed)
    assert not torch.equal(world.model.propagate(world.edges).user, leaky.user)


def test_final_score_is_not_squashed_below_zero() -> None:
    """Published defect 3: a LeakyReLU after the last layer pressed negative scores together."""
    published, mended = World(parity=True).model, World(parity=False).model
    hidden = torch.randn(400, 7, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    mended.load_state_dict(
        {**published.state_dict(), "user_terms": mended.user_terms, "item_terms": mended.item_terms}
    )
    raw = mended.search_score.finish(hidden) - 0.5
    with torch.no_grad():
        published.search_score.third.bias -= 0.5
    squashed = published.search_score.finish(hidden)
    assert (raw < 0).any()
    torch.testing.assert_close(squashed, torch.where(raw < 0, 0.01 * raw, raw))


def test_supervised_weight_does_not_follow_the_share_of_search_rows() -> None:
    """Published defect 5: L_SG was a mean over all rows of the batch."""
    for parity, ratio in ((True, 0.5), (False, 1.0)):
        world = World(parity)
        tables = world.model.propagate(world.edges)
        negative = torch.zeros(4, dtype=torch.long)
        search = TrainingBatch.of_edges(world.edges, torch.tensor([2, 4, 6, 8]), negative)
        mixed = TrainingBatch.of_edges(
            world.edges, torch.tensor([2, 4, 6, 8, 1, 3, 5, 7]), negative.repeat(2)
        )
        alone = world.model.losses(search, tables).supervised
        torch.testing.assert_close(world.model.losses(mixed, tables).supervised, ratio * alone)


@pytest.mark.parametrize(("parity", "total"), [(True, 1 + 1 / 2 + 1 / 3), (False, 1.0)])
def test_layer_weights_sum_to_one(parity: bool, total: float) -> None:
    """Published defect 7: layer weights grew the final vectors with every layer."""
    world = World(parity)
    tables = world.model.propagate(world.edges)
    layers = world.model.layers(world.edges)
    shares = [share / (11 / 6) * total for share in (1, 1 / 2, 1 / 3)]
    expected = sum(share * layer[0] for share, layer in zip(shares, layers, strict=True))
    torch.testing.assert_close(tables.user, expected)


def test_a_node_without_edges_keeps_its_raw_embedding(world: World) -> None:
    tables = world.model.propagate(world.edges)
    share = 1.0 if world.model.config.parity else 6 / 11
    torch.testing.assert_close(tables.user[-1], share * world.model.user_embedding.weight[-1])
    torch.testing.assert_close(tables.item[-1], share * world.model.item_embedding.weight[-1])


def test_no_edges_and_an_empty_batch_give_finite_zeros(world: World) -> None:
    none = torch.zeros(0, dtype=torch.long)
    edges = TranslationEdges.build(
        none, none, none > 0, torch.zeros(0, 3).long(), (USERS, ITEMS, TERMS)
    )
    tables = world.model.propagate(edges)
    losses = world.model.losses(TrainingBatch.of_edges(edges, none, none), tables)
    assert losses.total.item() == 0
    losses.total.backward()


def test_no_candidates_give_no_scores(world: World) -> None:
    requests = world.batch(3)
    scores = world.model.score_candidates(
        requests.user,
        torch.zeros(3, 0, dtype=torch.long),
        requests.is_search,
        requests.query_terms,
        world.model.propagate(world.edges),
    )
    assert scores.shape == (3, 0)


def test_same_seed_gives_the_same_bits() -> None:
    results = []
    for seed in (3, 3, 4):
        torch.manual_seed(len(results))  # the global generator has no say
        world = World(parity=False, seed=seed)
        optimizer = torch.optim.AdamW(world.model.parameters(), lr=0.01)
        for _ in range(2):
            optimizer.zero_grad()
            batch = world.batch()
            keep = world.edges.outside(batch.user, batch.item)
            world.model.losses(batch, world.model.propagate(world.edges, keep)).total.backward()
            optimizer.step()
        results.append(world.model.state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])
    assert not torch.equal(results[0]["intent.key.weight"], results[2]["intent.key.weight"])


def test_training_lowers_the_loss() -> None:
    world = World(parity=False)
    optimizer = torch.optim.AdamW(world.model.parameters(), lr=0.02)
    rows = torch.arange(EDGES)
    batch = TrainingBatch.of_edges(world.edges, rows, (world.edges.item + 1) % ITEMS)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        total = world.model.losses(batch, world.model.propagate(world.edges)).total
        total.backward()
        optimizer.step()
        values.append(total.item())
    assert values[-1] < 0.5 * values[0]


def test_terms_that_do_not_fit_are_refused() -> None:
    config = UDITSRConfig(dim=4)
    user, item = torch.zeros(2, 1, dtype=torch.long), torch.zeros(3, 1, dtype=torch.long)
    with pytest.raises(BadInputError, match="user_terms: got 2 rows, expected 4"):
        UDITSR(4, 3, 5, config, user, item)
    with pytest.raises(BadInputError, match=r"item_terms: got rows 5\.\.5"):
        UDITSR(2, 3, 5, config, user, item + 5)
    with pytest.raises(BadInputError, match=r"expected 0\.\.4"):
        UDITSR(2, 3, 5, UDITSRConfig(dim=4, parity=True), user - 1, item)
