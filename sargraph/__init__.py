"""Join search and recommendation logs in one user-query-item graph.

Public names are looked up on first use, so that importing the package costs nothing:

    import sargraph as sg
    events = sg.ingest("lastfm", "lastfm_hetrec")
    graph = sg.build_graph(events, sg.split_events(events))
    embeddings = sg.train(graph, "uditsr")
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "simulate": "sargraph.events.simulate",
    "SimulateConfig": "sargraph.events.simulate",
    "ingest": "sargraph.events.ingest",
    "Events": "sargraph.events.events",
    "Vocabulary": "sargraph.events.vocabulary",
    "HistoryIndex": "sargraph.events.history",
    "Split": "sargraph.events.split",
    "SplitConfig": "sargraph.events.split",
    "split_events": "sargraph.events.split",
    "requests_for": "sargraph.events.split",
    "transitions_of": "sargraph.events.transitions",
    "identifiability": "sargraph.events.identifiability",
    "overlap": "sargraph.events.overlap",
    "measure_effects": "sargraph.events.effects",
    "card_page": "sargraph.events.card",
    "Graph": "sargraph.graph.graph",
    "GraphConfig": "sargraph.graph.build",
    "build_graph": "sargraph.graph.build",
    "audit": "sargraph.graph.audit",
    "NeighbourSampler": "sargraph.graph.sample",
    "sample_links": "sargraph.graph.links",
    "NegativeSampler": "sargraph.graph.negative",
    "Positives": "sargraph.graph.positives",
    "GraphSampler": "sargraph.graph.loader",
    "Embeddings": "sargraph.embedding.embeddings",
    "train": "sargraph.embedding.train",
    "scorer_of": "sargraph.embedding.scorer",
    "init_embeddings": "sargraph.embedding.init_from",
    "check_init_gain": "sargraph.embedding.init_from",
    "add_virtual_queries": "sargraph.embedding.virtual",
    "explain_edge": "sargraph.embedding.virtual",
    "SequenceModel": "sargraph.sequence.sequence_model",
    "fit": "sargraph.sequence.train:fit_sequence",
    "UserIndex": "sargraph.neighbours.index",
    "build_index": "sargraph.neighbours.build",
    "similar_users": "sargraph.neighbours.build",
    "vector_neighbours": "sargraph.neighbours.vectors",
    "state_vectors": "sargraph.neighbours.vectors",
    "build_soft_index": "sargraph.neighbours.soft",
    "lent_searches": "sargraph.neighbours.lending",
    "Protocol": "sargraph.evaluation.protocol",
    "freeze": "sargraph.evaluation.freeze",
    "build_baseline": "sargraph.evaluation.baselines.registry",
    "slate_requests": "sargraph.evaluation.slates",
    "compare_reports": "sargraph.evaluation.compare",
    "check_table": "sargraph.evaluation.refusal_table",
    "evaluate_scorer": "sargraph.evaluation.evaluate",
    "Report": "sargraph.evaluation.report",
    "evaluate": "sargraph.pipeline.judge",
    "run": "sargraph.pipeline.run",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sargraph' has no attribute '{name}'")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return sorted(__all__)
