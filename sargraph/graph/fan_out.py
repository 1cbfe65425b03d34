"""How many neighbours are drawn: per edge type, in either direction, and per hop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from sargraph.core.errors import DataError, nearest
from sargraph.graph.graph import EdgeType
from sargraph.graph.interop import REVERSE, reverse_of

FanOuts: TypeAlias = Sequence[int] | Mapping[EdgeType, Sequence[int]]
"""One number per hop, for every type or per type; -1 = all neighbours, 0 = none."""

ALL = -1


def read_fan_outs(
    edge_types: Sequence[EdgeType], fan_outs: FanOuts
) -> dict[EdgeType, tuple[int, ...]]:
    """The fan-outs of each edge type that is walked, forward and reversed.

    A plain sequence holds for every type in both directions; a mapping names the types to walk,
    others are left out. Messages run from the drawn neighbour to the node: `(a, verb, b)` draws
    a's for each b, its `rev_` type b's for each a.
    Raises DataError for an unknown type, no hop, different numbers of hops, or a number under -1.
    """
    known = [*edge_types, *map(reverse_of, edge_types)]
    if not isinstance(fan_outs, Mapping):
        fan_outs = dict.fromkeys(known, fan_outs)
    for edge_type in fan_outs:
        stored_type(edge_types, edge_type, "fan-out")
    result = {kind: tuple(int(number) for number in fan_outs[kind]) for kind in fan_outs}
    hops = {len(numbers) for numbers in result.values()}
    if len(hops) != 1 or hops == {0}:
        raise DataError(
            f"fan-outs have {sorted(hops) or 'no'} hops, expected one number of hops (at least 1) "
            "for all edge types; write 0 where a hop does not use a type"
        )
    lowest = min(min(numbers) for numbers in result.values())
    if lowest < ALL:
        raise DataError(f"got fan-out {lowest}, expected -1 (all), 0 (none) or more")
    return result


def forward_of(edge_type: EdgeType) -> EdgeType:
    """The stored type that a type, forward or reversed, is a view of."""
    source, verb, target = edge_type
    if not verb.startswith(REVERSE):
        return edge_type
    return target, verb.removeprefix(REVERSE), source


def stored_type(edge_types: Iterable[EdgeType], edge_type: EdgeType, what: str) -> EdgeType:
    """The one of the stored `edge_types` that a type, forward or reversed, is a view of.

    Raises DataError, which says `what` the type was given for, where there is none.
    """
    forward = forward_of(edge_type)
    stored = list(edge_types)
    if forward not in stored:
        names = ["-".join(each) for each in (*stored, *map(reverse_of, stored))]
        name = "-".join(edge_type)
        raise DataError(f"{what} for unknown edge type {name}; {nearest(name, names)}")
    return forward
