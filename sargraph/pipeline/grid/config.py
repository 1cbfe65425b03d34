"""The configuration of a grid: data sets, models, protocols and claims in one TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from sargraph.core.config import Config, apply_overrides, parse_config, read_toml
from sargraph.evaluation.protocol import Protocol
from sargraph.events.simulate import SimulateConfig
from sargraph.events.split import SplitConfig
from sargraph.graph.build import GraphConfig
from sargraph.pipeline.grid.checks import check_grid
from sargraph.pipeline.questions import TASKS, Task


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) != len(seeds):
        raise ValueError(f"got seeds {list(seeds)}, expected each once")
    return seeds


Seeds = Annotated[tuple[int, ...], AfterValidator(_distinct)]


class DataPart(Config):
    """One data set of the grid."""

    recipe: str
    """A shipped recipe's name, or the path of a recipe."""
    source: str = ""
    """Folder of raw logs: a path, or a name inside `$SARGRAPH_DATA`; empty with `simulate`."""
    simulate: SimulateConfig | None = None
    """Simulate the logs first."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Overrides of the recipe, as sections and keys of its own."""
    split: SplitConfig | None = None
    """A split other than the recipe's."""
    order_known: bool = True
    """False where the log's times do not order events within a period."""
    seed: int = 0
    """Seed of what is drawn in reading and splitting; the same for every model and seed."""

    @model_validator(mode="after")
    def _one_source(self) -> DataPart:
        if self.source and self.simulate is not None:
            raise ValueError("got source and simulate, expected one of them")
        return self


class ModelPart(Config):
    """One model of the grid, with its settings."""

    model: str
    """Name of a registered baseline, embedding model or sequence model."""
    label: str = ""
    """What the report calls it; its name in the configuration where empty."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Settings of the model and its training."""
    tasks: tuple[Task, ...] = TASKS
    """The tasks it is judged on; none for one that only starts others."""
    data: tuple[str, ...] = ()
    """The data sets it is fitted on; empty = all."""
    seeds: Seeds = ()
    """Its seeds; empty = those of the grid or, named in a claim, of the claims."""
    init: str = ""
    """Embedding model of this grid that starts a sequence model's tables; empty = random."""
    init_from: Literal["graph", "earlier", "crossfit"] = "graph"
    """Whether the graph of `init` holds the targets of this model's loss, see `init_embeddings`."""
    add: str = ""
    """Another model of this grid whose scores are added with a weight learned on validation."""
    graph: GraphConfig = GraphConfig()
    """How events become the graph of an embedding model."""
    anchor: bool = False
    """Held against outside figures, so that it may take `anchor_minutes`."""


class ProtocolPart(Config):
    """A protocol, and where it applies. In TOML its fields stand beside `tasks` and `data`."""

    protocol: Protocol
    """How models are judged."""
    tasks: tuple[Task, ...] = TASKS
    """The tasks judged by it."""
    data: tuple[str, ...] = ()
    """The data sets judged by it; empty = all."""

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "protocol" in given:
            return given
        where = {key: given[key] for key in ("tasks", "data") if key in given}
        return {**where, "protocol": {k: v for k, v in given.items() if k not in where}}

    def applies(self, data: str, task: str) -> bool:
        """True where this task of this data set is judged by it."""
        asked = self.protocol.what in ("both", task) and task in self.tasks
        return asked and (not self.data or data in self.data)


class Claim(Config):
    """ "This model beats this baseline", on each data set where both are judged."""

    model: str
    """The model's name in the configuration."""
    baseline: str
    """The name of what it is held against."""
    task: Task
    """search or recommend."""
    metric: str = "NDCG@10"
    """What decides."""
    protocol: str = ""
    """Name of the protocol; empty = the first that applies."""
    data: tuple[str, ...] = ()
    """The data sets it is claimed on; empty = all."""


