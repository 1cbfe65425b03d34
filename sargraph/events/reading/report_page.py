"""The ingestion report as a page: the fate of every row of every file, in tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sargraph.core.page import Page, cards, paragraph, table
from sargraph.events.reading.ledger import FATES, USED

MAX_SHOWN = 80
"""Longer texts are cut: a wide table cannot be read."""

_MEANING = {
    "merged": "their content stands in another event",
    "filtered": "left out by a rule of the recipe",
    "quarantined": "could not be used; quarantine.parquet holds their text",
}


def report_page(name: str, report: dict[str, Any]) -> str:
    """A self-contained HTML page of the report that an ingestion wrote."""
    page = Page(
        f"Ingestion of {name}",
        "Every source row has one fate: used in an event, merged, filtered by a rule, or "
        "quarantined for a reason. fates.parquet names every row that was not used.",
    )
    sizes = ("rows", "used", "events", "users", "items", "queries", "terms", "sessions")
    page.section("What came out", cards([(f"{report[s]:,}", s) for s in sizes]))
    page.section(
        "Fates by file",
        table(files := _files(report), best=[len(files) - 1]),
        paragraph("Rows = used + merged + filtered + quarantined.", note=True),
    )
    why = _reasons(report)
    page.section("Why rows were not used", _or_none(why, "Every row was used."))
    page.section("Quarantine: some rows of each reason", _or_none(_sample(report), "Empty."))
    page.section(
        "Ids",
        table(_ids(report)),
        paragraph("Joined: one id by the rule. Alike: only case or zeros differ.", note=True),
    )
    capped = pd.DataFrame(report["capped_users"])
    page.section("Users cut by the event cap", _or_none(capped, "None."))
    notes = [(key.replace("_", " "), value) for key, value in report["notes"].items() if value]
    about = pd.DataFrame(notes, columns=["met on the way", "count"])
    page.section("Notes", _or_none(about, "Nothing to note."))
    return page.text()


def _or_none(frame: pd.DataFrame, text: str) -> str:
    return table(frame) if len(frame) else paragraph(text)


def _files(report: dict[str, Any]) -> pd.DataFrame:
    lines = [
        (name, file["rows"], file["used"], *(sum(file[fate].values()) for fate in FATES[:USED]))
        for name, file in report["files"].items()
    ]
    totals = [report[name] for name in ("rows", "used", *FATES[:USED])]
    columns = ["file", "rows", "used", *FATES[:USED]]
    return pd.DataFrame([*lines, ("all files", *totals)], columns=columns)


def _reasons(report: dict[str, Any]) -> pd.DataFrame:
    lines = [
        (name, fate, why, count, _MEANING[fate])
        for name, file in report["files"].items()
        for fate in reversed(FATES[:USED])
        for why, count in file[fate].items()
    ]
    return pd.DataFrame(lines, columns=["file", "fate", "why", "rows", "meaning"])


def _sample(report: dict[str, Any]) -> pd.DataFrame:
    lines = [
        (row["file"], row["row"], row["reason"], _short(row["text"]))
        for row in report["quarantine_sample"]
    ]
    return pd.DataFrame(lines, columns=["file", "row", "reason", "text"])


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _ids(report: dict[str, Any]) -> pd.DataFrame:
    lines = [
        (
            kind,
            about["spellings_joined"],
            _short(", ".join(about["joined_sample"])),
            about["alike"],
            _short(", ".join(about["alike_sample"])),
        )
        for kind, about in report["ids"].items()
    ]
    names = ["ids", "spellings joined", "joined", "alike, kept apart", "alike"]
    return pd.DataFrame(lines, columns=names)
