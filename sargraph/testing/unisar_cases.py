"""A small UniSAR, requests of every shape, and its forward pass one event at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sargraph.sequence.encoders import Attributes
from sargraph.sequence.inputs import HistoryBatch, RequestBatch
from sargraph.sequence.unisar import UniSAR, UniSARConfig
from sargraph.testing import unisar_oracle as oracle

USERS, ITEMS, QUERIES, TERMS = 9, 20, 8, 15
SIZES: dict[str, Any] = dict(
    dim=8, id_dim=6, max_rec=4, max_search=3, num_experts=2, num_shared_experts=2, expert_dim=5,
    tower_dims=(6, 4), head_dims=(5,),
)  # fmt: skip
NEGATIVE_ITEMS, NEGATIVE_QUERIES = torch.tensor([3, 11, 3, 19]), torch.tensor([7, 0, 2])


def texts(rows: int, length: int, seed: int) -> torch.Tensor:
    """Random term rows, some of them padding (-1)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, TERMS, (rows, length), generator=generator)


def model(**choices) -> UniSAR:
    """A small UniSAR with texts and one item attribute."""
    return UniSAR(
        USERS, ITEMS, QUERIES, TERMS, UniSARConfig(**(SIZES | choices)),
        texts(QUERIES, 3, seed=1), texts(ITEMS, 4, seed=2),
        Attributes(torch.arange(ITEMS).unsqueeze(1) % 4 - 1, (3,)), seed=5,
    )  # fmt: skip


def request(is_search: bool = False) -> RequestBatch:
    """Five requests: full, shorter, recommendation only, search only, and without any history."""
    rec = [[4, 2, 4, 9], [1, 0, -1, -1], [5, 6, 7, -1], [-1] * 4, [-1] * 4]
    query = [[0, 3, 3], [5, -1, -1], [-1] * 3, [1, 2, -1], [-1] * 3]
    clicks = [
        [[4, 9], [2, -1], [-1, -1]],
        [[8, -1], [-1, -1], [-1, -1]],
        [[-1, -1]] * 3,
        [[3, 3], [-1, 11], [-1, -1]],
        [[-1, -1]] * 3,
    ]
    history = HistoryBatch(
        user=torch.tensor([0, 8, 3, 4, 0]),
        rec_item=torch.tensor(rec),
        search_query=torch.tensor(query),
        search_item=torch.tensor(clicks),
        rec_rank=torch.tensor([[0, 2, 3, 6], [1, 2, 99, 99], [0, 1, 2, 99], [99] * 4, [99] * 4]),
        search_rank=torch.tensor([[1, 3, 5], [0, 99, 99], [99] * 3, [0, 1, 99], [99] * 3]),
    )
    generator = torch.Generator().manual_seed(3)
    return RequestBatch(
        history,
        torch.tensor([1, 2, 3, 3, 7]) if is_search else torch.full((5,), -1),
        torch.randint(0, ITEMS, (5, 4), generator=generator),
    )


def pick(batch: RequestBatch, rows: list[int]) -> RequestBatch:
    """Some requests of a batch."""
    kept = {name: value[rows] for name, value in vars(batch.history).items()}
    return RequestBatch(HistoryBatch(**kept), batch.query[rows], batch.candidates[rows])


def losses(module: UniSAR, batch: RequestBatch, task="recommend"):
    """The losses of a batch against fixed alignment negatives."""
    return module.losses(batch, task, NEGATIVE_ITEMS, NEGATIVE_QUERIES)


class Naive:
    """The forward pass of one request, one event at a time."""

    def __init__(self, module: UniSAR) -> None:
        self.module, self.w = module, oracle.weights_of(module)
        self.heads, self.causal = module.config.num_heads, module.config.causal

    def part(self, prefix: str) -> dict[str, np.ndarray]:
        """The weights below a prefix."""
        start = f"{prefix}."
        return {k.removeprefix(start): v for k, v in self.w.items() if k.startswith(start)}

    def text(self, terms: list[int]) -> np.ndarray:
        """The vector of a list of terms."""
        w = self.part("inputs.text")
        known = [w["term_table.weight"][term] for term in terms if term >= 0]
        mean = np.mean(known, axis=0) if known else np.zeros(SIZES["id_dim"])
        return np.tanh(w["project.weight"] @ mean + w["project.bias"])

    def query(self, row: int) -> np.ndarray:
        """The vector of a query."""
        return self.text(self.module.inputs.query_terms[row].tolist())

    def item(self, row: int) -> np.ndarray:
        """The vector of an item."""
        w = self.part("inputs.item")
        value = int(self.module.inputs.item.attributes[row, 0])
        category = w["attribute_tables.0.weight"][value] if value >= 0 else np.zeros(6)
        terms = self.module.inputs.item_terms
        assert terms is not None
        text = self.text(terms[row].tolist())
        x = np.concatenate([w["id_table.weight"][row], text, category])
        return np.tanh(w["project.weight"] @ x + w["project.bias"])

    def session(self, row: int, clicks: list[int]) -> np.ndarray:
        """The vector of a search with its clicks."""
        clicked = [self.item(click) for click in clicks if click >= 0]
        return self.query(row) + (np.mean(clicked, axis=0) if clicked else 0.0)

    def events(self, history: HistoryBatch, row: int) -> list[oracle.OracleEvent]:
        """The events of one history as the oracle reads them."""
        rec = [(slot, item) for slot, item in enumerate(history.rec_item[row].tolist())]
        search = list(enumerate(history.search_query[row].tolist()))
        clicks = history.search_item[row].tolist()
        rec_rank, search_rank = history.rec_rank[row], history.search_rank[row]
        return [
            oracle.OracleEvent("rec", slot, int(rec_rank[slot]), self.item(item))
            for slot, item in rec
            if item >= 0
        ] + [
            oracle.OracleEvent(
                "search", slot, int(search_rank[slot]), self.session(query, clicks[slot])
            )
            for slot, query in search
            if query >= 0
        ]

    def fused(self, events: list[oracle.OracleEvent], source: str) -> list[np.ndarray]:
        """The fused states of one source."""
        w, own = self.part("transitions"), [e for e in events if e.source == source]
        read = [oracle.transition(w, self.heads, events, e, self.causal) for e in own]
        out = []
        for at, event in enumerate(own):
            seen = [
                i for i, e in enumerate(own) if not self.causal or e.rank < event.rank or e is event
            ]
            across, within = ([read[i][side] for i in seen] for side in (0, 1))
            w = self.part("fusion")
            name = f"{source}_layers.0"
            out.append(oracle.decode(w, name, self.heads, within, across, seen.index(at)))
        return out

    def logit(self, batch: RequestBatch, task: str, row: int, column: int) -> float:
        """The logit of one candidate of one request."""
        events = self.events(batch.history, row)
        target = self.item(int(batch.candidates[row, column]))
        pooled = [
            oracle.pool(self.w[f"{source}_pooling.weight"], self.fused(events, source), target)
            for source in ("rec", "search")
        ]
        w = self.part("inputs.user")
        user = w["id_table.weight"][int(batch.history.user[row])]
        user = np.tanh(w["project.weight"] @ user + w["project.bias"])
        query = self.query(int(batch.query[row])) if task == "search" else self.w["no_query"][0]
        features = np.concatenate([*pooled, target, user, query])
        return oracle.task_logit(self.part("experts"), task, 2, 2, features)
