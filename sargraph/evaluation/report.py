"""`Report`: the figures, the protocol they were made under, and what they allow us to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from sargraph.core.artifact import read_manifest, writing
from sargraph.core.config import parse_config
from sargraph.core.errors import ArtifactError, BadInputError, nearest
from sargraph.core.table import read_columns, write_columns
from sargraph.evaluation.arms import Arm, arms_of, metrics_of
from sargraph.evaluation.evaluate import Result
from sargraph.evaluation.judgements import load_results, save_results
from sargraph.evaluation.protocol import MAIN_CUTOFF, Protocol
from sargraph.evaluation.refusal import check_possible
from sargraph.evaluation.report_text import (
    metric_table,
    on_screen,
    screen_table,
    size_text,
    slice_table,
    verdict_line,
)
from sargraph.evaluation.slices import MIN_REQUESTS, MIN_USERS
from sargraph.evaluation.summary import FRAME_COLUMNS, figures, frame_of
from sargraph.evaluation.verdicts import VERDICT_COLUMNS, verdicts

JUDGEMENTS = "judgements"
"""Folder inside a report's artefact that holds the results it was made from."""

_NOTHING_ASKED = "no request was judged, so that there are neither figures nor verdicts"

_CELL = ["task", "slice", "model", "candidates"]
_ADDED = {"seeds", "seed_low", "seed_high", "baseline_seeds", "reason"}
_UNKNOWN: dict[type, object] = {int: 0, float: float("nan"), str: ""}


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    `frame` holds the figures (`summary.FRAME_COLUMNS`), `verdicts` the comparisons with the
    baseline (`verdicts.VERDICT_COLUMNS`), `metric` the primary metric, `protocols` the choices
    behind them, `notes` what a reader must know (such as "derived queries"), `limits` the fewest
    requests and users of a figure, `parents` content hashes by role, `results` what it was made
    from (none in reports that were written without).
    Raises ImpossibleResultError when figures break an identity (see `refusal.check_possible`).
    """

    frame: pd.DataFrame
    verdicts: pd.DataFrame
    protocols: tuple[Protocol, ...]
    metric: str = "NDCG@10"
    title: str = "Report"
    notes: tuple[str, ...] = ()
    limits: tuple[int, int] = (MIN_REQUESTS, MIN_USERS)
    parents: dict[str, str] = field(default_factory=dict)
    content_hash: str = ""
    results: tuple[Result, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        for key, rows in self.frame.groupby(_CELL, sort=False):
            found = dict(zip(rows["metric"].tolist(), rows["value"].tolist(), strict=True))
            check_possible(found, ", ".join(str(part) for part in key))

    @classmethod
    def from_results(
        cls,
        results: Sequence[Result],
        *,
        baseline: str | None = None,
        metric: str | None = None,
        title: str = "Report",
        notes: Sequence[str] = (),
        min_requests: int = MIN_REQUESTS,
        min_users: int = MIN_USERS,
        parents: Mapping[str, str] | None = None,
    ) -> Report:
        """Summarise results; those of one model under one protocol count as its seeds.

        `baseline` names the model that the others are held against, by `metric` (default: NDCG@10,
        or at the largest cutoff where none is 10). A slice with fewer than `min_requests` requests
        or `min_users` users gets "too few" instead of a figure; without any request there is
        neither figure nor verdict, and a note says so. Raises BadInputError: no results, unknown
        baseline, a metric that some result lacks, arms that ranked different candidates, two
        protocols that a table could not tell apart.
        """
        if not results:
            raise BadInputError("got no results, expected one per model; evaluate a model first")
        protocols = {result.protocol.hash: result.protocol for result in results}
        texts = [protocol.candidates_text() for protocol in protocols.values()]
        if len(set(texts)) < len(texts):
            raise BadInputError(f"got several protocols with candidates {texts}; report them apart")
        metric = _primary(results, metric)
        arms = arms_of(results)
        limits = {"min_requests": min_requests, "min_users": min_users}
        compared = frame_of([], VERDICT_COLUMNS)
        if (base := _baseline(results, arms, baseline)) is not None:
            compared = verdicts(arms, base, metric, **limits)
        return cls(
            frame=figures(arms, **limits),
            verdicts=compared,
            protocols=tuple(protocols.values()),
            metric=metric,
            title=title,
            notes=(*notes, *_oddities(results), *([] if arms else [_NOTHING_ASKED])),
            limits=(min_requests, min_users),
            parents=dict(parents or {}),
            results=tuple(results),
        )

    def to_frame(self) -> pd.DataFrame:
        """A copy of the figures."""
        return self.frame.copy()

    def pivot(self, metric: str | None = None) -> pd.DataFrame:
        """One metric: a row per task, candidates and slice, a column per model, NaN = too few.

        Raises BadInputError for a metric that the report does not hold.
        """
        name = metric or self.metric
        rows = self.frame[self.frame["metric"] == name]
        if rows.empty:
            raise BadInputError(f"no metric '{name}'; {nearest(name, set(self.frame['metric']))}")
        rows = rows.set_index(["task", "candidates", "slice", "model"])[["value"]]
        wide = pd.DataFrame(rows.unstack("model", sort=False))
        return wide.droplevel(0, axis="columns")

    def verdict_lines(self) -> list[str]:
        """One line per model and task: gain over the baseline, interval, p, verdict."""
        return [verdict_line(row) for row in self.verdicts.to_dict("records")]

    def protocol_lines(self) -> list[str]:
        """The protocols and the notes, in readable lines."""
        few = f"a slice under {self.limits[0]:,} requests or {self.limits[1]:,} users: too few"
        lines = [line for protocol in self.protocols for line in protocol.describe()]
        seeds = self.frame["seeds"]
        once = ["one training seed: figures and verdicts hold for the trained model as it is"]
        return [*lines, few, *(once if (seeds == 1).any() else []), *self.notes]

    def to_text(self, width: int = 120) -> str:
        """The whole report as plain text for a screen of so many columns."""
        parts: list[str | Table] = [self.title]
        for (task, candidates), rows in self.frame.groupby(["task", "candidates"], sort=False):
            name = f"{task}, {candidates} ({size_text(rows)})"
            parts.append(screen_table(name, metric_table(rows, self.metric)))
            if rows["slice"].nunique() > 1:
                name = f"{task}, {candidates}: {self.metric} by slice"
                parts.append(screen_table(name, slice_table(rows, self.metric, intervals=False)))
        return on_screen([*parts, *self.verdict_lines(), *self.protocol_lines()], width)

    def to_html(self, path: Path | str) -> Path:
        """Write the report as one page that needs no network. Returns the path."""
        from sargraph.evaluation.report_page import report_page

        return report_page(self).save(path)

    def save(self, path: Path | str) -> Report:
        """Write the artefact (figures, verdicts, page, protocols); returns it with its hash.

        The results per request go to its folder `judgements`, so that runs can be compared.
        """
        config = {
            "title": self.title,
            "metric": self.metric,
            "notes": list(self.notes),
            "limits": list(self.limits),
            "protocols": [protocol.model_dump(mode="json") for protocol in self.protocols],
        }
        seed = self.protocols[0].seed
        with writing(path, "report", config=config, seed=seed, parents=self.parents) as folder:
            write_columns(folder / "report.parquet", _columns(self.frame))
            write_columns(folder / "verdicts.parquet", _columns(self.verdicts))
            for protocol in self.protocols:
                name = f"protocol-{protocol.hash[:12]}.toml"
                (folder / name).write_text(protocol.to_toml(), encoding="utf-8")
            self.to_html(folder / "report.html")
            if self.results:
                save_results(self.results, folder / JUDGEMENTS, parents=self.parents)
        return replace(self, content_hash=read_manifest(path, verify=False).content_hash)

    @classmethod
    def load(cls, path: Path | str) -> Report:
        """Read and check the artefact. Raises ArtifactError, ImpossibleResultError."""
        manifest = read_manifest(path, "report")
        about, folder = manifest.config, Path(path)
        protocols = (parse_config(Protocol, each, str(path)) for each in about["protocols"])
        kept = (folder / JUDGEMENTS).is_dir()
        return cls(
            frame=_read(folder / "report.parquet", FRAME_COLUMNS),
            verdicts=_read(folder / "verdicts.parquet", VERDICT_COLUMNS),
            protocols=tuple(protocols),
            metric=about["metric"],
            title=about["title"],
            notes=tuple(about["notes"]),
            limits=(about["limits"][0], about["limits"][1]),
            parents=manifest.parents,
            content_hash=manifest.content_hash,
            results=tuple(load_results(folder / JUDGEMENTS)) if kept else (),
        )


def _primary(results: Sequence[Result], metric: str | None) -> str:
    """The primary metric, which every result must have. Raises BadInputError."""
    cutoffs = {result.protocol.main_cutoff for result in results}
    name = metric or f"NDCG@{MAIN_CUTOFF if MAIN_CUTOFF in cutoffs else max(cutoffs)}"
    for result in results:
        if name not in metrics_of(result):
            raise BadInputError(
                f"got primary metric '{name}', which '{result.model}' under "
                f"{result.protocol.candidates_text()} lacks, expected one of "
                f"{metrics_of(result)}; name one that every result has, or judge all with cutoffs "
                "that hold it"
            )
    return name


def _baseline(results: Sequence[Result], arms: Sequence[Arm], baseline: str | None) -> str | None:
    """The baseline where there is something to hold against it. Raises BadInputError."""
    models = {result.model for result in results}
    if baseline is not None and baseline not in models:
        raise BadInputError(f"no results of baseline '{baseline}'; {nearest(baseline, models)}")
    if not arms:
        return None
    if baseline is not None and all(arm.model != baseline for arm in arms):
        raise BadInputError(
            f"got results of baseline '{baseline}' on no request at all, expected those of the "
            "other models; evaluate all on the same requests"
        )
    return baseline


def _oddities(results: Sequence[Result]) -> list[str]:
    """What was not as usual, one line per kind and count, with the models it holds for."""
    models: dict[str, list[str]] = {}
    for result in results:
        for kind, count in result.counts.items():
            if count:
                line = f"{result.protocol.candidates_text()}: {count:,} {kind}"
                models.setdefault(line, []).append(result.model)
    return [f"{line} ({', '.join(dict.fromkeys(names))})" for line, names in models.items()]


def _columns(frame: pd.DataFrame) -> dict[str, Any]:
    """Columns for Parquet, texts as lists."""
    return {
        str(name): column.to_numpy() if column.dtype.kind in "fi" else column.tolist()
        for name, column in frame.items()
    }


def _read(path: Path, columns: dict[str, type]) -> pd.DataFrame:
    stored = {name: column.tolist() for name, column in read_columns(path).items()}
    missing = [name for name in columns if name not in stored]
    if not set(missing) <= _ADDED or not set(stored) <= set(columns):
        raise ArtifactError(f"{path} has columns {list(stored)}, expected {list(columns)}")
    num_rows = len(next(iter(stored.values())))
    stored |= {name: [_UNKNOWN[columns[name]]] * num_rows for name in missing}
    return pd.DataFrame({name: stored[name] for name in columns}).astype(columns)
