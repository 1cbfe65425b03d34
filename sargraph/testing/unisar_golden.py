"""Read a golden file of the published UniSAR into the shapes and names of our model.

The file counts ids from 1 and pads with 0; we keep its numbering as rows and turn 0 into -1, so
row 0 of every table is simply never read. Query rows are: all search sessions of the file, then
the request queries and the alignment queries of each scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sargraph.sequence.encoders import Attributes
from sargraph.sequence.inputs import HistoryBatch, RequestBatch, Task
from sargraph.sequence.unisar import UniSAR, UniSARConfig

Golden = Mapping[str, Any]
TASKS: dict[str, Task] = {"rec": "recommend", "src": "search"}

_WHOLE = {
    "no_query": "rec_query",
    "inputs.text.term_table": "query_embedding.query_encoder.word_embedding",
    "inputs.text.project": "query_embedding.query_trans",
    "inputs.item.id_table": "session_embedding.item_feat.item_id_emb",
    "inputs.item.attribute_tables.0": "session_embedding.item_feat.first_level_category_id_emb",
    "inputs.item.attribute_tables.1": "session_embedding.item_feat.second_level_category_id_emb",
    "inputs.item.project": "session_embedding.item_feat.item_trans",
    "inputs.user.id_table": "session_embedding.user_feat.user_id_emb",
    "inputs.user.attribute_tables.0": "session_embedding.user_feat.onehot_feat1_emb",
    "inputs.user.attribute_tables.1": "session_embedding.user_feat.onehot_feat2_emb",
    "inputs.user.attribute_tables.2": "session_embedding.user_feat.search_active_level_emb",
    "inputs.user.attribute_tables.3": "session_embedding.user_feat.rec_active_level_emb",
    "inputs.user.project": "session_embedding.user_feat.user_trans",
    "transitions.rec_position": "rec_pos.pe",
    "transitions.search_position": "src_pos.pe",
    "transitions.merged_position": "global_pos_emb.pe",
    "transitions.merged_layers": "global_transformer.transformer_encoder.layers",
    "transitions.rec_layers": "rec_transformer.transformer_encoder.layers",
    "transitions.search_layers": "src_transformer.transformer_encoder.layers",
    "fusion.rec_layers": "rec_cross_fusion.layers",
    "fusion.search_layers": "src_cross_fusion.layers",
    "rec_pooling.weight": "rec_his_attn_pooling.W",
    "search_pooling.weight": "src_his_attn_pooling.W",
    "rec_contrast.weight": "rec_his_cl.weight_matrix",
    "rec_contrast.temperature.value": "rec_his_cl.infoNCE_temp",
    "search_contrast.weight": "src_his_cl.weight_matrix",
    "search_contrast.temperature.value": "src_his_cl.infoNCE_temp",
    "query_item_contrast.weight": "feature_alignment.infoNCE_loss.weight_matrix",
    "query_item_contrast.temperature.value": "feature_alignment.infoNCE_loss.temp",
}
_PARTS = {
    "feed_forward.": "",
    "self_attention": "self_attn",
    "cross_attention": "multihead_attn",
    "attention": "self_attn",
}


def golden_name(name: str) -> str:
    """The name in the file of one of our parameters."""
    if name.startswith("experts."):
        return _expert_name(name)
    start = max((key for key in _WHOLE if name.startswith(key)), key=len)
    rest = name.removeprefix(start)
    for ours, theirs in _PARTS.items():
        if ours in rest:
            rest = rest.replace(ours, theirs)
            if ours != "feed_forward.":
                break
    return _WHOLE[start] + rest


def _expert_name(name: str) -> str:
    _, group, *path = name.split(".")
    if group == "shared":
        return f"ple_layer.share_experts.0.{path[0]}.mlp.0.{path[1]}"
    task, part, *rest = path
    scene, index = {"recommend": ("rec", 0), "search": ("src", 1)}[task]
    if part == "experts":
        return f"ple_layer.task_experts.0.{index}.{rest[0]}.mlp.0.{rest[1]}"
    if part == "gate":
        return f"ple_layer.task_gates.0.{index}.0.{rest[0]}"
    # Ours alternate linear and ReLU (0, 2, ...); theirs have a dropout after each ReLU (0, 3, ...).
    if part == "tower":
        return f"ple_layer.tower.{index}.mlp.{int(rest[0]) // 2 * 3}.{rest[1]}"
    step = int(rest[0]) // 2 * 3 if part == "head" else 6
    return f"{scene}_fc_layer.fc.{step}.{rest[-1]}"


@dataclass(frozen=True)
class GoldenCase:
    """One scene of a golden file, ready for our model."""

    task: Task
    batch: RequestBatch
    negative_items: Tensor
    negative_queries: Tensor


def golden_model(golden: Golden) -> UniSAR:
    """The published model of a golden file with its initial weights, dropout off."""
    weights = {key[2:]: golden[key] for key in golden if key.startswith("w/")}
    terms = golden_query_terms(golden)
    dim, id_dim = weights["query_embedding.query_trans.weight"].shape
    model = UniSAR(
        num_users=len(weights["session_embedding.user_feat.user_id_emb.weight"]),
        num_items=len(weights["session_embedding.item_feat.item_id_emb.weight"]),
        num_queries=len(terms),
        num_terms=len(weights["query_embedding.query_encoder.word_embedding.weight"]),
        config=_config(weights, dim, id_dim),
        query_terms=terms,
        item_terms=_rows(golden["vocab/item/caption"]),
        item_attributes=_attributes(
            golden, "item", ["first_level_category_id", "second_level_category_id"]
        ),
        user_attributes=_attributes(
            golden,
            "user",
            ["onehot_feat1", "onehot_feat2", "search_active_level", "rec_active_level"],
        ),
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = torch.from_numpy(weights[golden_name(name)])
            parameter.copy_(value.reshape(parameter.shape))
    return model.eval()


def _config(weights: Mapping[str, np.ndarray], dim: int, id_dim: int) -> UniSARConfig:
    num_experts, num_shared = (
        sum(name.startswith(f"ple_layer.{group}.") and name.endswith(".weight") for name in weights)
        for group in ("task_experts.0.0", "share_experts.0")
    )
    return UniSARConfig(
        parity=True,
        num_experts=num_experts,
        num_shared_experts=num_shared,
        dim=dim,
        id_dim=id_dim,
        max_rec=len(weights["rec_pos.pe.weight"]),
        max_search=len(weights["src_pos.pe.weight"]),
        expert_dim=len(weights["ple_layer.share_experts.0.0.mlp.0.weight"]),
        tower_dims=tuple(len(weights[f"ple_layer.tower.0.mlp.{i}.weight"]) for i in (0, 3)),
        head_dims=tuple(len(weights[f"rec_fc_layer.fc.{i}.weight"]) for i in (0, 3)),
    )


def _attributes(golden: Golden, side: str, fields: list[str]) -> Attributes:
    prefix = f"w/session_embedding.{side}_feat"
    values = [torch.from_numpy(golden[f"vocab/{side}/{field}"]) for field in fields]
    sizes = tuple(len(golden[f"{prefix}.{field}_emb.weight"]) for field in fields)
    return Attributes(torch.stack(values, 1), sizes)


def golden_query_terms(golden: Golden) -> Tensor:
    """Terms of every query row: sessions, then request and alignment queries of both scenes."""
    blocks = [golden["vocab/session/keyword"], *(golden[name] for name in _query_blocks(golden))]
    return _rows(np.concatenate(blocks))


def _query_blocks(golden: Golden) -> list[str]:
    names = [f"in/{scene}/{part}" for scene in TASKS for part in ("query", "align_neg_query")]
    return [name for name in names if name in golden]


def golden_case(golden: Golden, scene: str) -> GoldenCase:
    """One scene's batch ("rec" or "src") and its alignment negatives."""
    place, start = {}, len(golden["vocab/session/keyword"])
    for name in _query_blocks(golden):
        place[name] = torch.arange(start, start + len(golden[name]))
        start += len(golden[name])
    user = torch.from_numpy(golden[f"in/{scene}/user"])
    candidates = np.concatenate(
        [golden[f"in/{scene}/item"][:, None], golden[f"in/{scene}/neg_items"]], axis=1
    )
    query = place.get(f"in/{scene}/query", torch.full_like(user, -1))
    return GoldenCase(
        TASKS[scene],
        RequestBatch(_history(golden, scene, user), query, torch.from_numpy(candidates)),
        torch.from_numpy(golden[f"in/{scene}/align_neg_item"]),
        place[f"in/{scene}/align_neg_query"],
    )


