"""An inverted index of some users: for each entry who has it, and the search over all of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, BoolArray, CodeArray, DoubleArray, IntArray
from sargraph.neighbours.measures import Rows
from sargraph.neighbours.posting_kernels import (
    HIGHEST,
    SEGMENT,
    count_postings,
    fill_postings,
    split_heads,
)
from sargraph.neighbours.search_kernels import search_all
from sargraph.neighbours.search_types import Lists, Probes, Rule, Users, Work
from sargraph.neighbours.similarity import SimilarityConfig

MAX_POSTINGS = 2**31 - 1


@dataclass(frozen=True)
class Found:
    """The k best users of each probe: `user` int64 [n, k] (-1 = none), `similarity` float64 [n, k].

    `num_duplicates` int64 [n]: duplicates left out that are as similar as the last one found.
    """

    user: IntArray
    similarity: DoubleArray
    num_duplicates: IntArray

    def first(self, k: int) -> Found:
        """The k best of those found."""
        return Found(self.user[:, :k], self.similarity[:, :k], self.num_duplicates)


@dataclass(frozen=True, eq=False)
class Postings:
    """Packed weights and inverted lists of some users; who they are outside is not known here.

    `rows`: `√a_f` times the unit profiles; `fields` uint8 [users], a bit per field that is not
    empty; `packed` uint32 [nnz], a posting each; `head` and `tail` int32 [entries, segments + 1],
    where the heaviest postings of each entry and the others begin in each segment of users.
    """

    rows: Rows
    fields: CodeArray
    packed: CodeArray
    head: CodeArray
    tail: CodeArray
    scale: float
    _local: threading.local = field(default_factory=threading.local, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def num_entries(self) -> int:
        """Width of the profiles, all fields together."""
        return len(self.head)

    @property
    def num_bytes(self) -> int:
        """Memory of all arrays."""
        rows = self.rows
        arrays = (rows.offsets, rows.entries, rows.values, self.fields, self.packed, self.head)
        return sum(array.nbytes for array in arrays) + self.tail.nbytes

    def search(
        self,
        probes: Rows,
        fields: CodeArray,
        excluded: IntArray,
        k: int,
        config: SimilarityConfig,
        *,
        alive: BoolArray,
        num_rescored: int = 0,
    ) -> Found:
        """The k most similar users of each probe that are alive, best first, ties by place.

        `fields` uint8 [n] as in the index, `excluded` int64 [n] whom each must not find (-1 =
        nobody). Exact with `num_rescored` = 0; else only the heaviest postings of each entry are
        added up, and the `num_rescored` best of these are scored in full. Similarities are
        products of float32 weights added up in float64. Cost: O(Σ postings of the probe's
        entries + users / 64); memory 256 kB, 4 bytes per entry and 16 per candidate.
        """
        num_probes = len(probes)
        found = Found(
            np.full((num_probes, k), NO_ROW, dtype=np.int64),
            np.full((num_probes, k), -np.inf),
            np.zeros(num_probes, dtype=np.int64),
        )
        longest = int(np.diff(probes.offsets).max(initial=0))
        rescored = max(num_rescored, k) if num_rescored else 0
        rule = Rule(
            config.factors(), config.shrink(longest), float(config.max_jaccard), k, rescored
        )
        search_all(
            Probes(probes.offsets, probes.entries, probes.values, fields, excluded),
            Lists(self.packed, self.head, self.tail, self.scale),
            Users(self.rows.offsets, self.rows.entries, self.rows.values, self.fields, alive),
            rule, self._work(), found.user, found.similarity, found.num_duplicates,
        )  # fmt: skip
        return found

    def _work(self) -> Work:
        """Memory to write to, made once per thread."""
        work: Work | None = getattr(self._local, "work", None)
        if work is None:
            work = Work(
                np.zeros(min(SEGMENT, max(len(self), 1)), dtype=np.uint32),
                np.zeros(self.num_entries, dtype=np.float32),
                np.empty(len(self), dtype=np.int64),
                np.empty(len(self), dtype=np.float64),
                np.zeros(3),
            )
            self._local.work = work
        return work


def build_postings(rows: Rows, fields: CodeArray, num_entries: int, head_size: int) -> Postings:
    """Invert the rows; the `head_size` heaviest postings of each entry form its head.

    Raises DataError for more than 2^31 - 1 postings. Cost: three passes over the rows and a
    partition of each long list.
    """
    num_postings = len(rows.entries)
    if num_postings > MAX_POSTINGS:
        raise DataError(
            f"got {num_postings} entries in profiles, expected at most {MAX_POSTINGS}; "
            "index the users in parts"
        )
    starts = _starts(rows, num_entries)
    scale = HIGHEST / float(rows.values.max(initial=np.float32(1e-30)))
    packed = np.empty(num_postings, dtype=np.uint32)
    fill_postings(rows.offsets, rows.entries, rows.values, scale, starts[:, :-1].copy(), packed)
    head, tail = np.empty_like(starts), np.empty_like(starts)
    split_heads(packed, starts, head_size, head, tail)
    return Postings(rows, fields, packed, head, tail, scale)


def _starts(rows: Rows, num_entries: int) -> CodeArray:
    """Where the postings of each entry and segment begin and end, int32 [entries, segments + 1]."""
    num_segments = max(1, -(-len(rows) // SEGMENT))
    counts: Any = np.zeros((num_entries, num_segments), dtype=np.int32)
    count_postings(rows.offsets, rows.entries, counts)
    ends = np.cumsum(counts, dtype=np.int64).reshape(counts.shape)
    starts = np.empty((num_entries, num_segments + 1), dtype=np.int32)
    starts[:, :-1] = ends - counts
    starts[:, -1] = ends[:, -1]
    return starts
