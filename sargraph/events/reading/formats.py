"""File formats: each becomes a relation that DuckDB can scan, mostly of text columns."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from sargraph.core.errors import DataError
from sargraph.core.registry import Registry
from sargraph.events.reading.files import plain_text
from sargraph.events.reading.jdsearch import read_jdsearch
from sargraph.events.reading.json_files import read_json_lists, read_jsonl
from sargraph.events.reading.relation import MAX_LINE_BYTES, Reject, Relation, check_header
from sargraph.events.reading.workspace import Workspace, file_literal, literal, quoted
from sargraph.events.recipe import FileSource

__all__ = ["READERS", "Reader", "Reject", "Relation"]

MAX_REJECT_TEXT = 10_000
"""DuckDB keeps this many characters of a row that it refuses."""

# Every other problem of a CSV row, such as a wrong number of columns, goes by the text of its type.
_CSV_REASONS = {
    "MISSING COLUMNS": "wrong number of columns",
    "TOO MANY COLUMNS": "wrong number of columns",
    "UNQUOTED VALUE": "unbalanced quotes",
    "LINE SIZE OVER MAXIMUM": "line too long",
}

Reader: TypeAlias = Callable[[Workspace, Path, FileSource], Relation]
READERS: Registry[Reader] = Registry("file format")
READERS.register("jsonl")(read_jsonl)
READERS.register("json_lists")(read_json_lists)
READERS.register("jdsearch")(read_jdsearch)


@READERS.register("csv")
@READERS.register("tsv")
def read_csv(work: Workspace, path: Path, source: FileSource) -> Relation:
    """Delimited text with a header; quotes are understood, rows that do not fit are refused."""
    is_csv = source.format == "csv"
    delimiter = source.delimiter or ("," if is_csv else "\t")
    quote = source.quote if source.quote is not None else ('"' if is_csv else "")
    text = plain_text(path, source.encoding, work.scratch, table_quote=quote)
    header = _header(text, delimiter, quote, path)
    rejects, scans = work.new_name("rejects"), work.new_name("scans")
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
    sql = (
        f"read_csv({file_literal(text)}, auto_detect=false, hive_partitioning=false, header=true, "
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
    return check_header(header, path)


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
        lines = (
            (text or "").removesuffix("\n").split("\n")
            if kind == "UNQUOTED VALUE"
            else [text or ""]
        )
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
    """Parquet: numbers, truths and times as they are, nested columns as JSON texts.

    Raises DataError for a damaged file.
    """
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is a damaged Parquet file ({reason}); fetch it again") from None
    check_header(schema.names, path)
    types = {column.name: _native_type(column.type) for column in schema}
    columns = ", ".join(
        f"{_parquet_sql(column, types[column.name])} AS {quoted(column.name)}" for column in schema
    )
    native = {name: type_ for name, type_ in types.items() if type_}
    # A folder called `user=bob` names no column: columns are those of the file.
    scanned = f"read_parquet({file_literal(path)}, hive_partitioning=false, binary_as_string=true)"
    sql = f"(SELECT {columns} FROM {scanned})"
    return Relation(schema.names, sql, types=native)


def _parquet_sql(column: pa.Field, native: str) -> str:
    if native == "TIMESTAMP WITH TIME ZONE":  # also of nanoseconds, which have a type of their own
        return f"CAST({quoted(column.name)} AS TIMESTAMP WITH TIME ZONE)"
    if native:
        return quoted(column.name)
    as_json = "to_json" if pa.types.is_nested(column.type) else ""
    return f"CAST({as_json}({quoted(column.name)}) AS VARCHAR)"


_NATIVE = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
}


def _native_type(type_: pa.DataType) -> str:
    """The DuckDB type of a column that stays as it is, "" for one that becomes a text.

    Unsigned 64-bit integers become texts: half of them do not fit an int64.
    """
    if pa.types.is_timestamp(type_):
        return "TIMESTAMP WITH TIME ZONE" if type_.tz else "TIMESTAMP"
    return _NATIVE.get(type_, "")


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
