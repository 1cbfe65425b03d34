"""The configuration of a run: one TOML file, one section per stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from sargraph.core.config import Config, apply_overrides, parse_config, read_toml
from sargraph.events.simulate import SimulateConfig
from sargraph.events.split import SplitConfig
from sargraph.graph.build import GraphConfig
from sargraph.neighbours.index_config import IndexConfig


class IngestStage(Config):
    """Raw logs to events."""

    recipe: str
    """A shipped recipe's name, or the path of a recipe."""
    source: str = ""
    """Folder of raw logs: a path, or a name inside `$SARGRAPH_DATA`; empty after `[simulate]`."""


class FitStage(Config):
    """Events (and embeddings) to sequence models."""

    model: str = "unisar"
    """Name of a registered sequence model."""
    inits: tuple[Literal["random", "graph"], ...] = ("random", "graph")
    """Start from random tables, from the graph's embeddings, or one arm of each."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Settings of the sequence model and its training."""


class TrainStage(Config):
    """Graph to embeddings."""

    model: str = "uditsr"
    """Name of a registered embedding model."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Settings of the embedding model and its training."""


class EvaluateStage(Config):
    """How the held-out choices are judged."""

    num_negatives: int = Field(99, ge=1)
    """Sampled candidates beside the target, for all requests."""
    max_requests: int = Field(1000, ge=0)
    """Requests judged against the whole catalogue, drawn by the seed; 0 = none."""
    validation_requests: int = Field(2000, ge=0)
    """Validation requests per task that early stopping looks at; 0 = all."""
    validation_candidates: Literal["sampled", "full"] = "sampled"
    """What they are ranked against; the whole catalogue is quick for models of vectors only."""
    order_known: bool = True
    """False where the log's times do not order events within a period."""
    hide_untimed: bool = False
    """Judge search once more with histories of timed events only (listens may be later)."""
    min_requests: int = 500
    """A slice with fewer requests prints "too few"."""
    min_users: int = 100
    """A slice with fewer users prints "too few"."""


class SimilarStage(Config):
    """Users shown with their neighbours."""

    num_users: int = 3
    """How many users, drawn by the seed."""
    k: int = 5
    """Neighbours per user."""
    index: IndexConfig = IndexConfig()
    """Half-lives and weights of the profiles, and how they are compared."""


class RunConfig(Config):
    """Everything that determines a run."""

    name: str
    """Name of the run and of its folder."""
    title: str = ""
    """Heading of the report."""
    question: str = ""
    """What the run is to find out, in a sentence."""
    seed: int = 0
    """Seed of everything drawn."""
    simulate: SimulateConfig | None = None
    """Simulate the logs first."""
    ingest: IngestStage
    """Where the logs are and how to read them."""
    split: SplitConfig | None = None
    """A split other than the recipe's."""
    build: GraphConfig = GraphConfig()
    """How events become edges."""
    train: TrainStage = TrainStage()
    """The embedding model."""
    fit: FitStage = FitStage()
    """The sequence model."""
    evaluate: EvaluateStage = EvaluateStage()
    """The protocol."""
    similar: SimilarStage = SimilarStage()
    """The neighbours that are shown."""
    num_virtual_queries: int = 10
    """Virtual queries shown in words."""


def read_run(path: Path, overrides: tuple[str, ...] = ()) -> RunConfig:
    """Read a run's configuration file and apply overrides. Raises ConfigError."""
    return parse_config(RunConfig, apply_overrides(read_toml(path), list(overrides)), str(path))
