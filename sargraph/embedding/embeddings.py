"""`Embeddings`: vectors for users, items, queries and terms, with all that their model needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sargraph.core.artifact import read_manifest, writing
from sargraph.core.errors import BadInputError, nearest
from sargraph.core.ragged import Ragged
from sargraph.core.ranked import top_k
from sargraph.core.table import read_ragged, read_tensors, write_ragged, write_tensors
from sargraph.core.types import Array, FloatArray
from sargraph.embedding.cosine import pair_cosines
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.events.vocabulary import Vocabulary

if TYPE_CHECKING:
    from sargraph.embedding.nearest import NearestIndex

KINDS = ("user", "item", "query", "term")


@dataclass(frozen=True)
class Embeddings:
    """Trained vectors and the model that made them.

    `tables` maps user, item, query and term to float32 [rows, dim], row for row as the vocabulary
    of that kind. `weights` holds every parameter and term list of the model, `query_terms` the
    term rows of each query, so that the model scores without its graph. `config` is the training
    configuration; `history` has one entry per epoch; `report` holds counts and timings.
    Raises BadInputError when a table and its vocabulary differ in length.
    """

    tables: dict[str, FloatArray]
    vocabularies: dict[str, Vocabulary]
    query_terms: Ragged
    model: str
    config: dict[str, Any]
    seed: int
    weights: dict[str, Array] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    content_hash: str = ""

    def __post_init__(self) -> None:
        for kind, table in self.tables.items():
            if len(table) != len(self.vocabularies[kind]):
                raise BadInputError(
                    f"the {kind} table has {len(table)} rows, expected one for each of the "
                    f"{len(self.vocabularies[kind])} ids of its vocabulary"
                )

    @property
    def dim(self) -> int:
        """Length of every vector."""
        return int(next(iter(self.tables.values())).shape[1])

    def vectors(self, kind: str) -> FloatArray:
        """The table of one kind, float32 [rows, dim]. Raises BadInputError for an unknown kind."""
        if kind not in self.tables:
            raise BadInputError(f"no table of '{kind}' vectors; {nearest(kind, self.tables)}")
        return self.tables[kind]

    def nearest(
        self, kind: str, id_: str, k: int = 10, target: str | None = None
    ) -> list[tuple[str, str, float]]:
        """The k nearest ids by cosine, as (id, name, cosine), best first; never the id itself.

        Searches the kind `target`, by default `kind` itself. A zero vector has cosine 0 with all.
        Exact, ties in row order: O(rows · dim). For many ids see `nearest_index`. Raises
        UnknownIdError for an unknown id, BadInputError for an unknown kind or k < 1.
        """
        if k < 1:
            raise BadInputError(f"k: got {k}, expected at least 1")
        target = target or kind
        vectors, others = self.vectors(kind), unit_rows(self.vectors(target))
        row = self.vocabularies[kind].row(id_)
        cosine = pair_cosines(others, unit_rows(vectors[row : row + 1]))
        if target == kind:
            cosine[row] = -np.inf
        names = self.vocabularies[target]
        found = top_k(cosine[None, :], k).valid(0)
        return [(names.ids[other], names.names[other], score) for other, score in found]

    def nearest_index(
        self,
        kind: str,
        method: str = "flat",
        settings: Mapping[str, Any] | None = None,
        *,
        target: str | None = None,
        seed: int = 0,
    ) -> NearestIndex:
        """An index that finds the nearest ids of many probes; see `sargraph.embedding.nearest`."""
        from sargraph.embedding.nearest import nearest_index

        return nearest_index(self, kind, method, settings, target=target, seed=seed)

    def embed_new(
        self, events: Events, *, split: Split | None = None, as_of: int | None = None
    ) -> Embeddings:
        """With vectors for the new ids of `events`; see `sargraph.embedding.inductive`."""
        from sargraph.embedding.inductive import embed_new

        return embed_new(self, events, split=split, as_of=as_of)

    def export(self, path: Path | str, format: str = "parquet") -> Path:
        """Write the tables for other tools; see `sargraph.embedding.export.export`."""
        from sargraph.embedding.export import export

        return export(self, path, format)

    def save(self, path: Path | str) -> Embeddings:
        """Write the artefact; returns the embeddings with their content hash."""
        about = {"model": self.model, "training": self.config, "report": self.report}
        with writing(
            path, "embeddings", config=about, seed=self.seed, parents=self.parents
        ) as folder:
            write_tensors(folder / "tables.safetensors", dict(self.tables))
            write_tensors(folder / "weights.safetensors", self.weights)
            write_ragged(folder / "query_terms.parquet", self.query_terms)
            for kind, vocabulary in self.vocabularies.items():
                vocabulary.save(folder / f"{kind}.parquet")
            history = json.dumps(self.history, indent=2, sort_keys=True)
            (folder / "history.json").write_text(history + "\n", encoding="utf-8")
        return replace(self, content_hash=read_manifest(path, verify=False).content_hash)

    @classmethod
    def load(cls, path: Path | str) -> Embeddings:
        """Read and check the artefact. Raises ArtifactError."""
        manifest = read_manifest(path, "embeddings")
        folder = Path(path)
        tables: dict[str, Any] = read_tensors(folder / "tables.safetensors")
        return cls(
            tables=tables,
            vocabularies={kind: Vocabulary.load(folder / f"{kind}.parquet") for kind in KINDS},
            query_terms=read_ragged(folder / "query_terms.parquet"),
            model=manifest.config["model"],
            config=manifest.config["training"],
            seed=manifest.seed or 0,
            weights=read_tensors(folder / "weights.safetensors"),
            history=json.loads((folder / "history.json").read_text(encoding="utf-8")),
            report=manifest.config["report"],
            parents=manifest.parents,
            content_hash=manifest.content_hash,
        )


def unit_rows(vectors: FloatArray) -> FloatArray:
    """Each row scaled to length 1; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)
