"""The plan of a grid: its cells, what is there already, what it will take, what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import ArtifactError, ConfigError
from sargraph.pipeline.grid.cells import KIND, Cell, LeftOut, is_finished
from sargraph.pipeline.grid.config import GridConfig
from sargraph.pipeline.grid.data import DataSet
from sargraph.pipeline.grid.kinds import is_learned, parts_of, protocols_for, refusal
from sargraph.pipeline.grid.store import COST, Store, read_cost
from sargraph.pipeline.questions import Task


@dataclass(frozen=True)
class Planned:
    """A cell to come: whether it is there, and the minutes it will take by estimate."""

    cell: Cell
    is_there: bool
    minutes: float
    basis: str


@dataclass(frozen=True)
class Plan:
    """All cells of a grid, and what is left out."""

    cells: tuple[Planned, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def minutes(self) -> float:
        """Minutes still to come, at the most where no kin of a cell is stored."""
        return sum(planned.minutes for planned in self.cells if not planned.is_there)

    def of(self, data: str) -> list[Cell]:
        """The cells of one data set."""
        return [planned.cell for planned in self.cells if planned.cell.data == data]

    def lines(self) -> list[str]:
        """The budget in readable lines."""
        there = sum(planned.is_there for planned in self.cells)
        todo = [planned for planned in self.cells if not planned.is_there]
        known = sum(planned.basis != "ceiling" for planned in todo)
        lines = [f"{len(self.cells)} cells: {there} there already, {len(todo)} to make"]
        if todo:
            lines.append(
                f"estimate: {self.minutes:.1f} processor minutes ({known} cells by what equal "
                f"ones took, {len(todo) - known} by their ceiling)"
            )
        lines += [f"left out: {gone.model} on {gone.data}: {gone.why}" for gone in self.left_out]
        return lines


def plan_grid(config: GridConfig, datasets: Sequence[DataSet], store: Store) -> Plan:
    """Every model on every data set it is for, with every seed.

    Raises ConfigError for a grid of more cells than its budget allows, or an unknown model.
    """
    cells, left_out = [], []
    for data in datasets:
        for name in config.models:
            tasks, why = _tasks_of(config, name, data)
            if why:
                left_out.append(LeftOut(data.name, config.label(name), why))
            elif tasks is not None:
                cells += [Cell(data.name, name, seed, tasks) for seed in seeds_of(config, name)]
        data.close()
    if len(cells) > config.budget.max_cells:
        raise ConfigError(
            f"got a grid of {len(cells)} cells, expected at most {config.budget.max_cells}; "
            "take models, seeds or data sets away, or raise budget.max_cells"
        )
    by_name = {data.name: data for data in datasets}
    kin = _Kin(store)
    planned = [_planned(config, cell, by_name[cell.data], store, kin) for cell in cells]
    return Plan(tuple(planned), tuple(left_out))


def seeds_of(config: GridConfig, model: str) -> tuple[int, ...]:
    """The seeds of a model: its own, those of the claims, those of the grid, or one."""
    part, claims = config.models[model], config.claims
    if not is_learned(config, model):
        return (part.seeds or config.seeds)[:1]
    if part.seeds:
        return part.seeds
    named = {name for claim in claims.pairs for name in (claim.model, claim.baseline)}
    is_named = model in named or bool(set(claims.baseline) & set(part.tasks))
    return claims.seeds if is_named and claims.seeds else config.seeds


def _tasks_of(config: GridConfig, model: str, data: DataSet) -> tuple[tuple[Task, ...] | None, str]:
    """The tasks a model is judged on, None where it is not for this data; or why it is left out."""
    part = config.models[model]
    if part.data and data.name not in part.data:
        return None, ""
    judged = {task: protocols_for(config, model, data.name, task) for task in part.tasks}
    asked = [task for task in part.tasks if judged[task]]
    tasks = tuple(
        task for task in asked
        if any(len(data.asking.requests(task, protocol)[0]) for protocol in judged[task])
    )  # fmt: skip
    if part.tasks and not asked:
        return None, ""
    if part.tasks and not tasks:
        return None, f"its protocols find no requests of {' or '.join(asked)}"
    whys = (
        refusal(each.model, data.events, data.split, each.config)
        for each in parts_of(config, model)
    )
    return tasks, next(filter(None, whys), "")


def _planned(config: GridConfig, cell: Cell, data: DataSet, store: Store, kin: _Kin) -> Planned:
    path = cell.path(config, data, store)
    if store.is_there(path) and _is_finished(config, cell, path, store):
        return Planned(cell, True, 0.0, "there")
    parts = parts_of(config, cell.model)
    name, settings = _kin_name(part.model for part in parts), [part.config for part in parts]
    known = kin.seconds(name, settings, data.content_hash)
    if known is None:
        return Planned(cell, False, config.seconds(cell.model) / 60, "ceiling")
    return Planned(cell, False, known / 60, "kin")


def _is_finished(config: GridConfig, cell: Cell, path: Path, store: Store) -> bool:
    """A damaged cell is not; what else it is to become shows when it is taken up."""
    with suppress(ArtifactError, KeyError):
        return is_finished(config, cell, read_manifest(path, KIND, verify=False).config, store)
    return False


def _kin_name(models: Iterable[str]) -> str:
    """A mix takes as long as another mix of the same two, not as one of them."""
    return " + ".join(models)


class _Kin:
    """What stored cells took: of the same model and settings, or at least the same model."""

    def __init__(self, store: Store) -> None:
        self._found = list(_stored(store.folder))

    def seconds(self, model: str, settings: object, events: str) -> float | None:
        """Processor seconds of the nearest kin on the same events, their mean; None without."""
        same = [row for row in self._found if row[:1] + row[2:3] == (model, events)]
        equal = [row for row in same if row[1] == settings] or same
        return sum(row[3] for row in equal) / len(equal) if equal else None


def _stored(folder: Path) -> Iterator[tuple[str, object, str, float]]:
    """(model, settings, events, processor seconds) of every cell whose cost is known."""
    for path in sorted(folder.glob(f"{KIND}-*")):
        try:
            arm = read_manifest(path, KIND, verify=False).config["cell"]["arm"]
        except (ArtifactError, KeyError):
            continue
        cost = read_cost(path / COST)
        if cost.cpu == cost.cpu:
            arms = [arm, *([arm["added"]] if "added" in arm else [])]
            name = _kin_name(each["model"] for each in arms)
            yield name, [each["config"] for each in arms], arm["events"], cost.cpu
