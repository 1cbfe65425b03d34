"""The card of a data set: what it is, what it holds and what it can decide, on one page."""

from __future__ import annotations

from html import escape
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
    blocks = [f"# {markdown_text(_title(events))}", markdown_text(_about(manifest))]
    for section in _sections(events, manifest):
        blocks += [f"## {markdown_text(section.heading)}", *map(markdown_text, section.sentences)]
        if section.figures:
            blocks.append(", ".join(f"{value} {caption}" for value, caption in section.figures))
        for caption, frame in section.tables:
            blocks += [markdown_text(caption), markdown_table(frame)]
        blocks += [f"*{markdown_text(note)}*" for note in section.notes]
    return "\n\n".join(block for block in blocks if block) + "\n"


def card_page(events: Events, path: Path | str, manifest: Manifest | None = None) -> Path:
    """Write the card as a self-contained HTML page with plots; returns the path.

    The page holds counts and shares, and the ids of the ten busiest users: its size does not grow
    with the events. Cost: that of `overlap`.
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
    """A table in Markdown, numbers with `digits` decimals; `|` and HTML in cells are escaped."""
    lines = [[_cell(str(column), digits) for column in frame.columns], ["---"] * frame.shape[1]]
    values = frame.itertuples(index=False, name=None)
    lines += [[_cell(value, digits) for value in line] for line in values]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown_text(text: str) -> str:
    """A text as one line of Markdown: HTML is read, not carried out; control signs are left out."""
    line = " ".join(text.splitlines())
    return escape("".join(sign for sign in line if sign.isprintable()), quote=False)


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
    return markdown_text(str(value)).replace("|", "\\|")
