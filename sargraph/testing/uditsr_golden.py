"""The published run of UDITSR as arrays, and our model with the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sargraph.embedding.uditsr import UDITSR, TrainingBatch, UDITSRConfig
from sargraph.nn.edges import TranslationEdges

OUR_NAMES = {
    "query_embedding": "term_embedding",
    "embedding_dict.user_emb": "user_embedding.weight",
    "embedding_dict.item_emb": "item_embedding.weight",
    "graphlayers.0.linear_K": "intent.key",
    "graphlayers.0.item_query_attn.linear": "intent.attention",
    "graphlayers.0.demand_mlp.0": "intent.first",
    "graphlayers.0.demand_mlp.3": "intent.second",
    "graphlayers.0.demand_mlp.6": "intent.third",
    "search_score_predictor.0": "search_score.first",
    "search_score_predictor.2": "search_score.second",
    "search_score_predictor.4": "search_score.third",
    "recommend_score_predictor.0": "recommend_score.first",
    "recommend_score_predictor.2": "recommend_score.second",
    "recommend_score_predictor.4": "recommend_score.third",
}
WITHOUT_EFFECT = "graphlayers.0.item_query_attn.linear.bias"  # a softmax does not see a shift
PRECISIONS = [("f64", torch.float64, 1e-10), ("f32", torch.float32, 1e-5)]


def our_name(published: str) -> str:
    """Our name of a published weight."""
    stem, _, kind = published.rpartition(".")
    return OUR_NAMES[published] if published in OUR_NAMES else f"{OUR_NAMES[stem]}.{kind}"


class Golden:
    """The published run: arrays, and our model with the same weights."""

    def __init__(self, path: Path, prefix: str, dtype: torch.dtype) -> None:
        self.arrays = np.load(path)
        self.prefix = prefix
        weights = {
            name[2:]: torch.from_numpy(self.arrays[name])
            for name in self.arrays.files
            if name.startswith("w/")
        }
        users, dim = weights["embedding_dict.user_emb"].shape
        sizes = (
            users,
            len(weights["embedding_dict.item_emb"]),
            len(weights["query_embedding.weight"]),
        )
        self.num_layers = sum(
            name.startswith(f"{prefix}/layer") and name.endswith("user")
            for name in self.arrays.files
        )
        config = UDITSRConfig(dim=dim, num_layers=self.num_layers, parity=True)
        self.model = UDITSR(
            *sizes, config, self.tensor("user_topk_query"), self.tensor("item_topk_query")
        ).to(dtype)
        state = {our_name(k): v for k, v in weights.items() if k != WITHOUT_EFFECT}
        self.model.load_state_dict(
            {**state, "user_terms": self.model.user_terms, "item_terms": self.model.item_terms}
        )
        edge = [self.tensor(f"edge_{name}") for name in ("user", "item", "type", "query")]
        self.edges = TranslationEdges.build(edge[0], edge[1], edge[2] == 1, edge[3], sizes)

    def tensor(self, name: str) -> Tensor:
        """An input."""
        return torch.from_numpy(self.arrays[name])

    def output(self, name: str) -> Tensor:
        """An output at this precision."""
        return torch.as_tensor(self.arrays[f"{self.prefix}/{name}"])

    def batch(self) -> TrainingBatch:
        """The published training batch."""
        return TrainingBatch(
            user=self.tensor("batch_USER"),
            item=self.tensor("batch_ITEM"),
            negative=self.tensor("batch_NEG_ITEM"),
            is_search=self.tensor("batch_TYPE") == 1,
            query_terms=self.tensor("batch_QUERY"),
        )
