"""What a start gives a model before its first step, on its own targets or on new ones."""

from __future__ import annotations

import numpy as np

from sargraph.core.rng import make_rng
from sargraph.core.types import DoubleArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.events import Events

_BLOCK = 4096
_PERMUTATIONS = 4


def init_gain(
    embeddings: Embeddings,
    events: Events,
    rows: IntArray,
    *,
    num_negatives: int = 50,
    seed: int = 0,
) -> float:
    """Fall of the loss at step 0 that the right user's row brings to the targets `rows`, in nats.

    The loss of a target i of user u against n uniform items j is the softmax cross-entropy of
    <u, i> and <u, j>, all divided by the standard deviation of the scores of the negatives, so that
    the length of vectors does not matter. The gain is the mean loss with the users of the targets
    permuted (four times), less the loss as it is: what the tables know of these choices beyond
    what anybody would choose. 0 = nothing. NaN without targets. Compare the gain on training
    targets with the one on validation targets by `check_init_gain`; its standard error is some
    1 / sqrt(targets). Users and items of the embeddings must be those of the events.
    Cost: O(targets negatives dim) in blocks.
    """
    if len(rows) == 0:
        return float("nan")
    rng = make_rng(seed, "init gain")
    item = embeddings.vectors("item").astype(np.float64)
    user = embeddings.vectors("user").astype(np.float64)[events.user[rows]]
    candidates = rng.integers(0, len(item), (len(rows), 1 + num_negatives))
    candidates[:, 0] = events.item[rows]
    others = [
        _loss(user[rng.permutation(len(user))], item, candidates) for _ in range(_PERMUTATIONS)
    ]
    return float(np.mean(others)) - _loss(user, item, candidates)


def _loss(user: DoubleArray, item: DoubleArray, candidates: IntArray) -> float:
    """Mean softmax cross-entropy of column 0, scores at unit spread."""
    scores = np.concatenate(
        [
            np.einsum("nd,ncd->nc", user[start : start + _BLOCK], item[block])
            for start in range(0, len(user), _BLOCK)
            for block in [candidates[start : start + _BLOCK]]
        ]
    )
    spread = float(scores[:, 1:].std())
    logits = scores / spread if spread > 0 else scores
    highest = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    return float((total - logits[:, 0]).mean())
