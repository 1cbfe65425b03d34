"""Where new users and items belong: means over what is known of them, in two rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, FloatArray, IntArray

COLD, WARM, HOT = range(3)
STATES = ("cold", "warm", "hot")

_ROUNDS = 2


@dataclass(frozen=True)
class Evidence:
    """What is known of users and items, as rows of the grown vocabularies.

    `user` and `item` int64 [events] of each choice, `demand` int64 [events] its row in the table of
    demands (-1 = none); `featured` and `feature` int64 [n]: an item and a word of its text or a
    category; `follower` and `followed` int64 [m]: users.
    """

    user: IntArray
    item: IntArray
    demand: IntArray
    featured: IntArray
    feature: IntArray
    follower: IntArray
    followed: IntArray


@dataclass(frozen=True)
class Placed:
    """Vectors of all users and items, float32 [rows, width]; the states of their rows, int64."""

    user: FloatArray
    item: FloatArray
    user_state: IntArray
    item_state: IntArray


def place(
    user: FloatArray,
    item: FloatArray,
    demands: FloatArray,
    evidence: Evidence,
    num_known: tuple[int, int],
) -> Placed:
    """Give each new user and item a vector from the known ones; known rows stay as they are.

    `user`, `item` float32 [rows, width] hold the known rows first and anything after them,
    `demands` float32 [n, width]. With d the demand of an event (0 = none), over the events e of a
    new row with a row that has been placed before:

    user:  v_u = mean over e of (v_i - d_e)
    item:  v_i = mean over e of (v_u + d_e)
    user without such an event:  v_u = mean over placed users that u follows of v
    item without such an event:  v_i = Σ_t w_t c_t / Σ_t w_t,   w_t = ln(1 + N / n_t)

    over its words and categories t that n_t > 0 of the N known items with any have, c_t the mean
    of these items. The first round starts from the known rows, the second from what the first
    placed, so that a new user who chose only new items has a place too. What is left is cold: the
    mean vector of its kind. A known row of zeros was never learned and tells nothing.
    Cost: O(events log + rows width).
    """
    tables = {"user": user.astype(np.float32), "item": item.astype(np.float32)}
    state = {kind: np.zeros(len(table), dtype=np.int64) for kind, table in tables.items()}
    tells: dict[str, BoolArray] = {}
    for (kind, table), known in zip(tables.items(), num_known, strict=True):
        state[kind][:known] = HOT
        table[known:] = 0
        tells[kind] = np.asarray(table.any(axis=1))
    averages = {kind: mean_row(table[tells[kind]]) for kind, table in tables.items()}
    learned_items = tells["item"].copy()
    for _ in range(_ROUNDS):
        found = {
            "user": _from_events(evidence, "user", tables, demands, tells, state),
            "item": _from_events(evidence, "item", tables, demands, tells, state),
        }
        _fill(found, tables, tells, state)
        open_user, open_item = (state[kind] == COLD for kind in ("user", "item"))
        found = {
            "user": _followed(evidence, tables["user"], tells["user"], open_user),
            "item": _from_features(evidence, tables["item"], learned_items, open_item),
        }
        _fill(found, tables, tells, state)
    for kind, table in tables.items():
        table[state[kind] == COLD] = averages[kind]
    return Placed(tables["user"], tables["item"], state["user"], state["item"])


_Found = tuple[IntArray, DoubleArray]
"""Rows that have been placed, and their vectors."""


def _fill(
    found: dict[str, _Found],
    tables: dict[str, FloatArray],
    tells: dict[str, BoolArray],
    state: dict[str, IntArray],
) -> None:
    """Write what was found; both kinds at once, so that neither sees the other's new rows."""
    for kind, (rows, vectors) in found.items():
        tables[kind][rows] = vectors
        tells[kind][rows] = True
        state[kind][rows] = WARM


def _from_events(
    evidence: Evidence,
    kind: str,
    tables: dict[str, FloatArray],
    demands: FloatArray,
    tells: dict[str, BoolArray],
    state: dict[str, IntArray],
) -> _Found:
    """The mean over the events of each row without a place, from the other ends that have one."""
    own, other, sign = evidence.user, evidence.item, -1.0
    source = "item"
    if kind == "item":
        own, other, sign, source = evidence.item, evidence.user, 1.0, "user"
    kept = np.flatnonzero((state[kind][own] == COLD) & tells[source][other])
    rows, at = np.unique(own[kept], return_inverse=True)
    total = _sums(at, other[kept], len(rows), tables[source])
    asked = evidence.demand[kept] != NO_ROW
    total += sign * _sums(at[asked], evidence.demand[kept][asked], len(rows), demands)
    return rows, total / np.bincount(at, minlength=len(rows))[:, None]


def _followed(
    evidence: Evidence, table: FloatArray, tells: BoolArray, is_open: BoolArray
) -> _Found:
    """The mean of the placed users that each row without a place follows."""
    kept = np.flatnonzero(is_open[evidence.follower] & tells[evidence.followed])
    rows, at = np.unique(evidence.follower[kept], return_inverse=True)
    total = _sums(at, evidence.followed[kept], len(rows), table)
    return rows, total / np.bincount(at, minlength=len(rows))[:, None]


def _from_features(
    evidence: Evidence, table: FloatArray, learned: BoolArray, is_open: BoolArray
) -> _Found:
    """The weighted mean of the means of known items that share a word or category."""
    pairs = np.unique(np.stack([evidence.featured, evidence.feature]), axis=1)
    item, feature = pairs
    is_known = learned[item]
    wanted = np.flatnonzero(is_open[item] & np.isin(feature, feature[is_known]))
    rows, at = np.unique(item[wanted], return_inverse=True)
    features, place = np.unique(feature[wanted], return_inverse=True)
    told = np.flatnonzero(is_known & np.isin(feature, features))
    column = np.searchsorted(features, feature[told])
    counts = np.bincount(column, minlength=len(features))
    centre = _sums(column, item[told], len(features), table) / counts[:, None]
    weight = np.log1p(len(np.unique(item[is_known])) / counts)
    shape = (len(rows), len(features))
    total = csr_array((weight[place], (at, place)), shape=shape) @ centre
    return rows, total / np.bincount(at, weight[place], len(rows))[:, None]


def _sums(at: IntArray, row: IntArray, num_sums: int, table: FloatArray) -> DoubleArray:
    """The sum of the table's rows at each place, float64 [num_sums, width]."""
    used, column = np.unique(row, return_inverse=True)
    matrix = csr_array((np.ones(len(at)), (at, column)), shape=(num_sums, len(used)))
    return np.asarray(matrix @ table[used].astype(np.float64))


def mean_row(table: FloatArray) -> DoubleArray:
    """The mean row, 0 where there is none."""
    return table.astype(np.float64).sum(axis=0) / max(len(table), 1)
