"""SRJGraph edge by edge and word by word: slow, plain and differentiable, the truth for tests."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Edge = tuple[int, int, list[int] | None]
"""(user, item, the query's words; None = no query)."""


@dataclass
class SRJGraphOracle:
    """The model in loops, from the named parameters of `SRJGraph`."""

    weights: dict[str, Tensor]
    num_layers: int
    query_words: str

    def attribute(self, words: list[int] | None) -> Tensor:
        """What an edge carries: the sum or mean of its words, or the special attribute."""
        if words is None:
            return self.weights["heads.special"][0]
        total = torch.zeros_like(self.weights["heads.special"][0])
        for word in words:
            total = total + self.weights["word"][word]
        return total / len(words) if self.query_words == "mean" and words else total

    def layer(
        self,
        name: str,
        sources: list[Tensor],
        targets: list[Tensor],
        in_edges: list[tuple[int, int, list[int] | None]],
    ) -> list[Tensor]:
        """`IntentConv` called `name` over edges (source, target, words)."""
        found = []
        for row, target in enumerate(targets):
            asked = self._linear(f"{name}.asker", target)
            logits, values = [], []
            for source, end, words in in_edges:
                if end == row:
                    key, value = self._told(name, sources[source], self.attribute(words))
                    dot = sum(a * b for a, b in zip(asked, key, strict=True))
                    logits.append(dot / len(asked) ** 0.5)
                    values.append(value)
            out = self._linear(f"{name}.own", target)
            for logit, value in zip(logits, values, strict=True):
                out = out + value / sum((other - logit).exp() for other in logits)
            found.append(out)
        return found

    def propagate(self, edges: list[Edge]) -> tuple[list[Tensor], list[Tensor]]:
        """Final vectors of all users and items."""
        user, item = list(self.weights["user"]), list(self.weights["item"])
        forward = [(u, i, words) for u, i, words in edges]
        backward = [(i, u, words) for u, i, words in edges]
        for number in range(self.num_layers):
            if number > 0:
                user, item = ([_leaky(h) for h in side] for side in (user, item))
            new_item = self.layer(f"to_item.{number}", user, item, forward)
            user = self.layer(f"to_user.{number}", item, user, backward)
            item = new_item
        return user, item

    def score(self, user: Tensor, item: Tensor, words: list[int] | None) -> Tensor:
        """The head of the source over [u; i; query or special attribute]."""
        head = "heads.recommend_score" if words is None else "heads.search_score"
        hidden = torch.cat([user, item, self.attribute(words)])
        hidden = _leaky(self._linear(f"{head}.first", hidden))
        hidden = _leaky(self._linear(f"{head}.second", hidden))
        return self._linear(f"{head}.third", hidden)[0]

    def loss(self, rows: list[Edge], negatives: list[int], edges: list[Edge]) -> Tensor:
        """Mean of ln(1 + exp(s(j) - s(i))), propagated over the edges between no pair of rows."""
        hidden = {(user, item) for user, item, _ in rows}
        user, item = self.propagate([edge for edge in edges if edge[:2] not in hidden])
        total = torch.zeros((), dtype=user[0].dtype)
        for (u, i, words), negative in zip(rows, negatives, strict=True):
            chosen, other = (self.score(user[u], item[row], words) for row in (i, negative))
            total = total + torch.log(1 + torch.exp(other - chosen))
        return total / len(rows)

    def _told(self, name: str, source: Tensor, attribute: Tensor) -> tuple[Tensor, Tensor]:
        """Key and message of one edge: products with the stacked [source; attribute]."""
        stacked, found = torch.cat([source, attribute]), []
        for part in ("key", "value"):
            names = [f"{name}.{side}_{part}.weight" for side in ("source", "attribute")]
            found.append(torch.cat([self.weights[each] for each in names], dim=1) @ stacked)
        return found[0], found[1]

    def _linear(self, name: str, vector: Tensor) -> Tensor:
        return self.weights[f"{name}.weight"] @ vector + self.weights[f"{name}.bias"]


def _leaky(vector: Tensor) -> Tensor:
    return torch.where(vector > 0, vector, 0.01 * vector)
