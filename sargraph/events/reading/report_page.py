"""The ingestion report as a page: the fate of every row of every file, in tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sargraph.core.page import Page, cards, paragraph, table
from sargraph.events.reading.ledger import FATES, USED

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
        table(_files(report)),
        paragraph("Rows = used + merged + filtered + quarantined.", note=True),
    )
    why = _reasons(report)
    page.section("Why rows were not used", _or_none(why, "Every row was used."))
    page.section("Quarantine", _or_none(pd.DataFrame(report["quarantine_sample"]), "Empty."))
    page.section("Ids", table(_ids(report)), *map(paragraph, _id_samples(report)))
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


def _ids(report: dict[str, Any]) -> pd.DataFrame:
    lines = [
        (kind, about["spellings_joined"], about["alike"]) for kind, about in report["ids"].items()
    ]
    return pd.DataFrame(lines, columns=["ids", "spellings joined", "alike, kept apart"])


def _id_samples(report: dict[str, Any]) -> list[str]:
    return [
        f"{kind}: {', '.join(about[sample])}"
        for kind, about in report["ids"].items()
        for sample in ("joined_sample", "alike_sample")
        if about[sample]
    ]
