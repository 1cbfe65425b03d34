"""One log in several file formats, and files opened and scanned."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.reading.raw import RawTable, open_raw
from sargraph.events.reading.workspace import Workspace
from sargraph.events.recipe import FileSource
from sargraph.events.schema import SOURCES


def write_log(path: Path, format_: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of equal keys as csv, tsv, jsonl or parquet; None is an empty value."""
    if format_ == "parquet":
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        pq.write_table(pa.table(columns), path)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if format_ == "jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            return
        writer = csv.writer(file, delimiter="," if format_ == "csv" else "\t")
        writer.writerow(rows[0])
        writer.writerows(row.values() for row in rows)


def open_file(work: Workspace, path: Path, **how: object) -> RawTable:
    """A file ready to be scanned; `how` are fields of its source."""
    return open_raw(work, path, FileSource.model_validate({"file": path.name, **how}))


def scan_of(raw: RawTable, *names: str) -> list[tuple[object, ...]]:
    """The values of some columns, entry by entry; afterwards `raw.rejects` is known."""
    batches = list(raw.scan({name: raw.column((name,)) for name in names}))
    return [row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True)]


def rows_of(work: Workspace, path: Path, *names: str, **how: object) -> list[tuple[object, ...]]:
    """The values of some columns of a file."""
    return scan_of(open_file(work, path, **how), *names)


def ingest_files(
    folder: Path, recipe: str, files: Mapping[str, str | bytes], logs: str = "logs", **how: Any
) -> Events:
    """Write files below `folder / logs` and read them by the text of a recipe; saved in `out`."""
    for name, content in files.items():
        path = folder / logs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, content)
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    return ingest(folder / "recipe.toml", folder / logs, folder / "out", **how)


def parquet_bytes(**columns: Any) -> bytes:
    """A Parquet file as bytes."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def lines_of(events: Events) -> list[tuple[str, str, int, str, str]]:
    """(user, item, time, source, query) of each event, by their ids; empty = none."""
    items, queries = (*events.items.ids, ""), (*events.queries.ids, "")
    return [
        (
            events.users.ids[events.user[row]],
            items[events.item[row]],
            int(events.time[row]),
            SOURCES[events.columns["source"][row]],
            queries[events.query[row]],
        )
        for row in range(len(events))
    ]


def write_file(path: Path, content: str | bytes) -> Path:
    """Write a text or bytes; returns the path."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
