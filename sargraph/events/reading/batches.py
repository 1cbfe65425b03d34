"""Batches: a scanned file as typed columns, with texts coded as soon as they are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.types import NO_TIME, Array, BoolArray, CodeArray, DoubleArray, IntArray
from sargraph.events.reading.fields import expressions, number_columns
from sargraph.events.reading.prices import as_prices
from sargraph.events.reading.raw import RawTable
from sargraph.events.reading.recipe_fields import ActionRule
from sargraph.events.recipe import Table
from sargraph.events.schema import ACTIONS

LIMITS = {"position": 2**31 - 1, "weight": float(np.finfo(np.float32).max)}
"""Greatest numbers that the columns of these names hold."""

MAX_PLACE = 2**62
"""So far apart from 0 are times at most, so that the gap between two fits 64 bits."""

CODED = ("user", "item", "query", "search", "group", "marker", "within")
"""Fields that are held as dictionary codes from the first batch on."""

LISTS = ("slate", "slate_price")
"""Fields that are held as texts until their lists are read."""


@dataclass(frozen=True)
class Batches:
    """All entries of a file: `texts` are Arrow columns (coded ones are dictionaries), `arrays`
    NumPy columns: time, kept, and where the table has them action, weight, position, row, is_local,
    is_listed, price with bad_price (a price that could not be read, and is unknown therefore);
    `faults` say where a number or a time could not be read. All of one length, `size`."""

    size: int
    texts: dict[str, pa.ChunkedArray]
    arrays: dict[str, Array]
    faults: dict[str, BoolArray]

    @property
    def time(self) -> IntArray:
        """Time of each entry, NO_TIME where there is none or it could not be read."""
        return self.arrays["time"]  # type: ignore[return-value]

    @property
    def kept(self) -> BoolArray:
        """True where an entry meets the conditions of `keep`."""
        return self.arrays["kept"]  # type: ignore[return-value]

    @classmethod
    def join(cls, parts: Sequence[Batches]) -> Batches:
        """The entries of several files one after the other."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        return cls(
            size=sum(part.size for part in parts),
            texts={name: _chained([part.texts[name] for part in parts]) for name in first.texts},
            arrays={n: np.concatenate([p.arrays[n] for p in parts]) for n in first.arrays},
            faults={n: np.concatenate([p.faults[n] for p in parts]) for n in first.faults},
        )


def _chained(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """One column of the chunks of several; texts where a file has numbers and another texts."""
    chunks = [chunk for column in columns for chunk in column.chunks]
    if len({chunk.type for chunk in chunks}) > 1:
        chunks = [
            pa.DictionaryArray.from_arrays(c.indices, c.dictionary.cast(pa.string()))
            for c in (chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
                      for chunk in chunks)
        ]  # fmt: skip
    return pa.chunked_array(chunks)


def read_batches(raw: RawTable, table: Table) -> Batches:
    """Scan a file once and keep only what its table needs.

    Ids and texts take 4 bytes an entry beside their distinct values. Raises as `RawTable.scan`.
    """
    sql = expressions(table, raw)
    if raw.relation.row is not None:
        sql["row"] = f"CAST({raw.column((raw.relation.row,))} AS BIGINT)"
    texts: dict[str, list[pa.Array]] = {n: [] for n in (*CODED, *LISTS) if n in sql}
    parts: dict[str, list[Array]] = defaultdict(list)
    for batch in raw.scan(sql):
        for name, chunks in texts.items():
            column = batch.column(name)
            chunks.append(column.dictionary_encode() if name in CODED else column)
        for name, array in _typed(batch, table).items():
            parts[name].append(array)
    arrays = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
    pa.default_memory_pool().release_unused()
    faults: Any = {n[1:]: arrays.pop(n) for n in list(arrays) if n.startswith("!")}
    columns = {name: pa.chunked_array(chunks) for name, chunks in texts.items()}
    return Batches(raw.num_entries, columns, arrays, faults)


def _typed(batch: pa.RecordBatch, table: Table) -> dict[str, Array]:
    """NumPy columns of one batch; names with `!` are masks of what could not be read."""
    time = np.asarray(pc.fill_null(batch.column("time"), NO_TIME), dtype=np.int64)
    found: dict[str, Any] = {
        "time": time,
        "!time": _unusable(time, table),
        "kept": _kept(batch, len(table.keep)),
    }
    for name in number_columns(table):
        values = np.asarray(pc.fill_null(batch.column(name), np.nan), dtype=np.float64)
        bad = ~(np.abs(values) <= LIMITS.get(name, np.finfo(np.float64).max))
        found[f"!{name}"] = bad | (values < 0) if name == "weight" else bad
        found[name] = _NARROW[name](np.where(bad, 0, values), table.action)
    if "price" in batch.schema.names:
        given = np.asarray(batch.column("price"), dtype=np.float64)
        found["price"], found["bad_price"] = as_prices(given)
    if "action_code" in batch.schema.names:
        code = batch.column("action_code")
        found["!action"] = np.asarray(pc.is_null(code))
        found["action"] = np.asarray(pc.fill_null(code, 0), dtype=np.int8)
    for name in ("is_local", "is_listed"):
        if name in batch.schema.names:
            found[name] = np.asarray(batch.column(name))
    if "row" in batch.schema.names:
        found["row"] = np.asarray(batch.column("row"), dtype=np.int64)
    return found


def _unusable(time: IntArray, table: Table) -> BoolArray:
    """True where a table with times has none, or one beyond MAX_PLACE."""
    if table.time.unit == "none":
        return np.zeros(len(time), dtype=np.bool_)
    return np.asarray((time < -MAX_PLACE) | (time > MAX_PLACE))


def _kept(batch: pa.RecordBatch, num_conditions: int) -> BoolArray:
    kept = np.ones(batch.num_rows, dtype=bool)
    for place in range(num_conditions):
        kept &= np.asarray(batch.column(f"keep{place}"))
    return kept


def _decide(values: DoubleArray, rule: ActionRule) -> Array:
    yes, no = ACTIONS.index(rule.yes), ACTIONS.index(rule.no)
    return np.where(values >= rule.at_least, np.int8(yes), np.int8(no))


_NARROW: dict[str, Any] = {
    "action": _decide,
    "weight": lambda values, _: values.astype(np.float32),
    "position": lambda values, _: values.astype(np.int32),
}


def constant(value: Any, size: int, dtype: type[np.generic]) -> Array:
    """A column that has one value everywhere and takes no memory; it cannot be written to."""
    return np.broadcast_to(np.asarray(value, dtype=dtype), (size,))


def join_codes(left: CodeArray, right: CodeArray) -> CodeArray:
    """One code for each pair of codes (from -1 on); int64, not contiguous."""
    width = int(right.max(initial=-1)) + 2
    return np.asarray((left.astype(np.int64) + 1) * width + right + 1)