class Claims(Config):
    """What the experiment claims: all models against a baseline, or pairs."""

    baseline: dict[Task, str] = Field(default_factory=dict)
    """By task, the model that every other one is held against."""
    metric: str = "NDCG@10"
    """What decides against `baseline`."""
    protocol: dict[Task, str] = Field(default_factory=dict)
    """By task, the name of the protocol that decides; the first that applies where left out."""
    pairs: tuple[Claim, ...] = ()
    """Single claims, as tables or as [model, baseline, task, metric]."""
    seeds: Seeds = ()
    """Seeds of the models named in a claim that learn from random starts."""
    slices: tuple[str, ...] = ()
    """Slices of the requests, as the report names them, on which every claim is judged as well."""

    @field_validator("pairs", mode="before")
    @classmethod
    def _from_lists(cls, pairs: Any) -> Any:
        names = ("model", "baseline", "task", "metric")
        if not isinstance(pairs, list | tuple):
            return pairs
        if any(isinstance(pair, list | tuple) and len(pair) > len(names) for pair in pairs):
            raise ValueError(f"a pair is [{', '.join(names)}]; give more as a table")
        return [
            dict(zip(names, pair, strict=False)) if isinstance(pair, list | tuple) else pair
            for pair in pairs
        ]


class Budget(Config):
    """How much an experiment may take."""

    cell_minutes: float = Field(10.0, gt=0)
    """Most minutes of a cell: training is stopped by it."""
    anchor_minutes: float = Field(60.0, gt=0)
    """The same for a model held against outside figures."""
    max_cells: int = Field(60, ge=1)
    """A grid with more cells is refused."""


class GridConfig(Config):
    """Everything that determines an experiment."""

    name: str
    """Name of the experiment and of its folder."""
    title: str = ""
    """Heading of the report."""
    question: str = ""
    """What the experiment is to find out, in a sentence."""
    seeds: Seeds = Field((0,), min_length=1)
    """Seeds of every model that no claim gives others."""
    data: dict[str, DataPart] = Field(min_length=1)
    """The data sets, by name."""
    models: dict[str, ModelPart] = Field(min_length=1)
    """The models, by name."""
    protocols: tuple[ProtocolPart, ...] = Field(min_length=1)
    """How all are judged; the first that applies to a task decides its claims."""
    claims: Claims = Claims()
    """What is held against what."""
    budget: Budget = Budget.model_validate({})
    """How much it may take."""
    min_requests: int = 500
    """A slice with fewer requests prints "too few"."""
    min_users: int = 100
    """A slice with fewer users prints "too few"."""
    validation_requests: int = Field(2000, ge=0)
    """Validation requests per task that early stopping looks at; 0 = all."""
    validation_candidates: Literal["sampled", "full"] = "sampled"
    """What they are ranked against; the whole catalogue is quick for models of vectors only."""

    def label(self, model: str) -> str:
        """What the report calls a model."""
        return self.models[model].label or model

    def protocols_of(self, data: str, task: str) -> list[Protocol]:
        """The protocols that judge a task of a data set, the deciding one first."""
        known = self.data[data].order_known
        return [
            part.protocol.model_copy(update={"order_known": part.protocol.order_known and known})
            for part in self.protocols
            if part.applies(data, task)
        ]

    def seconds(self, model: str) -> float:
        """Most seconds of a cell of this model."""
        is_anchor = self.models[model].anchor
        return 60 * (self.budget.anchor_minutes if is_anchor else self.budget.cell_minutes)


def is_grid(data: dict[str, Any]) -> bool:
    """True for the content of a grid's file, false for that of a run."""
    return "models" in data or "protocols" in data


def read_grid(path: Path, overrides: tuple[str, ...] = ()) -> GridConfig:
    """Read a grid's configuration and apply overrides. Raises ConfigError."""
    config = parse_config(GridConfig, apply_overrides(read_toml(path), overrides), str(path))
    check_grid(config, str(path))
    return config
