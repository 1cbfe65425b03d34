"""Popularity: the same ranking for everybody, by how often an item was chosen."""

from __future__ import annotations

import numpy as np

from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, FloatArray, IntArray
from sargraph.evaluation.baselines.blocks import masked
from sargraph.evaluation.baselines.choices import Source, chosen_rows
from sargraph.events.events import Events


class Popularity:
    """score(i) = number of training events in which someone chose item i.

    `source` says where the choices are counted. `counts` int64 [items]. Cost: one pass.
    """

    name = "popularity"

    def __init__(self, events: Events, is_train: BoolArray, source: Source = "both") -> None:
        rows = chosen_rows(events, is_train, source)
        self.counts: IntArray = np.bincount(events.item[rows], minlength=len(events.items))

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Counts of the candidates, float32 [n, c]; the requests do not matter."""
        if len(self.counts) == 0:
            return masked(np.zeros(candidates.shape), candidates)
        return masked(self.counts[candidates].astype(np.float64), candidates)
