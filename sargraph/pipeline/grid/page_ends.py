"""The end of an experiment's report: what was left out, what it took, how to repeat it."""

from __future__ import annotations

import platform

import pandas as pd

import sargraph
from sargraph.pipeline.document import Block, Code, Frame, Section, Text
from sargraph.pipeline.grid.run import Found


def gaps_section(found: Found) -> Section:
    """What was left out and why, what was damaged, what each data set cannot decide."""
    blocks: list[Block] = []
    if found.left_out:
        rows = [(gone.data, gone.model, gone.why) for gone in found.left_out]
        blocks.append(Frame(pd.DataFrame(rows, columns=["data", "model", "why"])))
    else:
        blocks.append(Text("Nothing was left out."))
    blocks += [Text(line) for line in found.remarks]
    for data in found.data:
        blocks += [Text(f"{data.name}: {line}", note=True) for line in data.decisions]
    return Section("What is missing", blocks, group="Contents")


def cost_section(found: Found) -> Section:
    """Times and memory of every cell."""
    rows = [
        {
            "data": cell.data,
            "model": cell.label,
            "seed": str(cell.seed),
            "epochs": cell.epochs,
            "wall s": f"{cell.cost.wall:.1f}",
            "processor s": f"{cell.cost.cpu:.1f}",
            "peak MB": f"{cell.cost.peak_mb:.0f}",
            "": cell.note or ("" if cell.is_new else "taken up"),
        }
        for cell in found.cells
    ]
    note = (
        "Fitting and judging together, as measured when the cell was made; of a training that went "
        "on after an interruption the last part. Peak memory includes the events."
    )
    frame = pd.DataFrame(rows)
    return Section("What it took", [Frame(frame), Text(note, note=True)], group="Contents")


def repeat_section(found: Found) -> Section:
    """The command, the data by hash and size, the versions."""
    rows = [
        {
            "data": data.name,
            "events hash": data.content_hash[:16],
            "queries are": data.query_kind,
            **{name: f"{size:,}" for name, size in data.sizes.items()},
            "split": ", ".join(f"{n:,} {part.replace('_', ' ')}" for part, n in data.split.items()),
        }
        for data in found.data
    ]
    versions = f"sargraph {sargraph.__version__}, Python {platform.python_version()}"
    return Section(
        "How to repeat it",
        [
            Code([found.command or f"sargraph run {found.config.name}.toml"]),
            Frame(pd.DataFrame(rows)),
            Text(f"{versions}. Cells that are there are taken up; the same seeds give the same "
                 "figures on one kind of processor.", note=True),
        ],
        group="Contents",
    )  # fmt: skip
