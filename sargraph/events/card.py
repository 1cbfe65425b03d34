"""The card of a data set: what it is, what it holds and what it can decide, on one page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sargraph.core.artifact import Manifest
from sargraph.core.page import Page, cards, paragraph, table
from sargraph.events.describing import sections
from sargraph.events.describing.sections import Section
from sargraph.events.events import Events
from sargraph.events.identifiability import identifiability
from sargraph.events.transitions import transitions_of


def card_markdown(events: Events, manifest: Manifest | None = None) -> str:
    """The card as Markdown, without plots; `manifest` adds the recipe, parents and versions.

    Cost: that of `overlap`.
    """
    blocks = [f"# {_title(events)}", _about(manifest)]
    for section in _sections(events, manifest):
        blocks += [f"## {section.heading}", *section.sentences]
        if section.figures:
            blocks.append(", ".join(f"{value} {caption}" for value, caption in section.figures))
        blocks += [b for caption, frame in section.tables for b in (caption, markdown_table(frame))]
        blocks += [f"*{note}*" for note in section.notes]
    return "\n\n".join(block for block in blocks if block) + "\n"


def card_page(events: Events, path: Path | str, manifest: Manifest | None = None) -> Path:
    """Write the card as a self-contained HTML page with plots; returns the path.

    The page holds aggregates only: its size does not grow with the events. Cost: that of
    `overlap`.
    """
    page = Page(_title(events), _about(manifest))
    for section in _sections(events, manifest):
        blocks = [paragraph(text) for text in section.sentences]
        if section.figures:
            blocks.append(cards(section.figures))
        for caption, frame in section.tables:
            blocks += [paragraph(caption, note=True) if caption else ""]
            blocks += [table(frame, best=section.best, digits=1)]
        blocks += [page.plot(plot()) for plot in section.plots]
        blocks += [paragraph(note, note=True) for note in section.notes]
        page.section(section.heading, *blocks)
    return page.save(path)


def markdown_table(frame: pd.DataFrame, *, digits: int = 1) -> str:
    """A table in Markdown, numbers with `digits` decimals; `|` inside a cell is escaped."""
    lines = [list(frame.columns), ["---"] * len(frame.columns)]
    values = frame.itertuples(index=False, name=None)
    lines += [[_cell(value, digits) for value in line] for line in values]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _title(events: Events) -> str:
    return f"Data set: {events.name}"


def _about(manifest: Manifest | None) -> str:
    recipe = manifest.config.get("recipe", {}) if manifest else {}
    return str(recipe.get("about", ""))


def _sections(events: Events, manifest: Manifest | None) -> list[Section]:
    labels = transitions_of(events)
    found = identifiability(events, labels)
    return [
        sections.decisions(found),
        sections.sizes(events),
        sections.transitions(events, labels),
        sections.activity(events, found),
        sections.shared_categories(events),
        sections.source_rows(events),
        sections.identity(events, manifest),
    ]


def _cell(value: object, digits: int) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return "-" if value != value else f"{value:.{digits}f}"
    return str(value).replace("|", "\\|").replace("\n", " ")
