"""The report of an experiment: verdicts, tables kept apart, costs, gaps and how to repeat it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from sargraph.evaluation.report import Report
from sargraph.evaluation.report_text import metric_table, size_text, slice_table
from sargraph.pipeline.document import Block, Document, Figures, Frame, Plot, Section, Text
from sargraph.pipeline.grid.claims import ALL
from sargraph.pipeline.grid.facts import DataFacts
from sargraph.pipeline.grid.page_ends import cost_section, gaps_section, repeat_section
from sargraph.pipeline.grid.plots import arm_plot, claim_plot, slice_plot
from sargraph.pipeline.grid.run import Found

TASK_NAMES = {"recommend": "recommendation", "search": "search"}
_ON_SCREEN = ("model", "HR@1", "HR@10", "NDCG@10", "over seeds", "coverage@10")
_PLOTTED = 4
"""Models whose slices are drawn: the best ones, and the baseline."""


def grid_document(found: Found) -> Document:
    """The whole report of an experiment."""
    config = found.config
    sections = [Section("In figures", [Figures(_figures(found))]), _verdict_section(found)]
    for data in found.data:
        if data.name in found.reports:
            sections += _data_sections(found, data, found.reports[data.name])
    sections += [gaps_section(found), cost_section(found), _protocol_section(found)]
    sections.append(repeat_section(found))
    return Document(config.title or config.name, config.question, sections)


def screen_tables(found: Found) -> dict[str, pd.DataFrame]:
    """What goes on the screen, by title: the primary metric of every arm, and the claims."""
    shown = {}
    for data, task, candidates, rows, report in _tables(found):
        title = f"{data.name}, {TASK_NAMES[task]} ({data.kind(task)}), {candidates}"
        table = metric_table(rows, report.metric)
        shown[title] = table[[name for name in table.columns if name in _ON_SCREEN]]
    if not found.verdicts.empty:
        shown["claims"] = claim_table(found.verdicts)
    return shown


def claim_table(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The claims as texts, gains in percent of the baseline where that is above zero."""
    rows = []
    for row in verdicts.to_dict("records"):
        scale, unit, digits = 1.0, "", 4
        if row["baseline_value"] > 0:
            scale, unit, digits = 100 / row["baseline_value"], " %", 1
        gain, low, high, seen = (
            f"{row[name] * scale:+.{digits}f}"
            for name in ("difference", "low", "high", "detectable")
        )
        is_few = row["verdict"] == "too few"
        rows.append(
            {
                "where": _where(row),
                "model": row["model"],
                "against": row["baseline"],
                row["metric"]: "-" if is_few else f"{gain}{unit} [{low}, {high}]",
                "p (Holm)": "-" if is_few else f"{row['p_holm']:.4f}",
                "detectable": "-" if is_few else f"{seen.lstrip('+')}{unit}",
                "verdict": row["verdict"],
                "because": row["reason"],
            }
        )
    return pd.DataFrame(rows).fillna("")


def _where(row: Mapping[Hashable, Any]) -> str:
    where = f"{row['data']}, {TASK_NAMES[row['task']]}, {row['candidates']}"
    return where if row.get("slice", ALL) == ALL else f"{where}, {row['slice']}"


def _and_slices(verdicts: pd.DataFrame) -> str:
    return " and slices" if "slice" in verdicts else ""


def _figures(found: Found) -> list[tuple[str, str]]:
    made = sum(cell.is_new for cell in found.cells)
    minutes = sum(cell.cost.cpu for cell in found.cells if cell.cost.cpu == cell.cost.cpu) / 60
    figures = [
        (str(len(found.cells)), f"cells, {made} made in this run"),
        (str(len(found.data)), "data sets" if len(found.data) != 1 else "data set"),
        (f"{minutes:.1f}", "processor minutes"),
    ]
    for word, count in found.verdicts["verdict"].value_counts().items():
        figures.append((str(count), f"{'claims' if count != 1 else 'claim'}: {word}"))
    return figures


