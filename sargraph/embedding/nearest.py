"""Nearest vectors for many probes, exact or approximate, on faiss; every answer has its recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sargraph.core.config import parse_config
from sargraph.core.errors import BadInputError, ConfigError, nearest
from sargraph.core.ranked import Ranked
from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, FloatArray, IntArray
from sargraph.embedding.embeddings import Embeddings, unit_rows
from sargraph.embedding.nearest_config import NearestConfig
from sargraph.embedding.nearest_search import BUILDERS, Approximate, search_exact, search_proposed
from sargraph.events.vocabulary import Vocabulary


@dataclass(frozen=True)
class NearestAnswer:
    """The nearest rows of each probe, the method that found them and its recall.

    `ranked` holds rows of `vocabulary` and cosines [probes, k], best first, ties in row order.
    `recall` is recall@k against the exact answer, 1.0 where the method is exact.
    """

    ranked: Ranked
    vocabulary: Vocabulary
    method: str
    recall: float

    def __len__(self) -> int:
        return len(self.ranked)

    def named(self, probe: int) -> list[tuple[str, str, float]]:
        """(id, name, cosine) of one probe, best first; fewer than k where there are no more."""
        ids, names = self.vocabulary.ids, self.vocabulary.names
        return [(ids[row], names[row], cosine) for row, cosine in self.ranked.valid(probe)]


@dataclass(frozen=True)
class NearestIndex:
    """The vectors of one kind, made ready to answer which are nearest to a probe.

    `vectors` float32 [rows, dim] of length 1 (a zero row stays zero) are searched, row for row as
    `vocabulary`; `probe_vectors` and `probe_vocabulary` are those of the kind whose ids may be
    asked, the same where `is_same`. `proposer` is None for the exact method "flat".
    """

    vectors: FloatArray
    vocabulary: Vocabulary
    probe_vectors: FloatArray
    probe_vocabulary: Vocabulary
    is_same: bool
    method: str
    config: NearestConfig
    seed: int
    proposer: Approximate | None = None
    _recalls: dict[int, float] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def recall(self) -> float:
        """Recall@10; see `recall_at`."""
        return self.recall_at(10)

    def search(self, probes: Sequence[str] | FloatArray, k: int = 10) -> NearestAnswer:
        """The k nearest of each probe by cosine.

        `probes` are ids, which are never their own neighbours, or vectors [probes, dim] of any
        length. A zero probe has cosine 0 with all: its answer is the first rows. Raises
        UnknownIdError for an unknown id, BadInputError for k < 1 or vectors of another shape or
        with values that are not finite. Cost: exact O(probes · rows · dim), in blocks; memory
        O(probes · k + one block).
        """
        _refuse_small(k)
        if isinstance(probes, np.ndarray):
            vectors = unit_rows(self._checked(probes))
            excluded = np.full(len(vectors), NO_ROW, dtype=np.int64)
        else:
            ids = [probes] if isinstance(probes, str) else probes
            rows = np.array([self.probe_vocabulary.row(id_) for id_ in ids], dtype=np.int64)
            vectors, excluded = self.probe_vectors[rows], self._excluded(rows)
        ranked = self._search(vectors, excluded, k)
        return NearestAnswer(ranked, self.vocabulary, self.method, self.recall_at(k))

    def recall_at(self, k: int) -> float:
        """Recall@k against the exact answer, of probes drawn by the seed; 1.0 for "flat".

        `mean over probes of |{r found: cos(r) >= cos of the exact k-th}| / min(k, rows there are)`:
        a row that ties with the exact k-th is as good (Aumüller, Bernhardsson and Faithfull,
        ANN-Benchmarks, 2020). The probes are vectors of the kind whose ids may be asked, without
        zero vectors, whose answers are exact. Measured once for each k: O(probes · rows · dim).
        Raises BadInputError for k < 1.
        """
        _refuse_small(k)
        if self.proposer is None:
            return 1.0
        if k not in self._recalls:
            self._recalls[k] = self._measured(k)
        return self._recalls[k]

    def _measured(self, k: int) -> float:
        there = np.flatnonzero(self.probe_vectors.any(axis=1))
        size = min(self.config.num_recall_probes, len(there))
        rows = np.sort(make_rng(self.seed, "nearest recall").choice(there, size, replace=False))
        probes, excluded = self.probe_vectors[rows], self._excluded(rows)
        exact = search_exact(self.vectors, probes, excluded, k, self.config.num_threads)
        num_there = (exact.rows != NO_ROW).sum(axis=1)
        has_any = num_there > 0
        if not has_any.any():
            return 1.0
        last = np.take_along_axis(exact.scores, np.maximum(num_there - 1, 0)[:, None], axis=1)
        found = self._search(probes, excluded, k)
        is_hit = (found.rows != NO_ROW) & (found.scores >= last)
        return float((is_hit.sum(axis=1)[has_any] / num_there[has_any]).mean())

    def _search(self, probes: FloatArray, excluded: IntArray, k: int) -> Ranked:
        threads = self.config.num_threads
        if self.proposer is None:
            return search_exact(self.vectors, probes, excluded, k, threads)
        return search_proposed(self.vectors, probes, excluded, k, self.proposer, threads)

    def _excluded(self, rows: IntArray) -> IntArray:
        return rows if self.is_same else np.full(len(rows), NO_ROW, dtype=np.int64)

    def _checked(self, probes: FloatArray) -> FloatArray:
        dim = self.vectors.shape[1]
        if probes.ndim != 2 or probes.shape[1] != dim or not np.isfinite(probes).all():
            raise BadInputError(
                f"probes: got an array {list(probes.shape)}, expected finite vectors "
                f"[probes, {dim}]; give a single vector as vector[None, :]"
            )
        return probes


def nearest_index(
    embeddings: Embeddings,
    kind: str,
    method: str = "flat",
    settings: Mapping[str, Any] | None = None,
    *,
    target: str | None = None,
    seed: int = 0,
) -> NearestIndex:
    """Make the vectors of `target` (by default of `kind`) ready for probes of `kind`.

    - flat: exact, the answers of `Embeddings.nearest` for a whole table; nothing to build;
    - hnsw: a graph of near vectors (Malkov and Yashunin, 2020); built in O(rows · log rows · dim);
    - ivf: cells of a clustering, of which the nearest are searched (Sivic and Zisserman, 2003);
      built in O(rows · √rows · dim).

    `settings` are those of `NearestConfig`. The approximate methods are seeded and state the recall
    of every answer; where the probes are of another kind than the target, as users looking for
    items, the recall is measured with such probes. Raises BadInputError for an unknown kind or a
    table without rows or with values that are not finite, ConfigError for an unknown method or
    setting.
    """
    if method != "flat" and method not in BUILDERS:
        raise ConfigError(f"unknown method '{method}'; {nearest(method, ['flat', *BUILDERS])}")
    config = parse_config(NearestConfig, dict(settings or {}), f"nearest '{method}'")
    target = target or kind
    probe_vectors = _units(embeddings, kind)
    vectors = probe_vectors if target == kind else _units(embeddings, target)
    proposer = BUILDERS[method](vectors, config, seed) if method in BUILDERS else None
    return NearestIndex(
        vectors=vectors,
        vocabulary=embeddings.vocabularies[target],
        probe_vectors=probe_vectors,
        probe_vocabulary=embeddings.vocabularies[kind],
        is_same=target == kind,
        method=method,
        config=config,
        seed=seed,
        proposer=proposer,
    )


def _units(embeddings: Embeddings, kind: str) -> FloatArray:
    table = embeddings.vectors(kind)
    if not len(table):
        raise BadInputError(f"the {kind} table is empty, expected vectors; choose another kind")
    if not np.isfinite(table).all():
        raise BadInputError(
            f"the {kind} table holds values that are not finite; train the embeddings again"
        )
    return np.ascontiguousarray(unit_rows(table))


def _refuse_small(k: int) -> None:
    if k < 1:
        raise BadInputError(f"k: got {k}, expected at least 1")
