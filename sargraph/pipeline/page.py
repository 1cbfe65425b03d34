"""The page of a run: what was asked, what was found, and enough detail to doubt it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sargraph.core.page import Page, cards, paragraph, table
from sargraph.evaluation.report import Report
from sargraph.evaluation.report_page import panels, report_sections
from sargraph.events.describe import describe_events
from sargraph.events.events import Events
from sargraph.events.split import Split
from sargraph.graph.graph import Graph
from sargraph.pipeline.config import RunConfig

InitReport = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Story:
    """All that the page of a run tells."""

    config: RunConfig
    events: Events
    split: Split
    graph: Graph
    report: Report
    training: pd.DataFrame
    inits: dict[str, InitReport]
    virtual_queries: list[tuple[str, str, str, float]]
    neighbours: pd.DataFrame
    seconds: dict[str, float]

    @property
    def virtual_frame(self) -> pd.DataFrame:
        """The sample of virtual queries as a table."""
        columns = ["user", "item chosen in recommendation", "virtual query", "confidence"]
        return pd.DataFrame(self.virtual_queries, columns=columns)

    @property
    def init_frame(self) -> pd.DataFrame:
        """How many ids found their vector, per model and table."""
        rows = [
            {"model": name, "table": kind, **counts}
            for name, report in self.inits.items()
            for kind, counts in sorted(report.items())
        ]
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, pd.DataFrame]:
        """What goes on the screen, by title."""
        shown = {"training": self.training}
        if not self.init_frame.empty:
            shown["ids that found their vector in the graph's embeddings"] = self.init_frame
        shown["virtual queries"] = self.virtual_frame
        shown["similar users"] = self.neighbours
        return shown | screen_figures(self.report)

    def remarks(self) -> list[str]:
        """Verdicts, protocol and times, in lines."""
        times = ", ".join(f"{stage} {spent:.0f} s" for stage, spent in self.seconds.items())
        return [*self.report.verdict_lines(), *self.report.protocol_lines(), f"time: {times}"]


def screen_figures(report: Report) -> dict[str, pd.DataFrame]:
    """HR and NDCG at 10 with the interval of NDCG, one table per task and candidates."""
    shown: dict[str, pd.DataFrame] = {}
    whole = report.frame[report.frame["slice"] == "all"]
    for (task, candidates), rows in whole.groupby(["task", "candidates"], sort=False):
        ndcg = rows[rows["metric"] == "NDCG@10"].set_index("model")
        rate = rows[rows["metric"] == "HR@10"].set_index("model")
        frame = pd.DataFrame(
            {
                "model": ndcg.index,
                "NDCG@10": ndcg["value"].to_numpy(),
                "95 % interval": [_interval(row) for row in ndcg.to_dict("records")],
                "HR@10": rate["value"].reindex(ndcg.index).to_numpy(),
                "users": ndcg["users"].to_numpy(),
                "requests": ndcg["requests"].to_numpy(),
            }
        )
        shown[f"{task}, {candidates}"] = frame
    return shown


def write_page(story: Story, path: Path) -> Path:
    """Write the report of a run as one page that needs no network. Returns the path."""
    page = Page(story.config.title or story.config.name, story.config.question)
    page.section("In figures", cards(_cards(story)))
    _glance(page, story.report)
    page.section(
        "Virtual queries",
        paragraph("What each click in recommendation looks as if it had been searched for."),
        table(story.virtual_frame),
    )
    page.section(
        "Similar users",
        paragraph("Neighbours by recent and rare shared choices and query terms."),
        table(_once(story.neighbours, ["user", "chose"])),
    )
    report_sections(page, story.report)
    page.section("Training", table(story.training), *_init_blocks(story))
    page.section("The graph", table(story.graph.describe(), digits=2))
    page.section("The events", table(describe_events(story.events)), *_split_block(story.split))
    return page.save(path)


def _glance(page: Page, report: Report) -> None:
    """The primary metric of every arm on all requests, a section per task."""
    names = {"recommend": "Recommendation", "search": "Search"}
    known = all(protocol.order_known for protocol in report.protocols)
    shown = screen_figures(report)
    for task in report.frame["task"].unique():
        rows = report.frame[
            (report.frame["task"] == task)
            & (report.frame["slice"] == "all")
            & (report.frame["metric"] == report.metric)
        ]
        blocks = []
        if rows["value"].notna().any():
            blocks.append(page.plot(panels(rows, report.metric)))
        first = next(title for title in shown if title.startswith(task))
        best = shown[first]["NDCG@10"].to_numpy()
        winner = [] if np.isnan(best).any() else [int(best.argmax())]
        blocks += [
            paragraph(
                f"Candidates {first.partition(', ')[2]}{'' if known else ', order unknown'}:"
            ),
            table(shown[first], best=winner),
        ]
        page.section(f"{names[task]} at a glance", *blocks)


def _once(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The table with runs of equal cells in these columns printed once."""
    shown = frame.copy()
    again = (frame[columns] == frame[columns].shift()).all(axis=1)
    shown.loc[again, columns] = ""
    return shown


def _cards(story: Story) -> list[tuple[str, str]]:
    events, graph = story.events, story.graph
    edges = sum(len(edge) for edge in graph.edges.values())
    sizes = [(len(events), "events"), (len(events.users), "users"), (len(events.items), "items"),
             (len(events.queries), "queries"), (edges, "edges")]  # fmt: skip
    return [(f"{size:,}", caption) for size, caption in sizes]


def _init_blocks(story: Story) -> list[str]:
    if story.init_frame.empty:
        return []
    return [paragraph("Ids that found their vector in the graph's embeddings:"),
            table(story.init_frame)]  # fmt: skip


def _split_block(split: Split) -> list[str]:
    parts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in split.fates.items())
    return [paragraph(f"Split: {parts}.", note=True)]


def _interval(row: dict[Hashable, Any]) -> str:
    return "too few" if row["value"] != row["value"] else f"{row['low']:.4f} .. {row['high']:.4f}"
