"""The commands that judge: models on held-out choices, and two judgements against each other."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from sargraph import options, screen

log = logging.getLogger("sargraph")


def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of embeddings or of a sequence model.")],
    events: options.EventsDir,
    out: options.Out,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Judge a model on the held-out choices, popularity and p(item | term) beside it.

    Example: sargraph evaluate model events --out report
    """
    from sargraph.pipeline.models import evaluate_model

    report = evaluate_model(model, events, out, seed)
    screen.report(f"report in {out}", report, json)


def compare(
    report_a: Annotated[Path, typer.Argument(metavar="REPORT_A", help="Folder of a report.")],
    report_b: Annotated[
        Path, typer.Argument(metavar="REPORT_B", help="The one it is held against.")
    ],
    model: Annotated[str | None, typer.Option(help="Model of REPORT_A [all in both].")] = None,
    against: Annotated[str | None, typer.Option(help="Model of REPORT_B [the same name].")] = None,
    metric: Annotated[str | None, typer.Option(help="Metric [the primary one].")] = None,
    json: options.Json = False,
) -> None:
    """Compare two reports on the same requests: paired differences, intervals, verdicts, slices.

    Example: sargraph compare report other --model unisar --against popularity
    """
    from sargraph.evaluation.compare import compare_saved

    found = compare_saved(report_a, report_b, model, against, metric)
    screen.frame(f"{report_a} against {report_b}", found.frame if json else found.table(), json)
    for note in found.notes:
        log.warning("%s", note)
