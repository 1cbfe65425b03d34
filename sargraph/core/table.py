"""Columns in and out of Parquet, tensors in and out of safetensors: all that artefacts hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sargraph.core.errors import ArtifactError
from sargraph.core.ragged import Ragged
from sargraph.core.types import Array


def write_columns(path: Path, columns: Mapping[str, Array | Sequence[str | None]]) -> None:
    """Write equally long columns to one Parquet file; the same columns give the same bytes.

    Integers of 32 and 64 bits are stored as differences: half the size and time of dictionaries.
    """
    table = pa.table({name: _as_arrow(column) for name, column in columns.items()})
    wide = [f.name for f in table.schema if f.type in (pa.int32(), pa.int64())]
    pq.write_table(
        table,
        path,
        use_dictionary=[name for name in table.column_names if name not in wide],
        column_encoding=dict.fromkeys(wide, "DELTA_BINARY_PACKED"),
    )


def _as_arrow(column: Any) -> pa.Array | pa.ChunkedArray:
    return column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column)


def read_columns(path: Path) -> dict[str, Array]:
    """Read a Parquet file as NumPy columns (strings as object arrays). Raises ArtifactError."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); write the artefact again") from None
    return {name: table[name].to_numpy() for name in table.column_names}


def write_ragged(path: Path, rows: Ragged) -> None:
    """Write ragged rows as one Parquet column of lists."""
    array = pa.LargeListArray.from_arrays(pa.array(rows.offsets), pa.array(rows.values))
    pq.write_table(pa.table({"values": array}), path)


def read_ragged(path: Path) -> Ragged:
    """Read ragged rows written by `write_ragged`. Raises ArtifactError."""
    try:
        column = pq.read_table(path)["values"].combine_chunks()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); write the artefact again") from None
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    lengths = np.diff(column.offsets.to_numpy()) if len(column) else np.empty(0, np.int64)
    return Ragged.from_lengths(column.flatten().to_numpy(), lengths)


def write_tensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """Write named arrays as safetensors."""
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path)


def read_tensors(path: Path) -> dict[str, Array]:
    """Read named arrays from safetensors. Raises ArtifactError."""
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); write the artefact again") from None
