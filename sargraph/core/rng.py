"""Randomness as an argument: named, independent streams from one seed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def _entropy(seed: int, labels: tuple[str, ...]) -> list[int]:
    return [seed, *(zlib.crc32(label.encode()) for label in labels)]


def make_rng(seed: int, *labels: str) -> np.random.Generator:
    """A NumPy generator for `seed` and labels; other labels give an independent stream."""
    return np.random.default_rng(_entropy(seed, labels))


def torch_generator(seed: int, *labels: str) -> torch.Generator:
    """A CPU torch generator for `seed` and a path of labels."""
    import torch

    state = np.random.SeedSequence(_entropy(seed, labels)).generate_state(1, np.uint64)[0]
    generator = torch.Generator()
    generator.manual_seed(int(state >> 1))
    return generator


def seed_torch(seed: int, *labels: str) -> None:
    """Seed torch's global generator (weight initialisation, dropout) from a named stream."""
    import torch

    torch.manual_seed(torch_generator(seed, *labels).initial_seed())
