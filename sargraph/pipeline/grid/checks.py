"""What a grid's configuration must not leave open: names that are there, tables told apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sargraph.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from sargraph.pipeline.grid.config import GridConfig


def check_grid(config: GridConfig, where: str) -> None:
    """Raise ConfigError where a name leads nowhere, or two arms or protocols look the same."""
    _check_names(config, where)
    for data in config.data:
        labels = [config.label(name) for name, part in config.models.items()
                  if not part.data or data in part.data]  # fmt: skip
        _check_apart(labels, f"{where}: two models of '{data}' are called")
        judged = {
            protocol.hash: protocol.candidates_text()
            for task in ("recommend", "search")
            for protocol in config.protocols_of(data, task)
        }
        _check_apart(list(judged.values()), f"{where}: two protocols of '{data}' both judge by")


def _check_names(config: GridConfig, where: str) -> None:
    models, data = config.models, config.data
    for name, part in models.items():
        _known(part.data, data, f"{where}: models.{name}.data")
        for key, other in (("init", part.init), ("add", part.add)):
            _known([other] if other else [], models, f"{where}: models.{name}.{key}")
    for number, judged in enumerate(config.protocols):
        _known(judged.data, data, f"{where}: protocols.{number}.data")
    _known(config.claims.baseline.values(), models, f"{where}: claims.baseline")
    for claim in config.claims.pairs:
        _known([claim.model, claim.baseline], models, f"{where}: claims.pairs")
        _known(claim.data, data, f"{where}: claims.pairs.data")
    protocols = {judged.protocol.name for judged in config.protocols}
    named = [*config.claims.protocol.values(), *(c.protocol for c in config.claims.pairs)]
    _known([name for name in named if name], protocols, f"{where}: protocol of a claim")


def _known(names: Iterable[str], known: Iterable[str], where: str) -> None:
    names, known = list(names), list(known)
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: there is no '{name}'; {nearest(name, known)}")


def _check_apart(texts: list[str], start: str) -> None:
    twice = [text for place, text in enumerate(texts) if text in texts[:place]]
    if twice:
        raise ConfigError(f"{start} '{twice[0]}'; give them other names, so that they can be told")
