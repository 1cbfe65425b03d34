"""Sparse matrices whose pattern stays while their weights change from step to step."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class SparsePattern:
    """Where a sparse matrix has entries, in row order and in column order.

    Both orders are sorted once, so that a step with new weights sorts nothing, and neither does
    its backward pass. An entry may occur twice: the two are added. Row order: `columns` of the
    entries, `by_row` their numbers, `row_offsets`; column order likewise. 32-bit where that is
    enough, which halves what a product reads.
    """

    num_rows: int
    num_columns: int
    columns: Int[Tensor, " entries"]
    rows: Int[Tensor, " entries"]
    by_row: Int[Tensor, " entries"]
    by_column: Int[Tensor, " entries"]
    row_offsets: Int[Tensor, " rows_plus_one"]
    column_offsets: Int[Tensor, " columns_plus_one"]

    @classmethod
    def build(
        cls,
        row: Int[Tensor, " entries"],
        column: Int[Tensor, " entries"],
        num_rows: int,
        num_columns: int,
    ) -> SparsePattern:
        """Sort the entries both ways; cost O(entries log entries)."""
        by_row = torch.argsort(row * num_columns + column, stable=True)
        by_column = torch.argsort(column * num_rows + row, stable=True)
        is_small = max(len(row), num_rows, num_columns) < 2**31
        kind = torch.int32 if is_small else torch.int64
        return cls(
            num_rows=num_rows,
            num_columns=num_columns,
            columns=column[by_row].to(kind),
            rows=row[by_column].to(kind),
            by_row=by_row.to(kind),
            by_column=by_column.to(kind),
            row_offsets=_offsets(row, num_rows).to(kind),
            column_offsets=_offsets(column, num_columns).to(kind),
        )

    def flipped(self) -> SparsePattern:
        """The pattern of the transposed matrix; nothing is copied."""
        return SparsePattern(
            num_rows=self.num_columns,
            num_columns=self.num_rows,
            columns=self.rows,
            rows=self.columns,
            by_row=self.by_column,
            by_column=self.by_row,
            row_offsets=self.column_offsets,
            column_offsets=self.row_offsets,
        )

    def weighted(self, weight: Float[Tensor, " entries"]) -> SparseMatrix:
        """The matrix with `weight[e]` at entry e; weights carry no gradient."""
        shape = (self.num_rows, self.num_columns)
        by_row = weight.index_select(0, self.by_row)
        by_column = weight.index_select(0, self.by_column)
        return SparseMatrix(
            csr=_csr(self.row_offsets, self.columns, by_row, shape),
            transposed=_csr(self.column_offsets, self.rows, by_column, shape[::-1]),
        )


@dataclass(frozen=True)
class SparseMatrix:
    """A constant sparse matrix with its transpose, both torch CSR tensors."""

    csr: Tensor
    transposed: Tensor

    def matmul(self, dense: Float[Tensor, "columns dim"]) -> Float[Tensor, "rows dim"]:
        """`matrix @ dense`, differentiable in `dense`; cost O(entries · dim) each way."""
        product: Tensor = _MatMul.apply(self.csr, self.transposed, dense)
        return product

    def rows(self, rows: Int[Tensor, " some_rows"]) -> SparseMatrix:
        """Some rows as a matrix; cost O(their entries log their entries + columns)."""
        offsets = self.csr.crow_indices().long()
        length = offsets[rows + 1] - offsets[rows]
        start = offsets[rows] - length.cumsum(0) + length
        entry = torch.arange(int(length.sum()), device=rows.device)
        entry += start.repeat_interleave(length)
        row = torch.arange(len(rows), device=rows.device).repeat_interleave(length)
        column = self.csr.col_indices()[entry].long()
        pattern = SparsePattern.build(row, column, len(rows), self.csr.shape[1])
        return pattern.weighted(self.csr.values()[entry])

    def row_sums(self) -> Float[Tensor, " rows"]:
        """The sum of each row's entries."""
        ones = self.csr.values().new_ones(self.csr.shape[1], 1)
        return bag(self.csr, ones).squeeze(1)


class _MatMul(torch.autograd.Function):
    """CSR times dense, with the transposed CSR at hand for the gradient."""

    @staticmethod
    def forward(ctx: Any, csr: Tensor, transposed: Tensor, dense: Tensor) -> Tensor:
        ctx.transposed = transposed
        return bag(csr, dense)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor]:
        return None, None, bag(ctx.transposed, grads[0].contiguous())


def bag(csr: Tensor, dense: Tensor, rows: slice | None = None) -> Tensor:
    """`csr @ dense`, or some of its rows, without a gradient.

    A weighted embedding bag is the quickest CSR product that torch has on a CPU.
    """
    offsets = csr.crow_indices()
    columns, values = csr.col_indices(), csr.values()
    if rows is not None:
        offsets = offsets[rows.start : rows.stop + 1]
        inside = slice(int(offsets[0]), int(offsets[-1]))
        offsets, columns, values = offsets - offsets[0], columns[inside], values[inside]
    if values.numel() == 0:
        return dense.new_zeros(len(offsets) - 1, dense.shape[1])
    return F.embedding_bag(
        columns, dense, offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )


def _offsets(row: Tensor, num_rows: int) -> Tensor:
    offsets = row.new_zeros(num_rows + 1)
    torch.cumsum(torch.bincount(row, minlength=num_rows), 0, out=offsets[1:])
    return offsets


def _csr(offsets: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():  # torch warns once that CSR tensors are in beta
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(offsets, columns, values, shape, check_invariants=False)
