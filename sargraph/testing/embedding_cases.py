"""How the contract suite asks each embedding model: its small settings, and what it is excused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sargraph.core.scorer import Requests
from sargraph.core.types import IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.model import EmbeddingModel, embedding_model
from sargraph.embedding.train import train
from sargraph.testing.planted_topics import SIZES, two_topics

SHIFT = "the loss compares scores of one request, so that a shift of all of them is not seen"
FAST = {"dim": 8, "num_epochs": 12, "batch_size": 128, "learning_rate": 0.03}


@dataclass(frozen=True)
class Case:
    """How a model is asked: settings of a training of about a second that learns two topics."""

    settings: dict[str, Any] = field(default_factory=lambda: FAST)
    excused: dict[str, str] = field(default_factory=dict)
    """Parameters that no loss reaches, and why."""


CASES: dict[str, Case] = {
    "bpr": Case(),
    "hgt": Case({**FAST, "num_epochs": 8}),
    "item2vec": Case({**FAST, "num_epochs": 8, "batch_size": 512, "subsample": 0.0}),
    "lightgcn": Case(),
    "srjgraph": Case(
        {**FAST, "num_epochs": 8},
        {f"heads.{task}_score.third.bias": SHIFT for task in ("search", "recommend")},
    ),
    "transe": Case(),
    "uditsr": Case(
        {"dim": 16, "num_epochs": 15, "batch_size": 128, "learning_rate": 0.02},
        {f"{task}_score.third.bias": SHIFT for task in ("search", "recommend")},
    ),
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "lightgcn with queries": ("lightgcn", {"queries": True}),
    "lightgcn with queries, edges hidden": ("lightgcn", {"queries": True, "hide_edges": True}),
    "item2vec by products": ("item2vec", {"similarity": "inner"}),
}
"""Further arms of models, which keep the same contract."""


def arm(label: str) -> tuple[str, dict[str, Any], dict[str, str]]:
    """The model, its settings and its excused parameters."""
    name, more = VARIANTS.get(label, (label, {}))
    case = CASES[name]
    return name, {**case.settings, **more}, case.excused


class Trained:
    """Each arm trained on two topics when it is first asked for, and never again."""

    def __init__(self, folder: Path) -> None:
        self._found: dict[str, Embeddings] = {}
        self._folder = folder

    def __call__(self, label: str) -> Embeddings:
        """The embeddings of an arm, seed 1."""
        if label not in self._found:
            name, settings, _ = arm(label)
            self._found[label] = train(two_topics(), name, settings, seed=1)
        return self._found[label]

    def loaded(self, label: str) -> Embeddings:
        """The same, written to a folder and read again."""
        folder = self._folder / label.replace(" ", "_")
        if not folder.exists():
            self(label).save(folder)
        return Embeddings.load(folder)


def topic_requests(user: IntArray, *, search: bool) -> Requests:
    """A request by each user; a search asks a query of the user's own topic."""
    none = np.full(len(user), -1, dtype=np.int64)
    query = user % 2 + 2 * (user // 2 % (SIZES["query"] // 2)) if search else none
    return Requests(user, query, np.zeros(len(user), dtype=np.int64), none, none)


def built(label: str) -> EmbeddingModel:
    """The model of an arm before its training, seed 1."""
    name, settings, _ = arm(label)
    member = embedding_model(name)
    return member.build(two_topics(), member.parse(settings), 1)


def first_batch(model: EmbeddingModel) -> Any:
    """The same batch each time it is asked for."""
    return next(iter(model.batches(1, torch.Generator().manual_seed(0))))
