"""What compiled searches pass to each other: arrays with names."""

from __future__ import annotations

from typing import Any, NamedTuple


class Lists(NamedTuple):
    """Postings uint32, the bounds of heads and tails int32 [entries, segments + 1], their scale."""

    packed: Any
    head: Any
    tail: Any
    scale: float


class Users(NamedTuple):
    """Weights of each user (CSR: int64, int32, float32), which fields it has, whether it is there.

    `fields` uint8 [users], a bit per field that is not empty; `alive` bool [users].
    """

    offsets: Any
    entries: Any
    values: Any
    fields: Any
    alive: Any


class Rule(NamedTuple):
    """How scores become similarities, and how many are asked for.

    `factors` float64 [masks, masks]: what a product counts given the fields of both users;
    `shrink` float64 [largest probe + 1]: the factor of each number of common entries. Whoever has
    a Jaccard index above `max_jaccard` is a duplicate. With `num_rescored` > 0 only heads are
    read, and so many of the best are scored anew; with 0 everything is read.
    """

    factors: Any
    shrink: Any
    max_jaccard: float
    k: int
    num_rescored: int


class Probes(NamedTuple):
    """The users to search for: CSR weights, field masks, and whom each must not find (-1: none)."""

    offsets: Any
    entries: Any
    values: Any
    fields: Any
    excluded: Any


class Work(NamedTuple):
    """Memory that a search writes to: accumulators, weights by entry, and the candidates so far.

    `sums` uint32 [segment], `dense` float32 [entries], both all zero between two probes; `user`
    int64 [users], `score` float64 [users]; `state` float64 [3]: how many candidates there are, the
    score they must reach, and the same as an accumulator.
    """

    sums: Any
    dense: Any
    user: Any
    score: Any
    state: Any


class Scale(NamedTuple):
    """Of one probe: bits of the count, what score 1 is as an integer, and what it may be off by."""

    count_bits: Any
    unit: float
    slack: float
