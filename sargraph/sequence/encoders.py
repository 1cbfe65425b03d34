"""Input encoders of a joint sequence model: text, item, user and search-session vectors.

The distinct items and queries of a batch are encoded once and looked up wherever they occur.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sargraph.core.errors import ConfigError


@dataclass(frozen=True)
class Attributes:
    """Categorical attributes of users or items: one value per row and field, -1 where unknown."""

    values: Int[Tensor, "rows fields"]
    sizes: tuple[int, ...]  # number of values of each field


@dataclass(frozen=True)
class RowVectors:
    """Vectors of the distinct rows that a batch names; row -1 gives zeros."""

    vectors: Float[Tensor, "places dim"]  # the last place holds the zeros
    place: Int[Tensor, " rows_and_none"]  # row -> place; the last entry serves row -1

    def __call__(self, rows: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape dim"]:
        """The vector of every given row."""
        return F.embedding(self.place[rows], self.vectors)

    def mean(self, rows: Int[Tensor, "*shape members"]) -> Float[Tensor, "*shape dim"]:
        """Mean over the members that are not -1; zeros where there are none."""
        flat, none = self.place[rows].flatten(0, -2), len(self.vectors) - 1
        mean = F.embedding_bag(flat, self.vectors, mode="mean", padding_idx=none)
        return mean.unflatten(0, rows.shape[:-1])


def distinct_rows(
    num_rows: int, *rows: Int[Tensor, " ..."]
) -> tuple[Int[Tensor, " distinct"], Int[Tensor, " rows_and_none"]]:
    """Distinct rows, ascending and without -1, and the place of each row among them.

    Cost: O(num_rows + number of given rows); cheaper than sorting for every table that fits
    beside its own dense gradient.
    """
    used = torch.zeros(num_rows + 1, dtype=torch.bool, device=rows[0].device)
    for some in rows:
        used[some.flatten()] = True
    used[-1] = False
    distinct = used.nonzero().flatten()
    place = torch.full_like(used, len(distinct), dtype=torch.long)
    place[distinct] = torch.arange(len(distinct), device=used.device)
    return distinct, place


class TextEncoder(nn.Module):
    """Vector of a short text: tanh(W mean of its term vectors + b); an empty text has mean 0."""

    def __init__(self, num_terms: int, term_dim: int, dim: int) -> None:
        super().__init__()
        self.term_table = nn.Embedding(num_terms, term_dim)
        self.project = nn.Linear(term_dim, dim)

    def forward(self, terms: Int[Tensor, "texts length"]) -> Float[Tensor, "texts dim"]:
        """Encode texts given as term rows, -1 = padding anywhere."""
        valid = terms >= 0
        length = valid.sum(1)
        mean = F.embedding_bag(
            terms[valid], self.term_table.weight, length.cumsum(0) - length, mode="mean"
        )
        return torch.tanh(self.project(mean))


class ProfileEncoder(nn.Module):
    """Vector of a user or an item: tanh(W [id ; text, if any ; attributes] + b).

    Row -1 (nobody known) and attribute -1 contribute zeros before the projection.
    """

    def __init__(
        self, num_rows: int, id_dim: int, dim: int, attributes: Attributes | None, text_dim: int = 0
    ) -> None:
        super().__init__()
        sizes = attributes.sizes if attributes else ()
        values = attributes.values if attributes else torch.empty(num_rows, 0, dtype=torch.long)
        self.id_table = nn.Embedding(num_rows, id_dim)
        self.attribute_tables = nn.ModuleList(nn.Embedding(size, id_dim) for size in sizes)
        self.attributes: Tensor
        self.register_buffer("attributes", values)
        self.project = nn.Linear(id_dim * (1 + len(sizes)) + text_dim, dim)

    def forward(
        self, rows: Int[Tensor, " rows"], text: Float[Tensor, "rows text_dim"] | None = None
    ) -> Float[Tensor, "rows dim"]:
        """Encode rows, with the vector of their text where there is one."""
        parts = [_lookup(self.id_table, rows)]
        if text is not None:
            parts.append(text)
        values = self.attributes[rows].masked_fill((rows < 0).unsqueeze(1), -1)
        for table, value in zip(self.attribute_tables, values.unbind(1), strict=True):
            assert isinstance(table, nn.Embedding)
            parts.append(_lookup(table, value))
        return torch.tanh(self.project(torch.cat(parts, dim=1)))


def _lookup(table: nn.Embedding, rows: Tensor) -> Tensor:
    """Rows of a table; -1 gives zeros."""
    found: Tensor = table(rows.clamp(min=0))
    return found.masked_fill((rows < 0).unsqueeze(-1), 0.0)


class InputEncoder(nn.Module):
    """Encode users, items, queries and search sessions into one space of width `dim`.

    query q = text(terms); item v = tanh(W [id ; text(item terms) ; attributes] + b);
    user u = tanh(W [id ; attributes] + b); search session s = q + mean of its clicked items.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        num_queries: int,
        num_terms: int,
        id_dim: int,
        dim: int,
        query_terms: Int[Tensor, "queries query_length"],
        item_terms: Int[Tensor, "items item_length"] | None = None,
        item_attributes: Attributes | None = None,
        user_attributes: Attributes | None = None,
    ) -> None:
        super().__init__()
        text_dim = 0 if item_terms is None else dim
        _check_rows("query_terms", query_terms, num_queries)
        if item_terms is not None:
            _check_rows("item_terms", item_terms, num_items)
        self.text = TextEncoder(num_terms, id_dim, dim)
        self.item = ProfileEncoder(num_items, id_dim, dim, item_attributes, text_dim)
        self.user = ProfileEncoder(num_users, id_dim, dim, user_attributes)
        self.query_terms: Tensor
        self.item_terms: Tensor | None
        self.register_buffer("query_terms", query_terms)
        self.register_buffer("item_terms", item_terms)

    def users(self, rows: Int[Tensor, " batch"]) -> Float[Tensor, "batch dim"]:
        """Vector of each user."""
        vectors: Tensor = self.user(rows)
        return vectors

    def items(self, *rows: Int[Tensor, " ..."]) -> RowVectors:
        """Vectors of every distinct item among the given rows."""
        distinct, place = distinct_rows(self.item.id_table.num_embeddings, *rows)
        text = None if self.item_terms is None else self.text(self.item_terms[distinct])
        return RowVectors(_with_zeros(self.item(distinct, text)), place)

    def queries(self, *rows: Int[Tensor, " ..."]) -> RowVectors:
        """Vectors of every distinct query among the given rows."""
        distinct, place = distinct_rows(len(self.query_terms), *rows)
        return RowVectors(_with_zeros(self.text(self.query_terms[distinct])), place)


def _check_rows(name: str, table: Tensor, num_rows: int) -> None:
    if len(table) != num_rows:
        raise ConfigError(f"got {len(table)} rows of {name}, expected {num_rows}: one per row")


def _with_zeros(vectors: Tensor) -> Tensor:
    return F.pad(vectors, (0, 0, 0, 1))
