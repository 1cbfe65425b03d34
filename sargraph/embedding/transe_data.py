"""The triples that TransE learns, and triples that are not in the graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.embedding.graph_pairs import CHOSEN, Pairs, chosen_pairs, query_pairs
from sargraph.embedding.negatives import FreeItems
from sargraph.embedding.node_rows import NodeRows
from sargraph.graph.graph import CLICKED, CONTAINS, FOUND, LED_TO, EdgeType, Graph

RELATIONS: tuple[EdgeType, ...] = (CLICKED, FOUND, LED_TO, CONTAINS)
"""The relations, in the order of their rows."""


@dataclass(frozen=True)
class Triples:
    """(head, relation, tail), each Int [n]; ends are rows of the common table of all nodes."""

    head: Int[Tensor, " n"]
    relation: Int[Tensor, " n"]
    tail: Int[Tensor, " n"]

    def take(self, rows: Tensor) -> Triples:
        """The given triples, in the given order."""
        return Triples(self.head[rows], self.relation[rows], self.tail[rows])


@dataclass(frozen=True)
class Corruption:
    """Draws another head or another tail of the same kind, so that the triple is not known.

    `tails` says which tails a head lacks, `heads` which heads a tail lacks, in rows of their kinds,
    which begin at `head_start` and `tail_start`.
    """

    tails: FreeItems
    heads: FreeItems
    head_start: int
    tail_start: int

    def possible(self, head: Int[Tensor, " n"], tail: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
        """True where at least one end can be replaced."""
        return self._lacks_tail(head) | self._lacks_head(tail)

    def draw(
        self, head: Int[Tensor, " n"], tail: Int[Tensor, " n"], generator: torch.Generator
    ) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
        """(heads, tails), one of the two replaced: either with chance 1/2 where both can be."""
        coin = torch.rand(len(head), generator=generator) < 0.5
        is_tail = (coin & self._lacks_tail(head)) | ~self._lacks_head(tail)
        new_head, new_tail = head.clone(), tail.clone()
        drawn = self.tails.draw(head[is_tail] - self.head_start, generator)
        new_tail[is_tail] = drawn + self.tail_start
        drawn = self.heads.draw(tail[~is_tail] - self.tail_start, generator)
        new_head[~is_tail] = drawn + self.head_start
        return new_head, new_tail

    def _lacks_tail(self, head: Tensor) -> Tensor:
        return self.tails.any_for(head - self.head_start)

    def _lacks_head(self, tail: Tensor) -> Tensor:
        return self.heads.any_for(tail - self.tail_start)


@dataclass(frozen=True)
class TransEData:
    """A graph as TransE trains on it; `corruptions` has one for each relation with a triple."""

    nodes: NodeRows
    triples: Triples
    corruptions: dict[int, Corruption]

    @classmethod
    def build(cls, graph: Graph) -> TransEData:
        """The distinct triples of a graph that can be corrupted.

        A triple counts as known in clicked and in found if its user chose its item in either.
        Raises BadInputError where there is nothing to learn from. Cost: a few sorts of the edges.
        """
        kinds = ("user", "item", "query", "term")
        nodes = NodeRows({kind: graph.num_nodes[kind] for kind in kinds})
        queries, chosen = query_pairs(graph), chosen_pairs(graph)
        found: list[Triples] = []
        corruptions: dict[int, Corruption] = {}
        for number, kind in enumerate(RELATIONS):
            pairs = chosen_pairs(graph, [kind]) if kind in CHOSEN else queries[kind]
            known = chosen if kind in CHOSEN else pairs
            corruption = _corruption(nodes, kind, known)
            head, tail = map(torch.from_numpy, pairs)
            head, tail = nodes.of(kind[0], head), nodes.of(kind[2], tail)
            useful = corruption.possible(head, tail)
            if useful.any():
                corruptions[number] = corruption
                relation = torch.full_like(head, number)
                found.append(Triples(head, relation, tail).take(useful))
        if not corruptions.keys() & {RELATIONS.index(kind) for kind in CHOSEN}:
            raise BadInputError(
                f"graph '{graph.name}' has no user with an item chosen and one not chosen, "
                "expected at least one; build it from more events"
            )
        names = ("head", "relation", "tail")
        columns = (torch.cat([getattr(part, name) for part in found]) for name in names)
        return cls(nodes, Triples(*columns), corruptions)

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[Triples, Triples]]:
        """All triples once, in a random order, each beside a corrupted one."""
        order = torch.randperm(len(self.triples.head), generator=generator)
        known = self.triples.take(order)
        head, tail = known.head.clone(), known.tail.clone()
        for number, corruption in self.corruptions.items():
            rows = torch.nonzero(known.relation == number).flatten()
            head[rows], tail[rows] = corruption.draw(head[rows], tail[rows], generator)
        corrupt = Triples(head, known.relation, tail)
        for rows in torch.arange(len(order)).split(size):
            yield known.take(rows), corrupt.take(rows)

    def is_learned(self) -> Bool[Tensor, " nodes"]:
        """True for nodes with a triple, and for all items, which every user can be denied."""
        found = torch.zeros(len(self.nodes), dtype=torch.bool)
        found[torch.cat([self.triples.head, self.triples.tail])] = True
        start = self.nodes.start("item")
        found[start : start + self.nodes.sizes["item"]] = True
        return found


def _corruption(nodes: NodeRows, kind: EdgeType, known: Pairs) -> Corruption:
    source, _, target = kind
    first, second = map(torch.from_numpy, known)
    num_first, num_second = nodes.sizes[source], nodes.sizes[target]
    return Corruption(
        FreeItems.build(first, second, num_first, num_second),
        FreeItems.build(second, first, num_second, num_first),
        nodes.start(source),
        nodes.start(target),
    )
