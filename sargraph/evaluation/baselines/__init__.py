"""Baselines beside every figure: popularity, neighbours of items and sessions, words of queries.

They are scorers that learn from training events only (`Split.is_train`) and read histories
strictly before a request. A candidate of -1 is padding and scores -inf.
"""

from sargraph.evaluation.baselines.als import ALS, ALSConfig
from sargraph.evaluation.baselines.best_mix import BestMixConfig, best_mix
from sargraph.evaluation.baselines.bm25 import BM25, BM25Config
from sargraph.evaluation.baselines.ease import EASE, EASEConfig
from sargraph.evaluation.baselines.item_knn import ItemKNN, ItemKNNConfig
from sargraph.evaluation.baselines.mix import Mix, spread, tune_mix
from sargraph.evaluation.baselines.most_clicked import MostClicked
from sargraph.evaluation.baselines.popularity import Popularity
from sargraph.evaluation.baselines.registry import BASELINES, baselines_for, build_baseline
from sargraph.evaluation.baselines.session_knn import (
    SKNN,
    STAN,
    VSKNN,
    SKNNConfig,
    STANConfig,
    VSKNNConfig,
)
from sargraph.evaluation.baselines.term_lexical import SourceTerms, TermLexical
from sargraph.evaluation.baselines.term_match import TermMatch

__all__ = [
    "ALS",
    "BASELINES",
    "BM25",
    "EASE",
    "SKNN",
    "STAN",
    "VSKNN",
    "ALSConfig",
    "BM25Config",
    "BestMixConfig",
    "EASEConfig",
    "ItemKNN",
    "ItemKNNConfig",
    "Mix",
    "MostClicked",
    "Popularity",
    "SKNNConfig",
    "STANConfig",
    "SourceTerms",
    "TermLexical",
    "TermMatch",
    "VSKNNConfig",
    "baselines_for",
    "best_mix",
    "build_baseline",
    "spread",
    "tune_mix",
]
