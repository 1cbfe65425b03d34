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
    model has none). `gate_as_active` is the same with everybody's activity at the median: what
    remains of a rise or fall of `gate` there comes from the histories and from what the
    neighbours chose, not from the number itself. Cost: two encodings of the requests.
    """
    gates = model.gates(requests)
    history = HistoryIndex(model.events, model.visible)
    known = history.before(requests, _MOST, drop_target=model.drop_target).lengths
    bucket = np.where(known > 0, 2 ** np.floor(np.log2(np.maximum(known, 1))), 0).astype(np.int64)
    alike = model.gates(requests, activity=float(np.median(known)) if len(known) else 0.0)
    columns = {"activity": bucket, "gate": gates, "alike": alike}
    table = (
        pd.DataFrame(columns)
        .groupby("activity")
        .agg(
            requests=("gate", "size"),
            with_neighbours=("gate", "count"),
            gate=("gate", "mean"),
            gate_as_active=("alike", "mean"),
        )
    )
    return table.reset_index()
