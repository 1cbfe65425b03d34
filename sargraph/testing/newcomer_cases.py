"""The world with newcomers as it is and before they came, and the models that place them."""

from __future__ import annotations

import numpy as np

from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW, FloatArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.testing.newcomers import (
    KNOWN,
    LAST_DAY,
    NUM_TOPICS,
    SIZES,
    before_the_newcomers,
    newcomer_world,
)

FAST = {"dim": 8, "num_epochs": 12, "batch_size": 128, "learning_rate": 0.03}
ONCE = {"dim": 8, "num_epochs": 1}
MODELS = {
    "uditsr": {},
    "uditsr timed": {"virtual_query": "timed"},
    "uditsr published": {"parity": True},
    "uditsr constant": {"virtual_query": "constant"},
    "bpr": {},
    "lightgcn": {},
    "lightgcn queries": {"queries": True},
    "transe": {},
    "item2vec": {},
}
WORLD = newcomer_world()
OLD = before_the_newcomers(WORLD)
USERS, ITEMS = np.arange(SIZES["user"]), np.arange(SIZES["item"])
NEW_USERS = USERS[KNOWN["user"] : 58]
LATER = LAST_DAY - 5


def by_id(embeddings: Embeddings, kind: str, table: FloatArray) -> dict[str, FloatArray]:
    """The rows of a table of a kind under their raw ids."""
    return dict(zip(embeddings.vocabularies[kind].ids, table, strict=True))


def asked(users: np.ndarray, query: np.ndarray | None = None) -> Requests:
    """Requests of the users after the last day, with the queries if given (-1 = none)."""
    none = np.full(len(users), LAST_DAY)
    query = np.full(len(users), NO_ROW) if query is None else query
    return Requests(users, query, none, np.zeros_like(none), none)


def share_of_right_pairs(
    scorer: Scorer, users: np.ndarray, items: np.ndarray, search: bool = False
) -> float:
    """How often an item of the user's topic outranks one of another topic; .5 by chance."""
    query = users % NUM_TOPICS if search else None
    scores = scorer.score(asked(users, query), np.tile(items, (len(users), 1)))
    same = items % NUM_TOPICS == users[:, None] % NUM_TOPICS
    above = [
        (np.sign(row[own][:, None] - row[~own]) + 1).mean() / 2
        for row, own in zip(scores, same, strict=True)
    ]
    return float(np.mean(above))
