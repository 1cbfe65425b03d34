"""What a grid must not ask of its models and claims, known before any data is read."""

from __future__ import annotations

from sargraph.core.errors import BadInputError, ConfigError, nearest
from sargraph.embedding.model import embedding_model
from sargraph.evaluation.baselines.registry import check_settings
from sargraph.evaluation.metrics import metric_names
from sargraph.evaluation.slices import check_name
from sargraph.graph.build import GraphConfig
from sargraph.pipeline.grid.claims import ALL, Case, cases_of, claims_of
from sargraph.pipeline.grid.config import GridConfig, ModelPart
from sargraph.pipeline.grid.kinds import kind_of, parts_of
from sargraph.pipeline.grid.slate_arms import check_slate_settings
from sargraph.pipeline.questions import TASKS
from sargraph.sequence.model import sequence_family


def check_models(config: GridConfig) -> None:
    """Raise ConfigError for a setting that no model reads, or a claim that can never be judged."""
    for name, part in config.models.items():
        _check_settings(name, part)
        _check_start(config, name, part)
        _check_added(config, name, part)
    _check_protocols(config)
    _check_claims(config)


def _check_settings(name: str, part: ModelPart) -> None:
    kind = kind_of(part.model)
    if "seed" in part.config:
        raise ConfigError(f"models.{name}: got 'seed' in its config; use `seeds` of the model")
    if kind == "embedding":
        embedding_model(part.model).parse(part.config)
    elif kind == "sequence":
        sequence_family(part.model).parse(part.config)
    elif kind == "slate":
        check_slate_settings(part.model, part.config)
    else:
        check_settings(part.model, part.config)


def _check_start(config: GridConfig, name: str, part: ModelPart) -> None:
    """Starts are embeddings of this grid, and only sequence models have one."""
    kind = kind_of(part.model)
    if part.graph != GraphConfig() and kind != "embedding":
        raise ConfigError(f"models.{name}: got a graph, but '{part.model}' learns from events")
    if not part.init:
        if part.init_from != "graph":
            raise ConfigError(f"models.{name}: got init_from without init; name what starts it")
        return
    if kind != "sequence":
        raise ConfigError(f"models.{name}: got init, but '{part.model}' has no tables to start")
    other = config.models[part.init].model
    if kind_of(other) != "embedding":
        raise ConfigError(f"models.{name}: init is '{other}', expected an embedding model")


def _check_added(config: GridConfig, name: str, part: ModelPart) -> None:
    """What is added is another model, alone, of the same data, that can rank the catalogue."""
    if not part.add:
        return
    other = config.models[part.add]
    if part.add == name or other.add:
        why = "that is itself" if part.add == name else f"which adds '{other.add}' itself"
        raise ConfigError(f"models.{name}: add is '{part.add}', {why}; name a model without `add`")
    for each in parts_of(config, name):
        if kind_of(each.model) == "slate":
            raise ConfigError(
                f"models.{name}: got add, but '{each.model}' knows only what was shown; "
                "mix models that rank the whole catalogue"
            )
    missing = sorted(set(part.data or config.data) - set(other.data or config.data))
    if missing:
        raise ConfigError(
            f"models.{name}: add is '{part.add}', which is not for data '{missing[0]}'; "
            "give both the same `data`"
        )


def _check_protocols(config: GridConfig) -> None:
    given = [part.protocol for part in config.protocols]
    for protocol in given:
        if protocol.negatives == "file":
            raise ConfigError(
                f"protocol '{protocol.name}': a grid has no lists of negatives, expected uniform "
                "or popularity; judge given lists with evaluate_scorer"
            )
    shown = [part for part in config.models.values() if kind_of(part.model) == "slate"]
    if shown and any(p.candidates == "slate" and p.part != "test" for p in given):
        raise ConfigError(
            f"'{shown[0].model}' knows the slates of the test part alone, got a protocol of slates "
            "on validation; take one of them away"
        )


def _check_slices(config: GridConfig) -> None:
    names = config.claims.slices
    if len(set(names)) != len(names):
        raise ConfigError(f"claims.slices: got {list(names)}, expected each once")
    if names and not any(True for _ in claims_of(config)):
        raise ConfigError("claims.slices without a claim; give claims.baseline or claims.pairs")
    for name in names:
        if name == ALL:
            raise ConfigError("claims.slices: got 'all', which is always judged; take it away")
        try:
            check_name(name)
        except BadInputError as error:
            raise ConfigError(f"claims.slices: {error}") from None


def _check_claims(config: GridConfig) -> None:
    _check_slices(config)
    cases = [case for data in config.data for case in cases_of(config, data)]
    for claim in config.claims.pairs:
        if not any(case.claim == claim for case in cases):
            raise ConfigError(
                f"the claim that {claim.model} beats {claim.baseline} in {claim.task} can be "
                "judged nowhere: no data set has both models in this task under one such protocol"
            )
    for task in TASKS:
        general = [claim for claim in claims_of(config) if claim not in config.claims.pairs]
        named = [claim for claim in general if claim.task == task]
        if named and not any(case.claim in named for case in cases):
            raise ConfigError(
                f"claims.baseline.{task} = '{named[0].baseline}' is judged beside no other model; "
                f"give it the task {task} and a data set in common with them"
            )
    for case in cases:
        _check_metric(case)


def _check_metric(case: Case) -> None:
    known = metric_names(case.protocol.cutoffs)
    if case.claim.metric not in known:
        raise ConfigError(
            f"a claim by the metric '{case.claim.metric}' under protocol '{case.protocol.name}'; "
            f"{nearest(case.claim.metric, known)}"
        )
