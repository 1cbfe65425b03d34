"""File formats: each becomes a relation of text columns that DuckDB can scan."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from sargraph.core.errors import DataError
from sargraph.core.registry import Registry
from sargraph.events.reading.files import plain_text
from sargraph.events.reading.workspace import Workspace, literal, quoted
from sargraph.events.recipe import FileSource

Reject: TypeAlias = tuple[int, str, str]
"""Row in the file (from 1, header not counted), reason, raw text."""

MAX_LINE_BYTES = 16_000_000

MAX_REJECT_TEXT = 10_000
"""DuckDB keeps this many characters of a row that it refuses."""

# Every other problem of a CSV row, such as a wrong number of columns, goes by the text of its type.
_CSV_REASONS = {
    "MISSING COLUMNS": "wrong number of columns",
    "TOO MANY COLUMNS": "wrong number of columns",
    "UNQUOTED VALUE": "unbalanced quotes",
    "LINE SIZE OVER MAXIMUM": "line too long",
}


@dataclass(frozen=True)
class Relation:
    """A scannable file: header names, SQL to stand after FROM, and the rows its scan refused."""

    header: list[str]
    sql: str
    rejects: Callable[[], list[Reject]] = list


Reader: TypeAlias = Callable[[Workspace, Path, FileSource], Relation]
READERS: Registry[Reader] = Registry("file format")


@READERS.register("csv")
@READERS.register("tsv")
def read_csv(work: Workspace, path: Path, source: FileSource) -> Relation:
    """Delimited text with a header; quotes are understood, rows that do not fit are refused."""
    text = plain_text(path, source.encoding, work.scratch)
    is_csv = source.format == "csv"
    delimiter = source.delimiter or ("," if is_csv else "\t")
    quote = source.quote if source.quote is not None else ('"' if is_csv else "")
    header = _header(text, delimiter, quote, path)
    rejects, scans = work.new_name("rejects"), work.new_name("scans")
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
    sql = (
        f"read_csv({literal(str(text))}, auto_detect=false, header=true, "
        f"delim={literal(delimiter)}, quote={literal(quote)}, escape={literal(quote)}, "
        f"columns={{{columns}}}, "
        f"ignore_errors=true, store_rejects=true, rejects_table='{rejects}', "
        f"rejects_scan='{scans}', rejects_limit=0, max_line_size={MAX_LINE_BYTES})"
    )
    return Relation(header, sql, lambda: _csv_rejects(work, rejects, path))


def _header(text: Path, delimiter: str, quote: str, path: Path) -> list[str]:
    with text.open(encoding="utf-8-sig", newline="") as file:
        if quote:
            rows = csv.reader(file, delimiter=delimiter, quotechar=quote)
        else:
            rows = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        header = [name.strip() for name in next(rows, [])]
    if not any(header):
        raise DataError(f"{path} has no header line; expected column names in its first line")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path} names column '{twice[0]}' twice; rename one of them")
    return header


def _csv_rejects(work: Workspace, table: str, path: Path) -> list[Reject]:
    """The rows that the scan refused; of several problems of a row the first is reported.

    A quote that does not close takes the following lines with it, so each of these lines is a
    refused row of its own. Raises DataError when they are too many to be told apart.
    """
    found = work.connection.execute(
        f"SELECT line - 1, arg_min(CAST(error_type AS VARCHAR), coalesce(byte_position, 0)), "
        f"arg_min(csv_line, coalesce(byte_position, 0)) FROM {table} GROUP BY line ORDER BY line"
    ).fetchall()
    rejects: list[Reject] = []
    swallowed = 0
    for row, kind, text in found:
        lines = (text or "").split("\n") if kind == "UNQUOTED VALUE" else [text or ""]
        if len(lines) > 1 and len(text) >= MAX_REJECT_TEXT:
            raise DataError(
                f'{path}: the quote in row {row + swallowed} ("{lines[0][:40]}") does not close; '
                "mend the row, or set `quote` in the recipe"
            )
        reason = _CSV_REASONS.get(kind, kind.lower())
        rejects += [(row + swallowed + n, reason, line) for n, line in enumerate(lines)]
        swallowed += len(lines) - 1
    return rejects


@READERS.register("parquet")
def read_parquet(work: Workspace, path: Path, source: FileSource) -> Relation:
    """Parquet; nested columns become JSON texts. Raises DataError for a damaged file."""
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is a damaged Parquet file ({reason}); fetch it again") from None
    texts = ", ".join(
        f"CAST({'to_json' if pa.types.is_nested(column.type) else ''}({quoted(column.name)}) "
        f"AS VARCHAR) AS {quoted(column.name)}"
        for column in schema
    )
    return Relation(schema.names, f"(SELECT {texts} FROM read_parquet({literal(str(path))}))")


@READERS.register("jsonl")
def read_jsonl(work: Workspace, path: Path, source: FileSource) -> Relation:
    """One JSON object a line; the columns are all keys met. Other lines are refused."""
    text = plain_text(path, source.encoding, work.scratch)
    objects: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    with text.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(filter(str.strip, file), start=1):
            value = _json_object(line)
            if value is None:
                rejects.append((number, "not a JSON object", line.strip()))
            else:
                objects.append(value)
    header = list(dict.fromkeys(chain.from_iterable(objects)))
    columns = {n: pa.array([_as_text(o.get(n)) for o in objects], pa.string()) for n in header}
    return Relation(header, work.register(pa.table(columns)), lambda: rejects)


def _json_object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


@READERS.register("sequences")
def read_sequences(work: Workspace, path: Path, source: FileSource) -> Relation:
    """Lines `user item item ...` in time order, as columns user, item, place (from 0)."""
    text = plain_text(path, source.encoding, work.scratch)
    users: list[str] = []
    items: list[str] = []
    places: list[str] = []
    for line in text.read_text(encoding="utf-8-sig").splitlines():
        user, *rest = line.split() or [""]
        rest = rest or [""]  # a line without items stays visible as one row without an item
        users += [user] * len(rest)
        items += rest
        places += map(str, range(len(rest)))
    table = pa.table({"user": users, "item": items, "place": places})
    return Relation(table.column_names, work.register(table))


@READERS.register("json_lists")
def read_json_lists(work: Workspace, path: Path, source: FileSource) -> Relation:
    """One JSON object of lists, as columns id and values (JSON text). Raises DataError."""
    text = plain_text(path, source.encoding, work.scratch)
    try:
        lists = json.loads(text.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); fetch it again") from None
    if not isinstance(lists, dict):
        raise DataError(f"{path} holds a JSON {type(lists).__name__}; expected an object of lists")
    values = [json.dumps(value, ensure_ascii=False) for value in lists.values()]
    columns = {"id": list(lists), "values": values}
    table = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
    return Relation(table.column_names, work.register(table))
