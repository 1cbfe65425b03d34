"""Searches lent across sources: what users like you by the feed searched for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from sargraph.core.errors import BadInputError
from sargraph.core.progress import progress
from sargraph.core.ragged import Ragged
from sargraph.core.ranked import Ranked
from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, IntArray
from sargraph.events.events import Events
from sargraph.events.searches import searches
from sargraph.events.vocabulary import Vocabulary
from sargraph.neighbours.index import UserIndex
from sargraph.neighbours.profile import decay
from sargraph.neighbours.vectors import check_mask, checked_rows

COLUMNS = ["user_id", "name", "place", "query_id", "query", "score", "num_lenders", "lenders"]


@dataclass(frozen=True, eq=False)
class LentSearches:
    """Queries that neighbours lend to some users, best first.

    `users` int64 [n]; `ranked`: query rows and scores [n, num_queries]; `lenders`: the user rows
    that lent each query, who gave most first, row `i · num_queries + j` for place j of user i.
    """

    users: IntArray
    ranked: Ranked
    lenders: Ragged
    user_names: Vocabulary
    query_names: Vocabulary

    def __len__(self) -> int:
        return len(self.users)

    def lenders_of(self, place: int, rank: int) -> IntArray:
        """Who lent the query at `rank` (0 = the best) to the user at `place`, int64."""
        return self.lenders[place * self.ranked.rows.shape[1] + rank]

    def to_frame(self, num_shown: int = 5) -> pd.DataFrame:
        """One line per user and query, with the names of those who lent most.

        Users to whom nothing is lent have no line. Cost: O(lines).
        """
        lines = []
        for place, user in enumerate(self.users):
            for rank, (query, score) in enumerate(self.ranked.valid(place)):
                lenders = self.lenders_of(place, rank)
                names = [self.user_names.names[lender] for lender in lenders[:num_shown]]
                more = f" (+{len(lenders) - num_shown})" if len(lenders) > num_shown else ""
                lines.append(
                    (self.user_names.ids[user], self.user_names.names[user], rank + 1,
                     self.query_names.ids[query], self.query_names.names[query], score,
                     len(lenders), ", ".join(names) + more)
                )  # fmt: skip
        return pd.DataFrame(lines, columns=COLUMNS)


def lent_searches(
    index: UserIndex,
    events: Events,
    mask: BoolArray,
    users: IntArray,
    k: int = 10,
    num_queries: int = 10,
    *,
    half_life: float | None = None,
    include_own: bool = False,
) -> LentSearches:
    """The queries that the k neighbours of each user searched for, for users who rarely search.

    `score(u, q) = Σ_v s_uv Σ_n 2^(-(T - τ_n) / h) / Σ_v s_uv`: v over the k neighbours of u in the
    index, s their similarity, n over the searches of v for q that are in `mask` bool [events] and
    before T = `index.as_of`; h = `half_life` in days or events (none = 7 days or 50 events), factor
    1 for a search without a time. To find neighbours by what they chose in the feed, build the
    index with `ProfileConfig(source="recommend")`: then nobody needs a search to be found.

    `users` int64 [n] are rows of `index.users`, matched to those of the events by id. Queries that
    the user searched for in the same events are left out unless `include_own`; the user's own
    searches never count in a score. Ties go to the lower row. Raises BadInputError for k,
    `num_queries` or a half-life that is not positive, UnknownIdError for users who were removed.
    Cost: a search of the index, and O(searches of k neighbours) for each user.
    """
    _check(k, num_queries, half_life)
    check_mask(events, mask)
    users = checked_rows("users", users, len(index.users))
    of_user = _searched(index, events, mask, half_life)
    neighbours, _ = index.search(users, k)
    rows = np.full((len(users), num_queries), NO_ROW, dtype=np.int64)
    scores = np.full((len(users), num_queries), -np.inf, dtype=np.float32)
    empty = np.empty(0, dtype=np.int64)
    lenders = [empty] * rows.size
    for place in progress(range(len(users)), "lending searches"):
        own = empty if include_own else _stretch(of_user, int(users[place]))[0]
        best = _best(of_user, neighbours.valid(place), own, num_queries)
        for rank, (query, score, gave) in enumerate(best):
            rows[place, rank], scores[place, rank] = query, score
            lenders[place * num_queries + rank] = gave
    packed = Ragged.from_lists(lenders)
    return LentSearches(users, Ranked(rows, scores), packed, index.users, events.queries)


def rare_searchers(events: Events, mask: BoolArray, as_of: int, max_searches: int = 0) -> IntArray:
    """Users with an event, but at most `max_searches` searches, in `mask` before `as_of`, int64."""
    check_mask(events, mask)
    used = mask & (~events.is_timed | (events.time < as_of))
    num_searches = np.bincount(events.user[searches(events, used)], minlength=len(events.users))
    active = np.unique(events.user[used])
    return active[num_searches[active] <= max_searches]


def _searched(
    index: UserIndex, events: Events, mask: BoolArray, half_life: float | None
) -> csr_array:
    """Recency weights of what each user of the index searched for, [users, queries]."""
    used = mask & (~events.is_timed | (events.time < index.as_of))
    rows = searches(events, used)
    lender = events.users.match(index.users)[events.user[rows]]
    rows, lender = rows[lender != NO_ROW], lender[lender != NO_ROW]
    cells = (decay(events, rows, index.as_of, half_life), (lender, events.query[rows]))
    return csr_array(cells, shape=(len(index.users), len(events.queries))).sorted_indices()


def _best(
    of_user: csr_array, neighbours: list[tuple[int, float]], own: IntArray, num_queries: int
) -> list[tuple[int, float, IntArray]]:
    """(query, score, lenders) of the best queries of some neighbours, without the `own` ones."""
    total = sum(similarity for _, similarity in neighbours)
    parts = [(user, similarity, *_stretch(of_user, user)) for user, similarity in neighbours]
    if not total > 0 or not parts:
        return []
    query = np.concatenate([found for _, _, found, _ in parts])
    share = np.concatenate([similarity * weight for _, similarity, _, weight in parts]) / total
    lender = np.repeat([user for user, *_ in parts], [len(found) for _, _, found, _ in parts])
    kept = ~np.isin(query, own) & (share > 0)
    query, share, lender = query[kept], share[kept], lender[kept]
    distinct, at = np.unique(query, return_inverse=True)
    score = np.bincount(at, weights=share, minlength=len(distinct))
    best = []
    for chosen in np.lexsort((distinct, -score))[:num_queries]:
        gave = np.flatnonzero(at == chosen)
        order = np.lexsort((lender[gave], -share[gave]))
        best.append((int(distinct[chosen]), float(score[chosen]), lender[gave][order]))
    return best


def _stretch(of_user: csr_array, user: int) -> tuple[IntArray, DoubleArray]:
    """The queries that one user searched for, and their weights."""
    here = slice(of_user.indptr[user], of_user.indptr[user + 1])
    return of_user.indices[here].astype(np.int64), of_user.data[here]


def _check(k: int, num_queries: int, half_life: float | None) -> None:
    for name, given in (("k", k), ("num_queries", num_queries)):
        if given < 1:
            raise BadInputError(f"got {name} = {given}, expected at least 1")
    if half_life is not None and not half_life > 0:
        raise BadInputError(f"got half_life = {half_life}, expected more than 0")
