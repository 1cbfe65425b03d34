"""Ingestion: raw logs and a recipe become `Events`, and every row is accounted for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sargraph.core.artifact import refuse_foreign_folder
from sargraph.core.errors import ArtifactError, DataError
from sargraph.events.events import Events
from sargraph.events.reading.assemble import assemble
from sargraph.events.reading.core_filter import keep_core
from sargraph.events.reading.derive import derive_queries
from sargraph.events.reading.entries import Rows
from sargraph.events.reading.files import require_files
from sargraph.events.reading.ledger import USED
from sargraph.events.reading.log import unite
from sargraph.events.reading.lookups import read_texts
from sargraph.events.reading.policies import cap_users, settle_duplicates
from sargraph.events.reading.raw import RawTable, open_raw
from sargraph.events.reading.report import about_ids, report_of
from sargraph.events.reading.report_page import report_page
from sargraph.events.reading.rows import read_rows
from sargraph.events.reading.thin import thin_out
from sargraph.events.reading.workspace import Workspace, workspace
from sargraph.events.recipe import Recipe, Table, read_recipe
from sargraph.events.transitions import transitions_of


def ingest(
    recipe: str | Path | Recipe,
    source: Path | str,
    out: Path | str | None = None,
    *,
    seed: int = 0,
    overrides: Sequence[str] = (),
    now: int | None = None,
    memory_limit: str = "1GB",
    threads: int = 0,
) -> Events:
    """Read the raw logs in folder `source` by a recipe; with `out` also write the artefact.

    `recipe` is a shipped name, a path, or a recipe; `overrides` are `section.key=value` texts.
    `seed` draws derived queries and thinned choices. `now` (ms since 1970; default: the clock)
    judges future times. `memory_limit` bounds DuckDB's share of the memory, `threads` its threads
    (0 = all cores); neither changes a byte of the result. Every source row has one fate: used,
    merged, filtered or quarantined; `report` counts them per file. The artefact also holds
    `fates.parquet` (every row that was not used), `quarantine.parquet`, `transitions.parquet` and
    `ingest_report.html`.
    Raises RecipeError, DataError, ConfigError, ArtifactError. Cost: near-linear time, some 100
    bytes of memory per row.
    """
    chosen = read_recipe(recipe, overrides)
    clock = time.time_ns() // 1_000_000 if now is None else now
    if out is not None:
        _require_place(Path(out))
    with workspace(memory_limit, threads) as work:
        events = _read(work, chosen, Path(source), seed, clock)
        if out is None:
            return events
        tables = {
            "quarantine.parquet": work.quarantine.columns(),
            "fates.parquet": work.ledger.columns(),
            "transitions.parquet": vars(transitions_of(events)),
        }
    return events.save(
        out,
        config=chosen.model_dump(mode="json", exclude_none=True),
        seed=seed,
        extra_files=tables,
        pages={"ingest_report.html": report_page(events.name, events.report)},
    )


def _require_place(out: Path) -> None:
    """Refuse an output folder that cannot be made, before the logs are read."""
    refuse_foreign_folder(out)
    place = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        TemporaryDirectory(prefix=".sargraph.", dir=place).cleanup()
    except OSError as error:
        raise ArtifactError(
            f"{out} cannot be written ({error.strerror}: {place}); choose another --out"
        ) from None


def _read(work: Workspace, recipe: Recipe, folder: Path, seed: int, now: int) -> Events:
    parts = _read_tables(work, recipe, folder, now)
    ids = about_ids(parts)
    log = unite(parts)
    settle_duplicates(log, recipe.duplicates, work.ledger)
    busy = cap_users(log, recipe.max_user_events, work.ledger)
    if recipe.thin:
        thin_out(log, recipe.thin, work.ledger, seed)
    keep_core(log, recipe.core, work.ledger)
    if len(log) == 0:
        fates = work.ledger.totals()
        why = {**fates["quarantined_by_reason"], **fates["filtered_by_reason"]}
        bad = "".join(
            f"; such as row {row['row']} of {row['file']}: {row['text']}"
            for row in work.quarantine.sample(1)[:1]
        )
        raise DataError(
            f"{folder} gave no event by recipe '{recipe.name}' ({why}{bad}); mend either"
        )
    work.ledger.record(log["row"], USED)
    counts = log.counts
    users = read_texts(work, recipe, folder, "user", log.user_ids, counts)
    items = read_texts(work, recipe, folder, "item", log.item_ids, counts)
    if recipe.derive:
        terms = items.terms(len(log.item_ids))
        derive_queries(log, recipe.derive, terms, list(items.term_code), seed)
    events = assemble(
        log,
        recipe,
        users,
        items,
        lambda ids: read_texts(work, recipe, folder, "term", ids, counts),
    )
    report = report_of(events, work.ledger, work.quarantine, counts)
    return replace(events, report={**report, "ids": ids, "capped_users": busy[:20]})


def _read_tables(work: Workspace, recipe: Recipe, folder: Path, now: int) -> list[Rows]:
    """The usable rows of every table, in the order of the recipe."""
    found = [(table, require_files(folder, table)) for table in recipe.tables]
    return [
        read_rows(work, table, [_opened(work, path, folder, table) for path in paths], recipe, now)
        for table, paths in found
    ]


def _opened(work: Workspace, path: Path, folder: Path, table: Table) -> tuple[str, RawTable]:
    """A file's name in the ledger, and the file."""
    return path.relative_to(folder).as_posix(), open_raw(work, path, table)
