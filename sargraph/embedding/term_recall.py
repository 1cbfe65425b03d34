"""Does a virtual query name the words that were typed? Asked of searches as if they had none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from sargraph.core.errors import BadInputError
from sargraph.core.types import NO_ROW, DoubleArray, IntArray
from sargraph.embedding.embeddings import Embeddings
from sargraph.embedding.model import embedding_model
from sargraph.embedding.virtual_terms import named_terms
from sargraph.events.events import Events
from sargraph.events.split import TEST, VALID, Split

_BLOCK = 1024
"""Searches scored at a time."""

Past = list[tuple[int, list[int]]]
"""(time, terms) of training searches, oldest first."""


@dataclass(frozen=True)
class AskedTerms:
    """Held-out searches that led to an item, with the words they were typed with.

    `user`, `item`, `time` int64 [n]; `terms` holds the words of each. `by_user`, `by_item` and
    `everywhere` are the training searches that simple answers may read.
    """

    user: IntArray
    item: IntArray
    time: IntArray
    terms: list[list[int]]
    by_user: dict[int, Past]
    by_item: dict[int, Past]
    everywhere: Counter[int]

    @classmethod
    def of(cls, events: Events, split: Split, part: str = "test") -> AskedTerms:
        """Every chosen item of a held-out search with words; one search may lead to several.

        Raises BadInputError where the part has none. Cost: one pass over the searches.
        """
        words = [[int(term) for term in row] for row in events.query_terms]
        found = events.is_search & events.is_positive & (events.query != NO_ROW)
        held = np.flatnonzero(found & (split.part == (TEST if part == "test" else VALID)))
        held = np.array([row for row in held if words[events.query[row]]], dtype=np.int64)
        if len(held) == 0:
            raise BadInputError(f"the {part} part has no search with words that led to an item")
        by_user: dict[int, Past] = {}
        by_item: dict[int, Past] = {}
        everywhere: Counter[int] = Counter()
        past = np.flatnonzero(found & split.is_train)
        for row in past[np.argsort(events.time[past], kind="stable")]:
            search = int(events.time[row]), words[events.query[row]]
            by_user.setdefault(int(events.user[row]), []).append(search)
            by_item.setdefault(int(events.item[row]), []).append(search)
            everywhere.update(search[1])
        terms = [words[query] for query in events.query[held]]
        user, item, time = events.user[held], events.item[held], events.time[held]
        return cls(user, item, time, terms, by_user, by_item, everywhere)

    def recall(self, named: Iterable[Iterable[int]]) -> DoubleArray:
        """Share of each search's distinct words that are among those named for it, float64 [n]."""
        pairs = zip(self.terms, named, strict=True)
        return np.array([len(set(true) & set(given)) / len(set(true)) for true, given in pairs])


def simple_answers(asked: AskedTerms, k: int) -> dict[str, list[list[int]]]:
    """The k words that need no model, for each search: only training searches before its time.

    user_frequent, user_recent: the user's most frequent and last distinct words; item_frequent:
    the words that most often led to the item; popular: the most frequent words of all training
    searches. Ties: the word last used.
    """
    popular = [term for term, _ in asked.everywhere.most_common(k)]
    found: dict[str, list[list[int]]] = {
        name: [] for name in ("user_frequent", "user_recent", "item_frequent", "popular")
    }
    for user, item, time in zip(asked.user, asked.item, asked.time, strict=True):
        own = _before(asked.by_user.get(int(user), []), int(time))
        others = _before(asked.by_item.get(int(item), []), int(time))
        found["user_frequent"].append(_frequent(own, k))
        found["user_recent"].append(list(dict.fromkeys(own))[:k])
        found["item_frequent"].append(_frequent(others, k))
        found["popular"].append(popular)
    return found


def term_recall(
    embeddings: Embeddings,
    events: Events,
    split: Split,
    part: str = "test",
    ks: tuple[int, ...] = (1, 3, 5),
    count_weight: float = 0.0,
) -> pd.DataFrame:
    """Recall@k of the typed words: of the virtual query and of the simple answers.

    Each held-out search is treated as if its query were unknown: q~(u, i, t) names its k nearest
    words. With a `count_weight` (`best_count_weight`) a row more: virtual query and the item's
    counts together, see `counted_answers`. One row per answer, one column per k (mean over
    searches), and their number. Raises BadInputError as `AskedTerms.of`.
    Cost: O(searches · terms · dim).
    """
    asked = AskedTerms.of(events, split, part)
    most = max(ks)
    answers: dict[str, list[list[int]]] = simple_answers(asked, most)
    named = named_terms(embeddings, asked.user, asked.item, asked.time, most)
    answers["virtual query"] = [[int(t) for t in row if t != NO_ROW] for row in named]
    if count_weight > 0:
        both = counted_answers(embeddings, asked, most, count_weight)
        answers["virtual query and counts"] = both
    return pd.DataFrame(
        {
            name: {
                **{f"recall@{k}": asked.recall(row[:k] for row in given).mean() for k in ks},
                "searches": len(asked.user),
            }
            for name, given in answers.items()
        }
    ).T


def counted_answers(
    embeddings: Embeddings, asked: AskedTerms, k: int, weight: float
) -> list[list[int]]:
    """The k words that a virtual query and the counts of the item's words name together.

    score(w) = log softmax_w(q~ · y_w) + weight · log(1 + n_iw), n_iw = how often training searches
    with w led to the item before the asked time: a product of two experts. Weight 0 leaves the
    virtual query alone. Cost: O(searches · terms · dim).
    """
    make = embedding_model(embeddings.model).demand_from
    demand = torch.from_numpy(make(embeddings, asked.user, asked.item, asked.time))
    words = torch.from_numpy(embeddings.vectors("term")).t()
    found = []
    for start in range(0, len(demand), _BLOCK):
        score = torch.log_softmax(demand[start : start + _BLOCK] @ words, dim=1)
        for row, n in zip(score, range(start, len(demand)), strict=False):
            past = asked.by_item.get(int(asked.item[n]), [])
            count = Counter(_before(past, int(asked.time[n])))
            seen = torch.tensor(list(count.values()), dtype=row.dtype)
            row[torch.tensor(list(count), dtype=torch.int64)] += weight * seen.log1p()
        found += score.topk(min(k, words.shape[1]), dim=1).indices.tolist()
    return found


def best_count_weight(
    embeddings: Embeddings,
    events: Events,
    split: Split,
    k: int = 3,
    weights: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0),
) -> float:
    """The weight of `counted_answers` with the best recall@k on validation searches."""
    asked = AskedTerms.of(events, split, "valid")
    recall = {
        weight: asked.recall(counted_answers(embeddings, asked, k, weight)).mean()
        for weight in weights
    }
    return max(recall, key=lambda weight: recall[weight])


def _before(past: Past, time: int) -> list[int]:
    """Words of searches strictly before a time, the last first."""
    earlier = [terms for when, terms in past if when < time]
    return [term for terms in reversed(earlier) for term in terms]


def _frequent(words: list[int], k: int) -> list[int]:
    return [term for term, _ in Counter(words).most_common(k)]
