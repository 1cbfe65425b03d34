"""The plain path meets the published numbers, and the fast path trains as the plain one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sargraph.embedding.uditsr import UDITSR, TrainingBatch, UDITSRConfig
from sargraph.nn.edges import TranslationEdges
from sargraph.testing.uditsr_golden import PRECISIONS, WITHOUT_EFFECT, Golden, our_name
from sargraph.testing.uditsr_plain import PlainUDITSR


def plain_of(model: UDITSR) -> PlainUDITSR:
    """The plain model with the same weights."""
    sizes = (
        model.user_embedding.num_embeddings,
        model.item_embedding.num_embeddings,
        model.term_embedding.num_embeddings,
    )
    config = model.config
    plain = PlainUDITSR(sizes, config.dim, config.num_layers, model.user_terms, model.item_terms)
    plain.to(model.user_embedding.weight.dtype).load_state_dict(model.state_dict())
    return plain


@pytest.mark.parametrize(("prefix", "dtype", "tolerance"), PRECISIONS, ids=["f64", "f32"])
def test_plain_path_has_the_published_numbers(
    golden_dir: Path, prefix: str, dtype: torch.dtype, tolerance: float
) -> None:
    golden = Golden(golden_dir / "uditsr.npz", prefix, dtype)
    plain = plain_of(golden.model)

    def close(ours: Tensor, name: str) -> None:
        expected = golden.output(name)
        torch.testing.assert_close(ours.double(), expected.double(), rtol=tolerance, atol=tolerance)

    for layer, (user, item) in enumerate(plain.layers(golden.edges)[1:], start=1):
        close(user, f"layer{layer}_user")
        close(item, f"layer{layer}_item")
    losses = plain.losses(golden.batch(), golden.edges)
    close(losses["bpr"], "bpr_loss")
    close(losses["supervised"], "seach_supervised_loss")
    close(losses["translation"], "intent_translate_loss")
    close(losses["total"], "total_loss")
    losses["total"].backward()
    ours = dict(plain.named_parameters())
    for name in golden.arrays.files:
        if name.startswith("w/") and name[2:] != WITHOUT_EFFECT:
            gradient = ours[our_name(name[2:])].grad
            assert gradient is not None
            close(gradient, f"grad/{name[2:]}")


def twenty_steps(model: UDITSR, edges: TranslationEdges, batches: list[TrainingBatch]) -> None:
    """Train both paths from the same weights, and compare all weights after each step."""
    plain = plain_of(model)
    ours, theirs = (
        torch.optim.AdamW(each.parameters(), lr=1e-3, weight_decay=1e-5) for each in (model, plain)
    )
    for step in range(20):
        batch = batches[step % len(batches)]
        for optimiser in (ours, theirs):
            optimiser.zero_grad()
        model.losses(batch, model.propagate(edges)).total.backward()
        plain.losses(batch, edges)["total"].backward()
        for optimiser in (ours, theirs):
            optimiser.step()
        state = model.state_dict()
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=1e-9, atol=1e-9)


def test_twenty_steps_equal_the_plain_path_on_the_published_graph(golden_dir: Path) -> None:
    golden = Golden(golden_dir / "uditsr.npz", "f64", torch.double)
    twenty_steps(golden.model, golden.edges, [golden.batch()])


@pytest.mark.parametrize("seed", [0, 1])
def test_twenty_steps_equal_the_plain_path_on_a_random_graph(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    sizes = users, items, terms = 100, 40, 60

    def rows(high: int, *shape: int) -> Tensor:
        return torch.randint(0, high, shape, generator=generator)

    edges = TranslationEdges.build(
        rows(users, 600), rows(items, 600), rows(2, 600) == 1, rows(terms, 600, 3), sizes
    )
    config = UDITSRConfig(dim=12, parity=True, seed=seed)
    model = UDITSR(*sizes, config, rows(terms, users, 3), rows(terms, items, 10)).double()
    batches = [TrainingBatch.of_edges(edges, rows(600, 50), rows(items, 50)) for _ in range(7)]
    twenty_steps(model, edges, batches)
