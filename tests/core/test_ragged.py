"""Ragged rows and tables against plain lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sargraph.core.errors import ArtifactError
from sargraph.core.ragged import Ragged
from sargraph.core.table import (
    read_columns,
    read_ragged,
    read_tensors,
    write_columns,
    write_ragged,
    write_tensors,
)

lists = st.lists(st.lists(st.integers(-5, 2**60), max_size=6), max_size=12)


@given(lists, st.integers(1, 5))
def test_ragged_equals_lists(rows, width):
    ragged = Ragged.from_lists(rows)
    assert [r.tolist() for r in ragged] == rows
    chosen = np.arange(len(rows))[::-1]
    assert [r.tolist() for r in ragged.take(chosen)] == rows[::-1]
    first, last = ragged.to_padded(width), ragged.to_padded(width, keep="last")
    assert [[*r[:width], *[-1] * (width - len(r))] for r in rows] == first.tolist()
    assert [[*r[-width:], *[-1] * (width - len(r))] for r in rows] == last.tolist()
    assert ragged.row_of_value.tolist() == [i for i, r in enumerate(rows) for _ in r]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 99))))
def test_group_keeps_the_order_within_a_key(pairs):
    keys, values = (np.array([p[i] for p in pairs], dtype=np.int64) for i in (0, 1))
    grouped = Ragged.group(keys, values, 5)
    assert [g.tolist() for g in grouped] == [[v for k, v in pairs if k == key] for key in range(5)]


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 2, 1, 3]])
def test_offsets_that_do_not_fit_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets"):
        Ragged(np.arange(3), np.array(offsets))


@pytest.mark.parametrize("rows", [[], [[]], [[1, 2], [], [2**60]]])
def test_ragged_survives_a_file(tmp_path, rows):
    write_ragged(tmp_path / "r.parquet", Ragged.from_lists(rows))
    assert [r.tolist() for r in read_ragged(tmp_path / "r.parquet")] == rows


def test_columns_and_tensors_survive_a_file(tmp_path):
    columns = {"time": np.array([2**62, -1]), "text": ["ä", "b"], "w": np.float32([0.5, 1])}
    write_columns(tmp_path / "c.parquet", columns)
    back = read_columns(tmp_path / "c.parquet")
    assert back["time"].tolist() == [2**62, -1] and back["text"].tolist() == ["ä", "b"]
    assert back["w"].dtype == np.float32
    write_tensors(tmp_path / "t.safetensors", {"a": np.eye(3, dtype=np.float32)[:, ::2]})
    assert read_tensors(tmp_path / "t.safetensors")["a"].tolist() == [[1, 0], [0, 0], [0, 1]]


def test_a_truncated_file_is_one_clear_error(tmp_path):
    write_columns(tmp_path / "c.parquet", {"a": np.arange(1000)})
    write_tensors(tmp_path / "t.safetensors", {"a": np.eye(30)})
    for name, read in (("c.parquet", read_columns), ("t.safetensors", read_tensors)):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ArtifactError, match=name):
            read(tmp_path / name)
