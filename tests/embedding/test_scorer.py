"""The scorer: equal to the plain score of each pair, padding, sources, unknown rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.scorer import Requests, Scorer
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.uditsr_model import UDITSRModel, UDITSRTraining
from sargraph.graph.graph import Graph
from sargraph.testing.planted_topics import SIZES


def requests(user: list[int], query: list[int]) -> Requests:
    none = np.zeros(len(user), dtype=np.int64)
    return Requests(np.array(user), np.array(query), none, none, none)


def test_scores_equal_those_of_single_pairs(graph: Graph) -> None:
    model = UDITSRModel.build(graph, UDITSRTraining(dim=8), seed=0)
    asked = requests([0, 1, 2, 39], [-1, 4, -1, 7])
    candidates = np.random.default_rng(0).integers(0, SIZES["item"], (4, 9))
    scores = model.scorer().score(asked, candidates)
    assert scores.dtype == np.float32 and scores.shape == (4, 9)
    tables = model.module.propagate(model.data.edges)
    for row in range(4):
        for column in range(9):
            search = asked.query[row] >= 0
            words = model.data.query_terms[[int(asked.query[row])]] if search else None
            single = model.module.score(
                torch.tensor([int(asked.user[row])]),
                torch.tensor([int(candidates[row, column])]),
                torch.tensor([bool(search)]),
                words if words is not None else torch.full((1, 5), -1),
                tables,
            )
            assert scores[row, column] == pytest.approx(float(single.detach()), abs=1e-5)


def test_padding_scores_minus_infinity_and_changes_nothing_else(embeddings: Embeddings) -> None:
    scorer = scorer_of(embeddings)
    asked = requests([0, 1], [-1, 3])
    padded = scorer.score(asked, np.array([[3, -1, 5], [-1, 2, 0]]))
    plain = scorer.score(asked, np.array([[3, 0, 5], [1, 2, 0]]))
    assert np.isneginf(padded).tolist() == [[False, True, False], [True, False, False]]
    np.testing.assert_array_equal(padded[np.isfinite(padded)], plain[np.isfinite(padded)])


def test_a_catalogue_given_as_a_view_is_scored(embeddings: Embeddings) -> None:
    catalogue = np.broadcast_to(np.arange(SIZES["item"]), (3, SIZES["item"]))
    scores = scorer_of(embeddings).score(requests([0, 1, 2], [-1, -1, 2]), catalogue)
    assert np.isfinite(scores).all()


def test_cold_users_and_items_are_scored_from_their_raw_vectors(embeddings: Embeddings) -> None:
    user, item = SIZES["user"] - 1, SIZES["item"] - 1
    raw = embeddings.weights["user_embedding.weight"][user]
    cold = embeddings.tables["user"][user]
    cosine = cold @ raw / np.linalg.norm(cold) / np.linalg.norm(raw)
    assert cosine == pytest.approx(1, abs=1e-5)
    assert np.isfinite(
        scorer_of(embeddings).score(requests([user], [-1]), np.array([[item]]))
    ).all()


def test_it_is_a_scorer_and_the_loaded_one_scores_alike(
    embeddings: Embeddings, tmp_path: Path
) -> None:
    embeddings.save(tmp_path / "e")
    asked, candidates = requests([0, 5, 9], [-1, 2, -1]), np.arange(12).reshape(3, 4)
    scorer = scorer_of(embeddings)
    assert isinstance(scorer, Scorer) and scorer.name == "uditsr"
    loaded = scorer_of(Embeddings.load(tmp_path / "e"))
    np.testing.assert_array_equal(scorer.score(asked, candidates), loaded.score(asked, candidates))


def test_rows_of_another_vocabulary_are_refused(embeddings: Embeddings) -> None:
    scorer, one = scorer_of(embeddings), np.array([[0]])
    with pytest.raises(BadInputError, match="user"):
        scorer.score(requests([SIZES["user"]], [-1]), one)
    with pytest.raises(BadInputError, match="query"):
        scorer.score(requests([0], [SIZES["query"]]), one)
    with pytest.raises(BadInputError, match="candidate"):
        scorer.score(requests([0], [-1]), np.array([[SIZES["item"]]]))


def test_an_unknown_model_cannot_score(embeddings: Embeddings) -> None:
    with pytest.raises(ConfigError, match="uditsr"):
        scorer_of(Embeddings(**{**vars(embeddings), "model": "udit"}))
