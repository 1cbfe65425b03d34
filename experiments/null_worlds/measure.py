"""Measure the effects of planted, null and mis-specified worlds.

    python experiments/null_worlds/measure.py --cells DIR [--users 800] [--world NAME ...] [--json]

A cell is one world with five seeds: simulate, ingest, `measure_effects`. Each is stored in DIR as
JSON under the hash of its inputs (settings, seeds, recipe and the code of `sargraph.events`), so
that a second run measures only what is missing. Prints the table of the README and compares with
`expected.toml`; exit status 1 where a figure moved.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import sargraph.events
from sargraph.core.artifact import hash_file, hash_of
from sargraph.core.config import read_toml
from sargraph.core.progress import progress, quiet
from sargraph.events.effects import EFFECTS, measure_effects
from sargraph.events.ingest import ingest
from sargraph.events.recipe import shipped_recipes
from sargraph.events.simulate import SimulateConfig, simulate

HERE = Path(__file__).parent
RECIPE = "synthetic"
BLOCK = 5
"""Seeds of a cell."""

NULLED = {
    "no_s2r": ("s2r",),
    "no_r2s": ("r2s",),
    "no_demand_changes": ("search demand change", "recommend demand change"),
    "no_query_about_items": ("query about items",),
    "no_similar_users": ("similar neighbours",),
}
"""The null worlds, and the effects that each switches off: 20 seeds each."""

MIS_SPECIFIED: dict[str, dict[str, Any]] = {
    "power_decay": {},
    "category_noise": {},
    "seasonal": {},
    "seasonal, no transitions": {"s2r_effect": False, "r2s_effect": False},
}
"""Worlds in which an assumption fails; five seeds each."""


@dataclass(frozen=True)
class Cell:
    """One world with some seeds."""

    world: str
    config: SimulateConfig
    seeds: tuple[int, ...]

    @property
    def inputs(self) -> dict[str, Any]:
        """All that the cell's figures depend on."""
        settings = self.config.model_dump(mode="json")
        return {"config": settings, "seeds": list(self.seeds), "code": code_hash()}


def code_hash() -> str:
    """Hash of the code of simulation, ingestion and measures, and of the recipe between them."""
    folder = Path(sargraph.events.__path__[0])
    code = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.py")}
    files = {**code, f"{RECIPE}.toml": shipped_recipes()[RECIPE]}
    return hash_of({name: hash_file(path) for name, path in files.items()})


def grid(num_users: int, worlds: tuple[str, ...] = ()) -> Iterator[Cell]:
    """All cells, or those of some worlds."""
    blocks = dict.fromkeys(("planted", *NULLED, *MIS_SPECIFIED), 1) | dict.fromkeys(NULLED, 4)
    for world, count in blocks.items():
        if worlds and world not in worlds:
            continue
        changes = {"num_users": num_users, **MIS_SPECIFIED.get(world, {})}
        config = SimulateConfig.preset(world.partition(",")[0], **changes)
        for block in range(count):
            yield Cell(world, config, tuple(range(block * BLOCK, (block + 1) * BLOCK)))


def measure_cell(cell: Cell, folder: Path) -> pd.DataFrame:
    """The effects of a cell's world, one row per seed and effect; stored, or read where stored."""
    inputs = cell.inputs
    path = folder / f"{hash_of(inputs)[:16]}.json"
    if not path.exists():
        rows = [row for seed in cell.seeds for row in _measure(cell.config, seed)]
        text = json.dumps({"world": cell.world, "inputs": inputs, "rows": rows}, indent=1)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(text + "\n", encoding="utf-8")
        unfinished.rename(path)
    stored = json.loads(path.read_text(encoding="utf-8"))
    return pd.DataFrame(stored["rows"]).assign(world=cell.world)


def _measure(config: SimulateConfig, seed: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch, quiet():
        simulate(Path(scratch) / "logs", config, seed=seed)
        events = ingest(RECIPE, Path(scratch) / "logs")
    table = measure_effects(events, seed=seed).assign(seed=seed)
    return json.loads(table.to_json(orient="records"))


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Per world and effect: mean excess over the null mean, seeds that found it, and seeds."""
    frame = frame.assign(excess=frame["value"] - frame["null_mean"])
    grouped = frame.groupby(["world", "effect"], sort=False)
    table = grouped.agg(excess=("excess", "mean"), found=("found", "sum"), seeds=("seed", "count"))
    return table.reset_index()


def false_positives(table: pd.DataFrame) -> pd.DataFrame:
    """The lines whose effect is switched off, and the share of seeds that found it."""
    off = [row.effect in NULLED.get(row.world, ()) for row in table.itertuples()]
    return table[off].assign(rate=lambda t: t["found"] / t["seeds"])


def moved(table: pd.DataFrame) -> list[str]:
    """A line for each figure that is not where `expected.toml` has it."""
    lines = []
    known = table.set_index(["world", "effect"])
    for figure in read_toml(HERE / "expected.toml")["figures"]:
        place = (figure["world"], figure["effect"])
        if place not in known.index:
            continue
        excess = float(known.loc[place, "excess"])
        if abs(excess - figure["excess"]) > figure["tolerance"]:
            lines.append(f"moved: {' / '.join(place)}: {excess:.3f}, expected {figure['excess']}")
    worst = false_positives(table)["rate"].max()
    if worst > 0.05:
        lines.append(f"false positives: {worst:.0%} of the seeds of one effect, expected <= 5 %")
    return lines


def as_text(table: pd.DataFrame) -> str:
    """The table of the README: excess over the null mean, and seeds that found it."""
    cells = table.assign(
        text=[f"{r.excess:+.3f} ({r.found}/{r.seeds})" for r in table.itertuples()]
    )
    wide = cells.pivot(index="world", columns="effect", values="text")
    wide = wide.loc[list(dict.fromkeys(table["world"])), list(EFFECTS)]
    lines = ["| world | " + " | ".join(EFFECTS) + " |", "|---" * (len(EFFECTS) + 1) + "|"]
    lines += ["| " + " | ".join((str(world), *row)) + " |" for world, row in wide.iterrows()]
    return "\n".join(lines)


def main() -> int:
    """Measure what is missing, print, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=Path, required=True, help="folder of finished cells")
    parser.add_argument("--users", type=int, default=800, help="users of each world")
    parser.add_argument("--world", action="append", default=[], help="only this world")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    chosen = parser.parse_args()
    cells = list(grid(chosen.users, tuple(chosen.world)))
    frames = [measure_cell(cell, chosen.cells) for cell in progress(cells, "measuring worlds")]
    table = summary(pd.concat(frames, ignore_index=True))
    problems = moved(table)
    found = {"figures": table.to_dict("records"), "moved": problems}
    text = json.dumps(found) if chosen.json else "\n".join([as_text(table), *problems])
    sys.stdout.write(text + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
