"""`Events`: the canonical table of what users did, with the vocabularies its rows point to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sargraph.core.artifact import read_manifest, writing
from sargraph.core.ragged import Ragged
from sargraph.core.table import read_columns, read_ragged, write_columns, write_ragged
from sargraph.core.types import NO_ROW, NO_TIME, Array, BoolArray, FloatArray, IntArray
from sargraph.events.schema import (
    COLUMNS,
    POSITIVE_ACTIONS,
    RECOMMEND,
    SEARCH,
    QueryKind,
    TimeKind,
)
from sargraph.events.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

VOCABULARIES = ("user", "item", "query", "term")
CATEGORIES = "category.parquet"
FOLLOWS = "follows.parquet"
PRICE = "price.parquet"


@dataclass(frozen=True)
class Categories:
    """Categories of items: a vocabulary over all levels, and the categories of each item.

    Ids are `level/id`, so that equal ids of two levels stay apart. `level` int64 [categories],
    1 = the broadest. `of_item`: category rows of each item, the broadest first.
    """

    vocabulary: Vocabulary
    level: IntArray
    of_item: Ragged

    def save(self, folder: Path) -> None:
        """Write `category.parquet` (id, name, level) and `item_categories.parquet`."""
        ids, names = list(self.vocabulary.ids), list(self.vocabulary.names)
        write_columns(folder / CATEGORIES, {"id": ids, "name": names, "level": self.level})
        write_ragged(folder / "item_categories.parquet", self.of_item)

    @classmethod
    def load(cls, folder: Path) -> Categories | None:
        """Read what `save` wrote; None where the events have no categories."""
        if not (folder / CATEGORIES).is_file():
            return None
        columns = read_columns(folder / CATEGORIES)
        return cls(
            Vocabulary(columns["id"].tolist(), columns["name"].tolist()),
            columns["level"].astype(np.int64),
            read_ragged(folder / "item_categories.parquet"),
        )


@dataclass(frozen=True)
class Events:
    """All events of a data set, sorted by (user, time, order in the log); the row is the event.

    `columns` holds the arrays of `schema.COLUMNS`, all of one length. `query_terms` and
    `item_terms` give the term rows of each query and of each item's text; `categories` and
    `follows` (the user rows that each user follows) are None where the log has none. `name` is
    the data set, `time_kind` what `time` means, `query_kind` where query texts come from.
    `price` float32 [n] is the price of the item of each event, in the log's money, NaN = unknown;
    None where the log has no prices at all.
    `report` holds the counts of the ingestion (rows read, used, quarantined by reason, ...).
    `split` is the recipe's default split as a plain dictionary.
    """

    columns: dict[str, Array]
    vocabularies: dict[str, Vocabulary]
    query_terms: Ragged
    item_terms: Ragged
    categories: Categories | None = None
    follows: Ragged | None = None
    name: str = "events"
    time_kind: TimeKind = "ms"
    query_kind: QueryKind = "real"
    report: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    content_hash: str = ""
    price: FloatArray | None = None

    def __post_init__(self) -> None:
        if list(self.columns) != list(COLUMNS):
            raise ValueError(f"columns must be {list(COLUMNS)}, got {list(self.columns)}")
        if len({len(column) for column in self.columns.values()}) != 1:
            raise ValueError("columns must have one length")
        if self.price is not None and self.price.shape != self.columns["time"].shape:
            raise ValueError(f"price must be float32 [{len(self)}], got {self.price.shape}")

    def __len__(self) -> int:
        return len(self.columns["time"])

    @property
    def time(self) -> IntArray:
        """Time of each event (ms or ordinal; NO_TIME = none), int64 [n]."""
        return self.columns["time"]  # type: ignore[return-value]

    @property
    def user(self) -> IntArray:
        """User row of each event, int64 [n]."""
        return self.columns["user"]  # type: ignore[return-value]

    @property
    def item(self) -> IntArray:
        """Item row of each event or -1, int64 [n]."""
        return self.columns["item"]  # type: ignore[return-value]

    @property
    def query(self) -> IntArray:
        """Query row of each event or -1, int64 [n]."""
        return self.columns["query"]  # type: ignore[return-value]

    @property
    def session(self) -> IntArray:
        """Session number of each event or -1, int64 [n]."""
        return self.columns["session"]  # type: ignore[return-value]

    @property
    def is_search(self) -> BoolArray:
        """True where the event happened in search, bool [n]."""
        return np.asarray(self.columns["source"] == SEARCH)

    @property
    def is_recommend(self) -> BoolArray:
        """True where the event happened in recommendation, bool [n]."""
        return np.asarray(self.columns["source"] == RECOMMEND)

    @property
    def is_positive(self) -> BoolArray:
        """True where the user chose an item, bool [n]."""
        return np.asarray(np.isin(self.columns["action"], POSITIVE_ACTIONS) & (self.item != NO_ROW))

    @property
    def is_timed(self) -> BoolArray:
        """True where the event has a time, bool [n]."""
        return np.asarray(self.time != NO_TIME)

    @property
    def users(self) -> Vocabulary:
        """The user vocabulary."""
        return self.vocabularies["user"]

    @property
    def items(self) -> Vocabulary:
        """The item vocabulary; names are titles where the log has them."""
        return self.vocabularies["item"]

    @property
    def queries(self) -> Vocabulary:
        """The query vocabulary; names are readable texts."""
        return self.vocabularies["query"]

    @property
    def terms(self) -> Vocabulary:
        """The term vocabulary; names are readable tokens."""
        return self.vocabularies["term"]

    def select(self, chosen: BoolArray | IntArray) -> Events:
        """The chosen events; vocabularies stay, so that rows keep their meaning.

        `chosen`: a mask bool [n], or rows int64 [k]. Cost: one copy of the chosen events.
        """
        columns = {name: column[chosen] for name, column in self.columns.items()}
        price = None if self.price is None else self.price[chosen]
        return replace(self, columns=columns, price=price, content_hash="")

    def describe(self) -> pd.DataFrame:
        """One line per statistic: sizes, activity, transitions, what the log can decide."""
        from sargraph.events.describe import describe_events

        return describe_events(self)

    def save(
        self,
        path: Path | str,
        *,
        config: dict[str, Any] | None = None,
        seed: int | None = None,
        extra_files: dict[str, dict[str, Any]] | None = None,
        pages: dict[str, str] | None = None,
    ) -> Events:
        """Write the artefact; returns the events with their content hash.

        `extra_files` maps further Parquet file names (such as the quarantine) to their columns,
        `pages` names of texts to their content; neither these nor the report count in the hash.
        Raises ArtifactError where the folder holds something else or cannot be written. Cost: one
        pass, compressed; some 0.2 s per million events.
        """
        about = {
            "name": self.name,
            "time_kind": self.time_kind,
            "query_kind": self.query_kind,
            "split": self.split,
            "recipe": config or {},
        }
        beside = ["report.json", *(pages or {})]
        with writing(path, "events", config=about, seed=seed, beside=beside) as folder:
            write_columns(folder / "events.parquet", self.columns)  # type: ignore[arg-type]
            for kind, vocabulary in self.vocabularies.items():
                vocabulary.save(folder / f"{kind}.parquet")
            write_ragged(folder / "query_terms.parquet", self.query_terms)
            write_ragged(folder / "item_terms.parquet", self.item_terms)
            if self.categories is not None:
                self.categories.save(folder)
            if self.follows is not None:
                write_ragged(folder / FOLLOWS, self.follows)
            if self.price is not None:
                write_columns(folder / PRICE, {"price": self.price})
            for name, columns in (extra_files or {}).items():
                write_columns(folder / name, columns)
            for name, text in (pages or {}).items():
                (folder / name).write_text(text, encoding="utf-8")
            report = json.dumps(self.report, indent=2, sort_keys=True, ensure_ascii=False)
            (folder / "report.json").write_text(report + "\n", encoding="utf-8")
        return replace(self, content_hash=read_manifest(path, verify=False).content_hash)

    @classmethod
    def load(cls, path: Path | str) -> Events:
        """Read the artefact, every file checked by its hash. Raises ArtifactError. Cost: a pass."""
        manifest = read_manifest(path, "events")
        folder = Path(path)
        about = manifest.config
        columns = read_columns(folder / "events.parquet")
        price = read_columns(folder / PRICE)["price"] if (folder / PRICE).is_file() else None
        return cls(
            columns={n: np.asarray(columns[n], dtype=dtype) for n, dtype in COLUMNS.items()},
            vocabularies={k: Vocabulary.load(folder / f"{k}.parquet") for k in VOCABULARIES},
            query_terms=read_ragged(folder / "query_terms.parquet"),
            item_terms=read_ragged(folder / "item_terms.parquet"),
            categories=Categories.load(folder),
            follows=read_ragged(folder / FOLLOWS) if (folder / FOLLOWS).is_file() else None,
            name=about["name"],
            time_kind=about["time_kind"],
            query_kind=about["query_kind"],
            report=json.loads((folder / "report.json").read_text(encoding="utf-8")),
            split=about["split"],
            price=None if price is None else np.asarray(price, dtype=np.float32),
            content_hash=manifest.content_hash,
        )