def _verdict_section(found: Found) -> Section:
    verdicts = found.verdicts
    if verdicts.empty:
        return Section("Verdicts", [Text("Nothing is claimed.")])
    blocks: list[Block] = []
    drawn = verdicts[verdicts["p"].notna() & (verdicts["baseline_value"] > 0)]
    if not drawn.empty:
        names = [f"{_where(r)}: {r['model']} against {r['baseline']}"
                 for r in drawn.to_dict("records")]  # fmt: skip
        blocks.append(Plot(partial(claim_plot, drawn.reset_index(drop=True), names)))
    blocks.append(Frame(claim_table(verdicts), badges=["verdict"]))
    blocks.append(
        Text(
            f"Paired permutation tests on user means, corrected by Holm over all {len(verdicts)} "
            f"claims on data sets{_and_slices(verdicts)} of this experiment; 95 % intervals over "
            "users and seeds. Shown: the lower bound is above 0 and p < 5 %. Refuted: the upper "
            "bound is below +2 %.",
            note=True,
        )
    )
    return Section("Verdicts", blocks, group="Contents")


def _data_sections(found: Found, data: DataFacts, report: Report) -> Iterator[Section]:
    for task in report.frame["task"].unique():
        rows = report.frame[report.frame["task"] == task]
        heading = f"{data.name}: {TASK_NAMES[task]}, {data.kind(task)}"
        yield Section(heading, list(_task_blocks(found, data, report, rows)), group=data.name)


def _task_blocks(
    found: Found, data: DataFacts, report: Report, rows: pd.DataFrame
) -> Iterator[Block]:
    claimed = found.verdicts
    claimed = claimed[(claimed["data"] == data.name) & (claimed["task"] == rows["task"].iloc[0])]
    bases = list(dict.fromkeys(claimed["baseline"]))
    marked = str(bases[0]) if bases else ""
    whole = rows[(rows["slice"] == "all") & (rows["metric"] == report.metric)]
    if whole["value"].notna().any():
        caption = f"{report.metric} with 95 % intervals over users."
        first = ", the first that" if len(bases) > 1 else ", which"
        caption += f" Dotted: {marked}{first} claims are held against." if marked else ""
        yield Plot(partial(arm_plot, whole, report.metric, marked), caption)
    for number, (candidates, part) in enumerate(rows.groupby("candidates", sort=False)):
        best = _best(part, report.metric)
        table = metric_table(part, report.metric)
        yield Frame(table, f"{candidates} ({size_text(part)})", best=best)
        if part["slice"].nunique() > 1:
            yield from _slice_blocks(part, report, marked, is_drawn=number == 0)


def _slice_blocks(
    part: pd.DataFrame, report: Report, marked: str, is_drawn: bool
) -> Iterator[Block]:
    rows = part[part["metric"] == report.metric]
    whole = rows[(rows["slice"] == "all") & rows["value"].notna()]
    best = whole.sort_values("value", ascending=False, kind="stable")["model"].tolist()[:_PLOTTED]
    chosen = [model for model in rows["model"].unique() if model in {*best, marked}]
    drawn = rows[rows["model"].isin(chosen) & rows["value"].notna()]
    if is_drawn and drawn["slice"].nunique() > 1:
        yield Plot(
            partial(slice_plot, drawn, report.metric),
            "The same requests in slices; slices with too few requests are not drawn.",
        )
    yield Frame(slice_table(part, report.metric), "All slices as a table", folded=True)


def _protocol_section(found: Found) -> Section:
    blocks: list[Block] = [Text(f"Frozen before any test request was made: {found.frozen}.")]
    for protocol in found.protocols:
        first, *rest = protocol.describe()
        blocks.append(Text(f"{first[:1].upper()}{first[1:]}: {'; '.join(rest)}."))
    notes = {note for report in found.reports.values() for note in report.notes}
    blocks += [Text(note, note=True) for note in sorted(notes)]
    few = f"{found.config.min_requests:,} requests or {found.config.min_users:,} users"
    blocks.append(Text(f"Slices under {few} print too few instead of a figure.", note=True))
    return Section("Protocol", blocks, group="Contents")


def _tables(found: Found) -> Iterator[tuple[DataFacts, str, str, pd.DataFrame, Report]]:
    for data in found.data:
        report = found.reports.get(data.name)
        if report is None:
            continue
        for (task, candidates), rows in report.frame.groupby(["task", "candidates"], sort=False):
            yield data, str(task), str(candidates), rows, report


def _best(rows: pd.DataFrame, metric: str) -> list[int]:
    whole = rows[(rows["slice"] == "all") & (rows["metric"] == metric)]
    values = whole["value"].to_numpy()
    return [] if pd.isna(values).any() else [int(values.argmax())]
