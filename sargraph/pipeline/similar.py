"""Neighbours to read: a few users, what they chose, and who is like them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sargraph.core.rng import make_rng
from sargraph.core.types import IntArray
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.neighbours.index import UserIndex
from sargraph.pipeline.config import SimilarStage

MIN_CHOICES = 5
"""A user shown has at least so many training choices, so that there is something to read."""


def neighbour_frame(
    index: UserIndex, events: Events, split: Split, settings: SimilarStage, seed: int
) -> pd.DataFrame:
    """One line per neighbour of a few users drawn by the seed: who, how similar, why."""
    lines = []
    for user in _drawn_users(events, split, settings.num_users, seed):
        user_id = events.users.ids[user]
        chose = favourites(events, split, int(user))
        for neighbour in index.similar(user_id, settings.k).to_frame(4).to_dict("records"):
            lines.append(
                {
                    "user": user_id,
                    "chose": chose,
                    "neighbour": neighbour["user_id"],
                    "similarity": neighbour["similarity"],
                    "shared items": neighbour["shared_items"],
                    "shared terms": neighbour["shared_terms"],
                }
            )
    return pd.DataFrame(lines)


def favourites(events: Events, split: Split, user: int, num_shown: int = 4) -> str:
    """Names of the items a user chose most strongly in training, by total weight."""
    rows = np.flatnonzero(split.is_train & events.is_positive & (events.user == user))
    items, place = np.unique(events.item[rows], return_inverse=True)
    weight = np.bincount(place, np.asarray(events.columns["weight"][rows], dtype=np.float64))
    best = items[np.lexsort((items, -weight))[:num_shown]]
    return ", ".join(events.items.names[item] for item in best)


def _drawn_users(events: Events, split: Split, num_users: int, seed: int) -> IntArray:
    chosen = split.is_train & events.is_positive
    active = np.flatnonzero(np.bincount(events.user[chosen]) >= MIN_CHOICES)
    drawn = make_rng(seed, "shown users").choice(
        active, size=min(num_users, len(active)), replace=False
    )
    return np.sort(drawn).astype(np.int64)
