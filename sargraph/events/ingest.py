"""Ingestion: raw logs and a recipe become `Events`, and every row is accounted for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sargraph.core.errors import DataError
from sargraph.core.progress import progress
from sargraph.events.events import Events
from sargraph.events.reading.assemble import assemble
from sargraph.events.reading.core_filter import keep_core
from sargraph.events.reading.derive import derive_queries
from sargraph.events.reading.files import require_files
from sargraph.events.reading.identifiers import count_alike
from sargraph.events.reading.log import Log, drop_duplicates, unite
from sargraph.events.reading.lookups import read_texts
from sargraph.events.reading.quarantine import Quarantine
from sargraph.events.reading.rows import Rows, read_rows
from sargraph.events.reading.workspace import Workspace, workspace
from sargraph.events.recipe import Recipe, read_recipe


def ingest(
    recipe: str | Path | Recipe,
    source: Path | str,
    out: Path | str | None = None,
    *,
    seed: int = 0,
    overrides: Sequence[str] = (),
    now: int | None = None,
) -> Events:
    """Read the raw logs in folder `source` by a recipe; with `out` also write the artefact.

    `recipe` is a shipped name, a path, or a recipe; `overrides` are `section.key=value` texts.
    `seed` draws derived queries. `now` (ms since 1970; default: the clock) judges future times.
    Rows that cannot be used go to `quarantine.parquet` of the artefact; `report` holds the counts
    of every step. Two runs on the same files give the same bytes.
    Raises RecipeError and DataError. Cost: O(n log n) time, some 100 bytes of memory per row.
    """
    chosen = read_recipe(recipe, overrides)
    clock = time.time_ns() // 1_000_000 if now is None else now
    with workspace() as work:
        events = _read(work, chosen, Path(source), seed, clock)
        if out is None:
            return events
        return events.save(
            out,
            config=chosen.model_dump(mode="json", exclude_none=True),
            seed=seed,
            extra_files={"quarantine.parquet": work.quarantine.columns()},
        )


def _read(work: Workspace, recipe: Recipe, folder: Path, seed: int, now: int) -> Events:
    parts = _read_tables(work, recipe, folder, now)
    counts: Counter[str] = Counter()
    for part in parts.values():
        counts.update(part.counts)
    log = drop_duplicates(unite(list(parts.values())))
    log = keep_core(log, recipe.core)
    if len(log) == 0:
        why = work.quarantine.counts() or dict(log.counts)
        raise DataError(f"{folder} gave no event by recipe '{recipe.name}' ({why}); mend either")
    users = read_texts(work, recipe, folder, "user", log.user_ids, counts)
    items = read_texts(work, recipe, folder, "item", log.item_ids, counts)
    if recipe.derive:
        terms = items.terms(len(log.item_ids))
        log = derive_queries(log, recipe.derive, terms, list(items.term_code), seed)
    events = assemble(
        log,
        recipe,
        users,
        items,
        lambda ids: read_texts(work, recipe, folder, "term", ids, counts),
    )
    counts.update(log.counts)
    return replace(events, report=_report(events, parts, counts, log, work.quarantine))


def _read_tables(work: Workspace, recipe: Recipe, folder: Path, now: int) -> dict[str, Rows]:
    """The usable rows of every file, in the order of the recipe."""
    found = [(table, path) for table in recipe.tables for path in require_files(folder, table)]
    parts: dict[str, Rows] = {}
    for table, path in progress(found, "reading logs"):
        rows = read_rows(work, table, path, recipe, now)
        name = path.relative_to(folder).as_posix()
        while name in parts:  # one file may serve two tables
            name += " (again)"
        parts[name] = rows
    return parts


def _report(
    events: Events,
    parts: dict[str, Rows],
    counts: Counter[str],
    log: Log,
    quarantine: Quarantine,
) -> dict[str, Any]:
    """All counts of an ingestion; rows read = events + quarantined + what each step took away."""
    timed = events.time[events.is_timed]
    uses = np.bincount(events.user)
    searched = events.query[events.is_search]
    return {
        **{name: int(value) for name, value in sorted(counts.items())},
        "files": {name: {**part.counts, "used": len(part)} for name, part in parts.items()},
        "quarantined_by_reason": quarantine.counts(),
        "quarantine_sample": quarantine.sample(),
        "events": len(events),
        "search_events": int(events.is_search.sum()),
        "recommend_events": int(events.is_recommend.sum()),
        "timed_events": len(timed),
        "terms_in_searches": int(events.query_terms.lengths[searched].sum()),
        "sessions": int(events.session.max(initial=-1)) + 1,
        "most_events_of_a_user": int(uses.max(initial=0)),
        "alike_ids": count_alike(log.user_ids) + count_alike(log.item_ids),
        "first_time": int(timed.min()) if len(timed) else None,
        "last_time": int(timed.max()) if len(timed) else None,
        **{
            f"{kind}s" if kind != "query" else "queries": len(v)
            for kind, v in events.vocabularies.items()
        },
    }