def _history(golden: Golden, scene: str, user: Tensor) -> HistoryBatch:
    rec, rec_rank = golden_side(golden, scene, golden[f"in/{scene}/all_his"], kind=1)
    session, search_rank = golden_side(golden, scene, golden[f"in/{scene}/all_his"], kind=2)
    clicks = golden["vocab/session/pos_items"][session] * (session > 0)[..., None]
    return HistoryBatch(
        user=user,
        rec_item=_rows(rec),
        search_query=_rows(session),
        search_item=_rows(clicks),
        rec_rank=torch.from_numpy(rec_rank),
        search_rank=torch.from_numpy(search_rank),
    )


def golden_side(
    golden: Golden, scene: str, merged: np.ndarray, kind: int
) -> tuple[np.ndarray, np.ndarray]:
    """Entries of a merged array of one type of event (1 rec, 2 search), and their slots."""
    chosen = golden[f"in/{scene}/all_his_type"] == kind
    width = int(chosen.sum(1)[0])
    slots = np.nonzero(chosen)[1].reshape(-1, width)
    rows = np.arange(len(merged))[:, None]
    return merged[rows, slots], slots


def _rows(ids: np.ndarray) -> Tensor:
    """Ids that pad with 0 -> rows that pad with -1."""
    return torch.from_numpy(np.where(ids == 0, -1, ids))
