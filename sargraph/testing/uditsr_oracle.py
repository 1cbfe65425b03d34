"""UDITSR edge by edge and word by word: slow, plain and differentiable, the truth for tests."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Edge = tuple[int, int, bool, list[int]]
"""(user, item, is_search, query words)."""


@dataclass
class UDITSROracle:
    """The model of arXiv 2407.00912 in loops, from the named parameters of `UDITSR`.

    `parity` is the published behaviour; otherwise -1 pads and is skipped everywhere, layer weights
    sum to one, scores are not rectified and L_SG is a mean over search rows. `naming_weight` adds
    the naming loss.
    """

    weights: dict[str, Tensor]
    user_terms: list[list[int]]
    item_terms: list[list[int]]
    num_layers: int
    parity: bool
    naming_weight: float

    def demand(self, user: int, item: int) -> Tensor:
        """The virtual query of one pair."""
        w = self.weights
        e_user = w["user_embedding.weight"][user]
        e_item = w["item_embedding.weight"][item]
        x = [self._word(term) for term in self.user_terms[user]]
        y = [self._word(term) for term in self.item_terms[item] if term >= 0]
        key = self._linear("intent.key", torch.cat([e_user, *x]))
        logits = [key @ (w["intent.attention.weight"] @ vector) for vector in y]
        context = torch.zeros_like(e_user)
        for logit, vector in zip(logits, y, strict=True):
            share = 1 / sum((other - logit).exp() for other in logits)
            context = context + share * vector
        words = torch.zeros_like(e_user)
        for vector in x:
            words = words + vector
        hidden = self._linear("intent.first", torch.cat([e_user, e_item, words, context])).tanh()
        return self._linear("intent.third", self._linear("intent.second", hidden).tanh())

    def query(self, terms: list[int]) -> Tensor:
        """The sum of a query's words."""
        total = torch.zeros_like(self.weights["term_embedding.weight"][0])
        for term in terms:
            total = total + self._word(term)
        return total

    def edge_intent(self, edge: Edge) -> Tensor:
        """q_e: the query of a search edge, the virtual query of a recommendation edge."""
        user, item, is_search, terms = edge
        return self.query(terms) if is_search else self.demand(user, item)

    def propagate(self, edges: list[Edge]) -> list[tuple[list[Tensor], list[Tensor]]]:
        """(user, item) vectors of every layer, raw embeddings first."""
        users = list(self.weights["user_embedding.weight"])
        items = list(self.weights["item_embedding.weight"])
        layers = [(users, items)]
        for _ in range(self.num_layers):
            users, items = layers[-1]
            to_users: list[list[Tensor]] = [[] for _ in users]
            to_items: list[list[Tensor]] = [[] for _ in items]
            for edge in edges:
                intent = self.edge_intent(edge)
                to_items[edge[1]].append(users[edge[0]] + intent)
                to_users[edge[0]].append(items[edge[1]] - intent)
            zero = torch.zeros_like(users[0])
            layers.append(([_mean(m, zero) for m in to_users], [_mean(m, zero) for m in to_items]))
        return layers

    def final(self, edges: list[Edge]) -> tuple[list[Tensor], list[Tensor]]:
        """The weighted sums of the layers."""
        layers = self.propagate(edges)
        weights = [1 / (layer + 1) for layer in range(len(layers))]
        if not self.parity:
            weights = [weight / sum(weights) for weight in weights]
        users, items = list(layers[0][0]), list(layers[0][1])
        for side, table in enumerate((users, items)):
            for node, raw in enumerate(table):
                table[node] = torch.zeros_like(raw)
                for weight, layer in zip(weights, layers, strict=True):
                    table[node] = table[node] + weight * layer[side][node]
        return users, items

    def score(self, edge: Edge, final: tuple[list[Tensor], list[Tensor]]) -> Tensor:
        """The score of an item for a user with a query, or without."""
        user, item, is_search, _ = edge
        name = "search_score" if is_search else "recommend_score"
        hidden = torch.cat([final[0][user], final[1][item], self.edge_intent(edge)])
        hidden = _leaky(self._linear(f"{name}.first", hidden))
        hidden = _leaky(self._linear(f"{name}.second", hidden))
        score = self._linear(f"{name}.third", hidden)[0]
        return _leaky(score) if self.parity else score

    def losses(
        self, edges: list[Edge], rows: list[Edge], negatives: list[int]
    ) -> dict[str, Tensor]:
        """The four weighted losses of the rows, given the edges that carry messages."""
        final = self.final(edges)
        bpr, supervised, translation, naming = [], [], [], []
        for row, negative in zip(rows, negatives, strict=True):
            user, item, is_search, terms = row
            other = (user, negative, is_search, terms)
            bpr.append(_softplus(self.score(other, final) - self.score(row, final)))
            if is_search:
                supervised.append(_distance(self.demand(user, item), self.query(terms)))
                naming += self._naming(row)
            wanted = final[0][user] + self.edge_intent(row)
            near, far = _distance(wanted, final[1][item]), _distance(wanted, final[1][negative])
            translation.append(_softplus(near - far))
        searches = len(rows) if self.parity else len(supervised)
        zero = torch.zeros_like(final[0][0][0])
        result = {
            "bpr": sum(bpr, zero) / max(len(rows), 1),
            "supervised": 1.5 * sum(supervised, zero) / max(searches, 1),
            "translation": 0.2 * sum(translation, zero) / max(len(rows), 1),
            "naming": self.naming_weight * sum(naming, zero) / max(len(naming), 1),
        }
        return {**result, "total": sum(result.values(), zero)}

    def _naming(self, row: Edge) -> list[Tensor]:
        """Mean of -log of the share of each word of a search; empty where it has no words."""
        demand = self.demand(row[0], row[1])
        logits = [demand @ word for word in self.weights["term_embedding.weight"]]
        total = sum((logit.exp() for logit in logits), torch.zeros_like(logits[0]))
        named = [total.log() - logits[term] for term in row[3] if term >= 0]
        return [sum(named, torch.zeros_like(total)) / len(named)] if named else []

    def _word(self, term: int) -> Tensor:
        table = self.weights["term_embedding.weight"]
        return table[term] if term >= 0 else torch.zeros_like(table[0])

    def _linear(self, name: str, vector: Tensor) -> Tensor:
        return self.weights[f"{name}.weight"] @ vector + self.weights[f"{name}.bias"]


def _mean(messages: list[Tensor], zero: Tensor) -> Tensor:
    return sum(messages, zero) / max(len(messages), 1)


def _leaky(values: Tensor) -> Tensor:
    return torch.stack([v if v >= 0 else 0.01 * v for v in values.reshape(-1)]).view(values.shape)


def _softplus(value: Tensor) -> Tensor:
    """`-log σ(-value)` without overflow."""
    return value + (1 + (-value).exp()).log() if value > 0 else (1 + value.exp()).log()


def _distance(left: Tensor, right: Tensor) -> Tensor:
    total = torch.zeros_like(left[0])
    for a, b in zip(left, right, strict=True):
        total = total + (a - b) ** 2
    return total / len(left)
