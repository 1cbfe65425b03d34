"""Measure how often the verdict is wrong, and what it can see.

    python experiments/verdict/measure.py --cells DIR [--only STUDY ...] [--json]

A cell is one study; each is stored in DIR as JSON under the hash of its inputs (the code here and
that of the significance tests), so that a second run measures only what is missing. The results of
the models on Beauty are stored there too. Needs the Amazon Beauty sequences in `$SARGRAPH_DATA`.
Prints the tables of the README and compares with `expected.toml`; exit status 1 where one moved.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from arms import arms_on_beauty
from studies import coverage, gain_pairs, null_pairs, seed_pairs, tally

import sargraph.evaluation
from sargraph.core.artifact import hash_file, hash_of
from sargraph.core.config import read_toml
from sargraph.core.types import DoubleArray

HERE = Path(__file__).parent
CODE = ("significance", "permutation", "seeds", "verdict")
"""Modules of `sargraph.evaluation` that the studies are about."""

SPREADS = {
    "users only": (1.0, 0.0, 0.0),
    "users and seeds": (1.0, 0.05, 0.5),
    "seeds above all": (0.1, 1.0, 0.1),
    "noise above all": (0.05, 0.02, 1.0),
}
"""Standard deviations over users, over seeds, and over users within a seed."""

Study = Callable[[], dict[str, Any]]


def verdict_studies(arms: Callable[[], dict[str, DoubleArray]]) -> dict[str, Study]:
    """Studies on real results, by name."""

    def near() -> tuple[DoubleArray, DoubleArray]:
        return arms()["factors"][0], arms()["factors"][1]

    def far() -> tuple[DoubleArray, DoubleArray]:
        return arms()["p(item | term) or popularity"][0], arms()["factors"][0]

    def seeds() -> DoubleArray:
        return arms()["factors"]

    return {
        "null, near-identical": lambda: tally("null, near-identical", null_pairs(*near(), 0)),
        "null, different": lambda: tally("null, different", null_pairs(*far(), 1)),
        "+5 %, near-identical": lambda: tally("+5 %, near-identical", gain_pairs(*near(), 2)),
        "+5 %, different": lambda: tally("+5 %, different", gain_pairs(*far(), 3)),
        "null, 5 seeds against 5": lambda: tally(
            "null, 5 seeds against 5", seed_pairs(seeds(), 5, 4)
        ),
        "null, 5 against 5, seeds ignored": lambda: tally(
            "null, 5 against 5, seeds ignored", seed_pairs(seeds(), 5, 4, fixed=True)
        ),
        "null, 1 seed against 1": lambda: tally(
            "null, 1 seed against 1", seed_pairs(seeds(), 1, 5)
        ),
    }


def coverage_studies() -> dict[str, Study]:
    """Studies on simulated users and seeds, by name."""
    found: dict[str, Study] = {}
    for users, seeds, arms in ((200, 5, 1), (200, 5, 2), (2000, 5, 2), (200, 2, 2)):
        for kind, spread in SPREADS.items():
            name = f"{kind}: {users} users, {seeds} seeds, {arms} arm(s)"
            found[name] = lambda n=name, s=spread, a=(users, seeds, arms): coverage(n, s, *a)
    return found


def cell(name: str, study: Study, folder: Path) -> dict[str, Any]:
    """A study's figures; stored, or read where stored."""
    package = Path(sargraph.evaluation.__path__[0])
    files = [*HERE.glob("*.py"), *(package / f"{module}.py" for module in CODE)]
    inputs = {"name": name, "code": {path.name: hash_file(path) for path in files}}
    path = folder / f"{hash_of(inputs)[:16]}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(study(), indent=1) + "\n", encoding="utf-8")
        unfinished.rename(path)
    return json.loads(path.read_text(encoding="utf-8"))


def moved(figures: list[dict[str, Any]]) -> list[str]:
    """A line for each figure that is not where `expected.toml` has it."""
    known, lines = {each["study"]: each for each in figures}, []
    for figure in read_toml(HERE / "expected.toml")["figures"]:
        if figure["study"] not in known:
            continue
        value = known[figure["study"]][figure["figure"]]
        if abs(value - figure["value"]) > figure["tolerance"]:
            name = f"{figure['study']} / {figure['figure']}"
            lines.append(f"moved: {name}: {value:.4f}, expected {figure['value']}")
    return lines


def seed_line(means: DoubleArray) -> str:
    """How far single trainings of one model lie apart."""
    by_seed = means.mean(axis=1)
    share = by_seed.std(ddof=1) / by_seed.mean()
    return (
        f"{len(by_seed)} trainings of the factors: NDCG@10 {by_seed.mean():.4f}, from "
        f"{by_seed.min():.4f} to {by_seed.max():.4f}, standard deviation {share:.2%} of the mean"
    )


def as_text(figures: list[dict[str, Any]]) -> str:
    """The tables of the README."""
    tables = (pd.DataFrame([f for f in figures if key in f]) for key in ("shown", "coverage"))
    return "\n\n".join(_markdown(table) for table in tables if not table.empty)


def _markdown(table: pd.DataFrame) -> str:
    rows = [
        [f"{value:.1%}" if isinstance(value, float) else str(value) for value in row]
        for row in table.itertuples(index=False)
    ]
    names = [str(name).replace("_", " ") for name in table.columns]
    return "\n".join(
        "| " + " | ".join(cells) + " |" for cells in (names, ["---"] * len(names), *rows)
    )


def main() -> int:
    """Measure what is missing, print, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=Path, required=True, help="folder of finished cells")
    parser.add_argument("--only", action="append", default=[], help="only this study")
    parser.add_argument("--json", action="store_true", help="one object instead of the tables")
    chosen = parser.parse_args()
    kept: dict[str, DoubleArray] = {}

    def arms() -> dict[str, DoubleArray]:
        if not kept:
            kept.update(arms_on_beauty(chosen.cells))
        return kept

    studies = {**verdict_studies(arms), **coverage_studies()}
    names = chosen.only or list(studies)
    figures = [cell(name, studies[name], chosen.cells) for name in names]
    problems = moved(figures)
    lines = [as_text(figures), seed_line(arms()["factors"]), *problems]
    text = (
        json.dumps({"figures": figures, "moved": problems}) if chosen.json else "\n\n".join(lines)
    )
    sys.stdout.write(text + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
