"""A data set of a grid: read once into the store, opened when its cells are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sargraph.core.artifact import read_manifest
from sargraph.core.config import parse_config
from sargraph.core.errors import ConfigError
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.recipe import Recipe, read_recipe
from sargraph.events.simulate import simulate
from sargraph.events.split import Split, split_events
from sargraph.pipeline.cells import find_source, hashed_files
from sargraph.pipeline.grid.config import DataPart
from sargraph.pipeline.grid.store import Store, locked
from sargraph.pipeline.questions import Asking


@dataclass
class DataSet:
    """Events of a grid in the store, and what is made from them on demand.

    `inputs` is what a cell's hash needs to know of them: content and split.
    """

    name: str
    part: DataPart
    path: Path
    inputs: dict[str, Any]

    @cached_property
    def events(self) -> Events:
        """The events, read at first use and kept until `close`."""
        return Events.load(self.path)

    @cached_property
    def split(self) -> Split:
        """One and the same split for every model and seed."""
        return split_events(self.events, self.part.split, seed=self.part.seed)

    @property
    def content_hash(self) -> str:
        """Hash of the events."""
        return str(self.inputs["events"])

    @cached_property
    def asking(self) -> Asking:
        """Makes the questions that are asked of every arm."""
        return Asking(self.events, self.split)

    def close(self) -> None:
        """Give the memory back."""
        for name in ("events", "split", "asking"):
            self.__dict__.pop(name, None)


def open_data(name: str, part: DataPart, store: Store, beside: Path) -> DataSet:
    """Read a data set into the store, or find it there.

    Raises ConfigError for settings that the recipe does not know, BadInputError without logs.
    """
    logs = _logs(part, store, beside)
    recipe = recipe_of(name, part)
    inputs = {
        "recipe": recipe.model_dump(mode="json"),
        "files": hashed_files(logs),
        "seed": part.seed,
    }
    path = store.path("events", inputs)
    with locked(path):
        if store.take(path, read_manifest) is None:
            store.sweep(path)
            ingest(recipe, logs, path, seed=part.seed)
    split = part.split.model_dump(mode="json") if part.split else recipe.split.model_dump()
    content = read_manifest(path, verify=False).content_hash
    known = {"events": content, "split": split, "split_seed": part.seed}
    return DataSet(name, part, path, known)


def recipe_of(name: str, part: DataPart) -> Recipe:
    """The recipe of a data set with the grid's settings laid over it."""
    recipe = read_recipe(part.recipe)
    if not part.settings:
        return recipe
    merged = _laid_over(recipe.model_dump(exclude_none=True), part.settings)
    return read_recipe(parse_config(Recipe, merged, f"data.{name}.settings"))


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _laid_over(old, value)
        merged[key] = value
    return merged


def _logs(part: DataPart, store: Store, beside: Path) -> Path:
    if part.simulate is None:
        if not part.source:
            raise ConfigError(
                f"data with recipe '{part.recipe}' has neither source nor simulate; give one"
            )
        return find_source(part.source, beside)
    inputs = {"simulate": part.simulate.model_dump(mode="json"), "seed": part.seed}
    path = store.path("logs", inputs)
    with locked(path):
        if store.take(path, read_manifest) is None:
            store.sweep(path)
            simulate(path, part.simulate, seed=part.seed)
    return path
