"""How much an augmented model lets in, by how much is known of a user."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sargraph.core.scorer import Requests
from sargraph.events.history import HistoryIndex
from sargraph.sequence.sequence_model import SequenceModel

_MOST = 1 << 20
"""More own choices than are ever told apart."""


def gate_by_activity(model: SequenceModel, requests: Requests) -> pd.DataFrame:
    """Mean gate of the requests by the number of choices that their users made before.

    One line per bucket 0, 1, 2-3, 4-7, ... that has a request: `activity` (its least number),
    `requests`, `with_neighbours` (those that anything can be let in for) and `gate`, the mean over
    these and over the vector's components, between 0 and 1 (NaN where there are none; a plain
    model has none). Cost: one encoding of the requests.
    """
    gates = model.gates(requests)
    history = HistoryIndex(model.events, model.visible)
    known = history.before(requests, _MOST, drop_target=model.drop_target).lengths
    bucket = np.where(known > 0, 2 ** np.floor(np.log2(np.maximum(known, 1))), 0).astype(np.int64)
    groups = pd.DataFrame({"activity": bucket, "gate": gates}).groupby("activity")["gate"]
    table = groups.agg(requests="size", with_neighbours="count", gate="mean")
    return table.reset_index()
