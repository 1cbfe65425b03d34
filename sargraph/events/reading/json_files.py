"""JSON files: one object a line, or one object of lists."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from sargraph.core.errors import DataError
from sargraph.events.reading.files import plain_text
from sargraph.events.reading.relation import MAX_LINE_BYTES, Reject, Relation, check_header
from sargraph.events.reading.workspace import Workspace, file_literal, literal, quoted
from sargraph.events.recipe import FileSource

# A row of control characters: nothing that any text holds, so that a line stays in one piece.
_NEVER = "\x1f\x1e\x1d\x1c"

_NUMBERED = "(SELECT row_number() OVER () AS number, line FROM {lines} WHERE trim(line) <> '')"
_IS_OBJECT = "CASE WHEN json_valid(line) THEN starts_with(ltrim(line), '{') ELSE false END"


def read_jsonl(work: Workspace, path: Path, source: FileSource) -> Relation:
    """One JSON object a line; the columns are all keys met. Other lines are refused.

    Texts stand as they are, everything else as JSON; `null` and an absent key are no value.
    Nothing is held in memory but the refused lines. Cost: two passes over the file.
    """
    text = plain_text(path, source.encoding, work.scratch)
    lines = (
        f"read_csv({file_literal(text)}, auto_detect=false, hive_partitioning=false, header=false, "
        f"delim={literal(_NEVER)}, "
        f"quote='', escape='', columns={{'line': 'VARCHAR'}}, max_line_size={MAX_LINE_BYTES})"
    )
    numbered = _NUMBERED.format(lines=lines)
    keys = f"CASE WHEN {_IS_OBJECT} THEN json_keys(line) END"
    found = work.connection.sql(
        f"SELECT {keys} AS keys, min(number) AS first FROM {numbered} GROUP BY keys ORDER BY first"
    ).fetchall()
    keys_met = dict.fromkeys(key for keys, _ in found for key in keys or () if key)
    header = check_header(list(keys_met), path)
    rejects: list[Reject] = []
    if any(keys is None for keys, _ in found):
        bad = f"SELECT number, line FROM {numbered} WHERE NOT ({_IS_OBJECT}) ORDER BY number"
        rows = work.connection.sql(bad).fetchall()
        rejects = [(number, "not a JSON object", line.strip()) for number, line in rows]
    return Relation(header, _objects_sql(numbered, header), lambda: rejects)


def _objects_sql(lines: str, header: list[str]) -> str:
    """Each line is parsed once for all its keys."""
    paths = ", ".join(literal(_pointer(key)) for key in header)
    columns = ", ".join(f"found[{n}] AS {quoted(key)}" for n, key in enumerate(header, start=1))
    values = f"json_extract_string(line, [{paths}]) AS found"
    return f"(SELECT {columns} FROM (SELECT {values} FROM {lines} WHERE {_IS_OBJECT}))"


def _pointer(key: str) -> str:
    """The JSON pointer (RFC 6901) of a key."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


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
