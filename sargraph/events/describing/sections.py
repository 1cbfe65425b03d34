"""Sections of a data set's card: what each says, before it becomes a page or Markdown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from sargraph.core.artifact import Manifest, hash_of
from sargraph.events.describe import readable_time
from sargraph.events.describing.measures import (
    FATES,
    busiest_users,
    file_fates,
    lost_rows,
    readable_gap,
    session_lengths,
    transition_matrix,
    transition_table,
)
from sargraph.events.describing.plots import activity_plot, gap_plot, tail_plot, time_plot
from sargraph.events.describing.resolution import REAL
from sargraph.events.events import Events
from sargraph.events.identifiability import Identifiability
from sargraph.events.overlap import (
    PUBLISHED,
    VARIANT,
    WINDOWS,
    click_rates,
    is_kuaisar,
    nearest_variant,
    overlap,
    overlap_refusal,
)
from sargraph.events.schema import SOURCES
from sargraph.events.transitions import Transitions

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Section:
    """A titled part: sentences, large figures (value, caption), captioned tables, plots, notes.

    `best`: lines of its tables that stand out. `plots` are made only for a page.
    """

    heading: str
    sentences: tuple[str, ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    tables: tuple[tuple[str, pd.DataFrame], ...] = ()
    best: tuple[int, ...] = ()
    plots: tuple[Callable[[], go.Figure], ...] = ()
    notes: tuple[str, ...] = ()


def sizes(events: Events) -> Section:
    """Counts, and the period they are from."""
    counts = {"events": len(events), "users": len(events.users), "items": len(events.items),
              "queries": len(events.queries), "terms": len(events.terms)}  # fmt: skip
    lengths = session_lengths(events)
    counts |= {f"{name} sessions": len(lengths[name]) for name in SOURCES}
    timed = events.time[events.is_timed]
    period = "No event has a time."
    if len(timed):
        first, last = (readable_time(int(t), events.time_kind) for t in (timed.min(), timed.max()))
        period = f"From {first} to {last}{' (UTC)' if events.time_kind == 'ms' else ''}."
    rates = _percent(click_rates(events).drop(columns="published"), "share")
    return Section(
        "Sizes",
        sentences=(period,),
        figures=tuple((f"{count:,}", name) for name, count in counts.items()),
        tables=(("Choices: clicks, plays, likes and purchases of the items shown.", rates),),
    )


def decisions(found: Identifiability) -> Section:
    """What the data set can decide."""
    yes = "Yes" if found.passes else "No"
    return Section(
        "What it can decide",
        sentences=(f"{yes}: {found.verdict}.",),
        tables=(("", found.to_frame().iloc[1:]),),
        notes=(
            "A pair is a behaviour (a search, or a recommendation batch with a choice) and the "
            "behaviour before it, of the other source. Real times are finer than a day.",
        ),
    )


def transitions(events: Events, labels: Transitions) -> Section:
    """The transition matrix, and the gaps."""
    table = transition_table(events, labels)
    gaps = [readable_gap(gap, events.time_kind) for gap in table["median_gap"]]
    shown = _percent(table.assign(median_gap=gaps), "share")
    plots = (lambda: gap_plot(events, labels),) if (labels.kind >= 0).any() else ()
    return Section(
        "Transitions",
        tables=(
            (
                "From the source of one behaviour to that of the next; shares are of the row.",
                transition_matrix(table),
            ),
            (
                "Shares are of all timed behaviours.",
                shown.rename(columns={"median_gap": "median gap"}),
            ),
        ),
        plots=plots,
        notes=(
            "Behaviours are searches and recommendation batches with a choice; those of equal time "
            "never see each other. none: nothing before, or both sources at the same time before.",
        ),
    )


def activity(events: Events, found: Identifiability) -> Section:
    """How events are spread over items, queries, users, sessions and time."""
    plots = [lambda: tail_plot(events), lambda: activity_plot(events)]
    has_hours = any(found.resolution[source] in REAL for source in SOURCES)
    if events.is_timed.any():
        plots.append(lambda: time_plot(events, has_hours=has_hours))
    return Section(
        "Activity",
        tables=(("The users with the most events.", busiest_users(events)),),
        plots=tuple(plots),
    )


def shared_categories(events: Events) -> Section:
    """The overlap of neighbouring searches and recommendations."""
    heading = "Do searches and recommendations share categories?"
    why = overlap_refusal(events)
    if why:
        return Section(heading, sentences=(f"There is nothing to compare: {why}.",))
    frame = overlap(events)
    tables = [_wide(frame, transition) for transition in _MEANING]
    captions = [f"{meaning} {_READING}" for meaning in _MEANING.values()]
    if not frame["published"].notna().any():
        said = "The log has no categories of level 1 or 2; the terms of the items stand in."
        return Section(heading, (said,), tables=tuple(zip(captions, tables, strict=True)))
    nearest = nearest_variant(frame, is_kuaisar=is_kuaisar(events))
    wanted = [getattr(nearest, name) for name in VARIANT]
    place = int((tables[0][VARIANT] == wanted).all(axis=1).to_numpy().argmax())
    said = nearest.verdict[0].upper() + nearest.verdict[1:] + "."
    tables = [_with_published(*pair) for pair in zip(tables, _MEANING, strict=True)]
    return Section(
        heading, (said,), tables=tuple(zip(captions, tables, strict=True)), best=(place,)
    )


def source_rows(events: Events) -> Section:
    """What became of the rows of the raw logs."""
    files = file_fates(events.report)
    if files.empty:
        return Section("Source rows", sentences=("The events were not ingested from files.",))
    lost = lost_rows(events.report)
    note = f"Every source row has one fate: used, {', '.join(FATES[:-1])} or {FATES[-1]}."
    tables = [(note, files), ("Why rows were not used.", lost)]
    return Section("Source rows", tables=tuple(tables if len(lost) else tables[:1]))


def identity(events: Events, manifest: Manifest | None) -> Section:
    """Names, hashes, parents and the recipe."""
    facts: dict[str, Any] = {"name": events.name, "times": _TIMES[events.time_kind],
                             "query texts": events.query_kind}  # fmt: skip
    facts["content hash"] = events.content_hash or "not saved yet"
    if manifest:
        recipe = manifest.config.get("recipe", {})
        facts |= {f"parent: {role}": digest for role, digest in manifest.parents.items()}
        facts |= {"recipe": recipe.get("name", "-"), "recipe hash": hash_of(recipe),
                  "licence": recipe.get("licence") or "not stated in the recipe",
                  "seed": manifest.seed, "written by": manifest.written_by}  # fmt: skip
    facts["default split"] = ", ".join(f"{k} {v}" for k, v in events.split.items() if v is not None)
    lines = [(name, str(value)) for name, value in facts.items() if value != ""]
    return Section("Identity", tables=(("", pd.DataFrame(lines, columns=["what", "value"])),))


_TIMES = {
    "ms": "milliseconds since 1970, UTC",
    "ordinal": "places in each user's order; no clock times",
    "none": "none",
}


def _percent(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    return frame.assign(**{column: 100 * frame[column]}).rename(columns={column: f"{column}, %"})


_MEANING = {
    "R2S": "A search and the recommendations before it.",
    "S2R": "Recommendations and the search before them.",
}

_READING = (
    "Share of users, in per cent, for whom one pair (existential) or more than half of the pairs "
    "(majority) share a category of clicked or of shown items."
)


def _wide(frame: pd.DataFrame, transition: str) -> pd.DataFrame:
    """One line per variant, one column of percentages per (level, days)."""
    frame = frame[frame["transition"] == transition]
    wide = frame.pivot(index=VARIANT, columns=["level", "days"], values="share")
    shown = 100 * wide.sort_index(axis=1)
    shown.columns = pd.Index([_column(*key) for key in shown.columns])
    return shown.reset_index()


def _column(level: int, days: int) -> str:
    return f"{f'level {level}' if level else 'terms'}, {days} d"


def _with_published(table: pd.DataFrame, transition: str) -> pd.DataFrame:
    """The table with a last line of the published figures; NaN where there is none."""
    shown = {
        _column(level, days): 100 * share
        for (kind, level), shares in PUBLISHED.items()
        for days, share in zip(WINDOWS, shares, strict=True)
        if kind == transition
    }
    texts = dict(zip(VARIANT, ("published", "for KuaiSAR", "", ""), strict=True))
    line = pd.DataFrame([{**texts, **shown}]).reindex(columns=table.columns)
    return pd.concat([table, line], ignore_index=True)
