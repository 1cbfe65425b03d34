"""A score network over (user, item, query) whose first layer is split by part."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class TripleScore(nn.Module):
    """Scores `[u; i; q]` with three layers, 3 dim -> 3 dim // 2 -> 3 dim // 4 -> 1.

    LeakyReLU(0.01) follows the hidden layers, and the last one too where `activate_last`, as
    published. The first layer is `W [u; i; q] = W_u u + W_i i + W_q q`: a caller with many rows of
    few users and items projects the tables once (`project`) and adds rows (`finish`).
    """

    def __init__(self, dim: int, activate_last: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.activate_last = activate_last
        self.first = nn.Linear(3 * dim, 3 * dim // 2)
        self.second = nn.Linear(3 * dim // 2, 3 * dim // 4)
        self.third = nn.Linear(3 * dim // 4, 1)

    def project_user(
        self, table: Float[Tensor, "users dim"], rows: Int[Tensor, " n"]
    ) -> Float[Tensor, "n hidden"]:
        """The first layer's part of each row's user, with its bias."""
        return _project(table, rows, self._part(0), self.first.bias)

    def project_item(
        self, table: Float[Tensor, "items dim"], rows: Int[Tensor, " n"]
    ) -> Float[Tensor, "n hidden"]:
        """The first layer's part of each row's item."""
        return _project(table, rows, self._part(1), None)

    def project_query(self, query: Float[Tensor, "n dim"]) -> Float[Tensor, "n hidden"]:
        """The first layer's part of each query, real or virtual."""
        return F.linear(query, self._part(2))

    def finish(self, hidden: Float[Tensor, "n hidden"]) -> Float[Tensor, " n"]:
        """The score from the sum of the three parts."""
        score = self.third(F.leaky_relu(self.second(F.leaky_relu(hidden)))).squeeze(1)
        return F.leaky_relu(score) if self.activate_last else score

    def _part(self, index: int) -> Tensor:
        return self.first.weight.narrow(1, index * self.dim, self.dim)


def _project(table: Tensor, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`weight @ table[rows]`, over the rows or over the whole table, whichever is smaller."""
    if len(rows) < len(table):
        return F.linear(table[rows], weight, bias)
    return F.linear(table, weight, bias)[rows]
