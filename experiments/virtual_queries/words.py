"""Does a virtual query name the words that were typed? And what do ten of them say?

    python experiments/virtual_queries/words.py [--data lastfm|beauty] [--dim N] [--epochs N]
        [--naming W ...] [--timed] [--json FILE]

Trains UDITSR on the training part and asks every held-out search as if its query were unknown:
recall@k of its words by the virtual query q~(user, item), alone and together with the counts of the
item's words (weight chosen on validation), beside the user's frequent and recent, the item's
frequent and the popular words of training. Prints the table, and ten virtual queries of
recommendation edges in words. Needs $SARGRAPH_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import torch

import sargraph as sg
from sargraph.embedding.term_recall import best_count_weight, term_recall
from sargraph.embedding.virtual import virtual_query_words
from sargraph.pipeline.config import EvaluateStage
from sargraph.pipeline.validation import validator

SOURCES = {"lastfm": ("lastfm", "lastfm_hetrec"), "beauty": ("amazon_sequences", "amazon_beauty")}


def main() -> None:
    """Train, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", choices=list(SOURCES), default="lastfm")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--naming", type=float, nargs="+", default=[0.0, 0.3, 1.0])
    parser.add_argument("--timed", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe, folder = SOURCES[options.data]
    events = sg.ingest(recipe, Path(os.environ["SARGRAPH_DATA"]) / folder)
    split = sg.split_events(events)
    graph = sg.build_graph(events, split)
    settings = EvaluateStage(validation_requests=1000)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for naming in options.naming:
        config = {
            "dim": options.dim, "num_epochs": options.epochs, "validate_every": 4, "patience": 3,
            "naming_weight": naming, "virtual_query": "timed" if options.timed else "generated",
        }  # fmt: skip
        judge = validator(events, split, settings, 0)
        embeddings = sg.train(graph, "uditsr", config, seed=0, validate=judge)
        weight = best_count_weight(embeddings, events, split)
        table = term_recall(embeddings, events, split, count_weight=weight)
        print(f"naming weight {naming}: validation {embeddings.report['best_score']:.4f}, "
              f"weight of counts {weight}")  # fmt: skip
        print(table.round(4).to_string(), flush=True)
        found[str(naming)] = table.to_dict("index")
        made = sg.add_virtual_queries(graph, embeddings)
        for user, item, words, confidence in virtual_query_words(made, 10):
            print(f"  {item} (user {user}): {words} [{confidence:.2f}]")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
