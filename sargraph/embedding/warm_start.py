"""A training that starts from older embeddings: their rows by id, their network as it is."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.core.types import IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.inductive_growth import growth_of
from sargraph.embedding.model import EmbeddingModel
from sargraph.graph.build import ALL_EVENTS
from sargraph.graph.graph import Graph


def start_from(model: EmbeddingModel, name: str, graph: Graph, start: Embeddings) -> dict[str, int]:
    """Give a fresh model the parameters of `start`; returns the rows taken of each kind.

    A row of an id that `start` has is copied, bit for bit; a new id keeps its fresh initial value
    (place it first, `start.embed_new(events)`, to begin from its events). What has no rows is
    copied whole. State of the optimiser is not kept.

    Raises BadInputError for another model, dim or network, for ids of which none is known, and
    where `start` learned from choices that the graph's split of the same events holds out; a start
    from other events is trusted. Cost: one pass over the parameters.
    """
    _check_model(name, start)
    _check_split(graph, start)
    rows = {
        kind: graph.vocabularies[kind].match(vocabulary)
        for kind, vocabulary in start.vocabularies.items()
        if kind in graph.vocabularies
    }
    taken = {kind: int(np.sum(known >= 0)) for kind, known in rows.items()}
    if not taken["user"] and not taken["item"]:
        raise BadInputError(
            f"no user and no item of graph '{graph.name}' is known to the start, expected a graph "
            "of the same data set; give other embeddings or leave the start out"
        )
    given = growth_of(start).parameters(start)
    sizes = {kind: len(vocabulary) for kind, vocabulary in start.vocabularies.items()}
    with torch.no_grad():
        for parameter_name, parameter in model.module.named_parameters():
            if parameter_name not in given:
                raise BadInputError(
                    f"the start has no weight '{parameter_name}' of the network, expected one "
                    "trained with the same settings; take its settings or leave the start out"
                )
            weight, kinds = given[parameter_name]
            parts = [(rows[kind], sizes[kind]) for kind in kinds]
            _copy(parameter_name, parameter, torch.tensor(weight, dtype=parameter.dtype), parts)
    return taken


def start_hash(start: Embeddings) -> str:
    """The content hash of a start; where it was not saved, one of its ids and arrays."""
    if start.content_hash:
        return start.content_hash
    digest = hashlib.sha256(repr(start.vocabularies["user"].ids).encode())
    digest.update(repr(start.vocabularies["item"].ids).encode())
    for arrays in (start.tables, start.weights):
        for name in sorted(arrays):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _check_model(name: str, start: Embeddings) -> None:
    if start.model != name:
        raise BadInputError(
            f"got a start of model '{start.model}', expected '{name}'; give embeddings of the "
            "model that is trained"
        )


def _check_split(graph: Graph, start: Embeddings) -> None:
    """Refuse a start that knows choices which this graph's split holds out.

    A graph of all events holds nothing out.
    """
    same_events = graph.parents.get("events", "") == start.parents.get("events", "none")
    own, known = graph.parents.get("split", ""), start.parents.get("split", "")
    if same_events and own not in ("", ALL_EVENTS) and known not in ("", own):
        raise BadInputError(
            f"the start was fitted on another split of the events ({known[:16]}) than graph "
            f"'{graph.name}' ({own[:16]}), so that it may know what is asked; give a start of the "
            "same split"
        )


def _copy(name: str, parameter: Tensor, old: Tensor, parts: list[tuple[IntArray, int]]) -> None:
    """Copy `old` into a parameter: the known rows of each part, or the whole without parts.

    A part is the old row of each new row (-1 = none) and the number of old rows.
    """
    rows = sum(len(old_row) for old_row, _ in parts)
    expected = (rows, *old.shape[1:]) if parts else tuple(old.shape)
    if tuple(parameter.shape) != expected:
        raise BadInputError(
            f"weight '{name}': the start makes {expected}, expected {tuple(parameter.shape)}; "
            "train with the dim and the settings of the start"
        )
    if not parts:
        parameter.copy_(old)
        return
    first_new = first_old = 0
    for old_row, num_old in parts:
        known = torch.from_numpy(np.flatnonzero(old_row >= 0))
        parameter[first_new + known] = old[first_old + torch.from_numpy(old_row)[known]]
        first_new, first_old = first_new + len(old_row), first_old + num_old
