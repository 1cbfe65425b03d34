"""The card of a trained model: what it is, what it learned from, how well, and what not to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from sargraph.core.artifact import Manifest, read_manifest
from sargraph.core.errors import ArtifactError
from sargraph.embedding.model import embedding_model
from sargraph.evaluation.report import Report
from sargraph.evaluation.report_text import size_text, slice_table
from sargraph.pipeline.document import Block, Document, Frame, Plot, Section, Text
from sargraph.pipeline.training_plot import training_plot
from sargraph.sequence.model import sequence_family

KINDS = {"embeddings": "graph embeddings", "sequence-model": "sequence model"}


def model_card(
    path: Path,
    report: Report | None = None,
    label: str = "",
    data: Mapping[str, Any] | None = None,
    limits: Sequence[str] = (),
) -> Document:
    """The card of saved embeddings or of a saved sequence model.

    `report` and `label` give its figures, where it was judged; `data` facts of its data set, such
    as the split; `limits` what that data set cannot decide. Raises ArtifactError for other
    artefacts.
    """
    manifest = read_manifest(path)
    if manifest.kind not in KINDS:
        raise ArtifactError(f"{path} holds '{manifest.kind}', expected one of {sorted(KINDS)}")
    history = json.loads((path / "history.json").read_text(encoding="utf-8"))
    name = str(manifest.config["model"])
    sections = [
        Section("What it is", list(_about(name, manifest))),
        Section("What it learned from", list(_inputs(manifest, data or {}))),
        Section("How it was trained", list(_training(manifest, history))),
        Section("How well it does", list(_figures(report, label or name))),
        Section("What not to ask of it", [Text(line) for line in _limits(report, limits)]),
    ]
    title = f"Model: {label or name}"
    return Document(title, f"A {KINDS[manifest.kind]}, {manifest.content_hash[:16]}.", sections)


def _about(name: str, manifest: Manifest) -> Iterator[Block]:
    sentence = _sentence(name, manifest.kind)
    if sentence:
        yield Text(sentence)
    facts = {"model": name, "kind": KINDS[manifest.kind], "seed": manifest.seed,
             "content hash": manifest.content_hash, "written by": manifest.written_by}  # fmt: skip
    yield _frame(facts, "")


def _sentence(name: str, kind: str) -> str:
    """The first paragraph of what the model's own code says of it."""
    member: Any = embedding_model(name) if kind == "embeddings" else type(sequence_family(name))
    return " ".join((member.__doc__ or "").strip().split("\n\n")[0].split())


def _inputs(manifest: Manifest, data: Mapping[str, Any]) -> Iterator[Block]:
    if data:
        yield _frame(data, "Its data set")
    if manifest.parents:
        parents = {role: digest or "not saved" for role, digest in manifest.parents.items()}
        yield _frame(parents, "Content hashes of its parents")
    found = manifest.config.get("init_report") or {}
    if found:
        rows = [{"table": kind, **counts} for kind, counts in sorted(found.items())]
        yield Frame(pd.DataFrame(rows), "Ids that found their vector in the given embeddings")


def _training(manifest: Manifest, history: list[dict[str, Any]]) -> Iterator[Block]:
    about = manifest.config
    is_embedding = manifest.kind == "embeddings"
    outcome: Mapping[str, Any] = about["report"] if is_embedding else about["fitted"]
    if history:
        losses = [entry["loss"] for entry in history]
        facts = {
            "epochs": len(history),
            "loss, first epoch": losses[0],
            "loss, last epoch": losses[-1],
            **{name.replace("_", " "): value for name, value in outcome.items()},
        }
        yield _frame(facts, "")
        yield Plot(partial(training_plot, history))
    yield Frame(_settings(about["training"]), "Settings", folded=True)


def _figures(report: Report | None, label: str) -> Iterator[Block]:
    if report is None:
        yield Text("It was not judged here; `sargraph evaluate` judges it.")
        return
    own = report.frame[(report.frame["model"] == label) & (report.frame["metric"] == report.metric)]
    if own.empty:
        yield Text("It was judged on no task; it only starts other models.")
    for (task, candidates), rows in own.groupby(["task", "candidates"], sort=False):
        table = slice_table(rows, report.metric).rename(columns={label: report.metric})
        yield Frame(table, f"{task}, {candidates} ({size_text(rows)})")
    yield from (Text(line, note=True) for line in report.protocol_lines())


def _limits(report: Report | None, limits: Sequence[str]) -> list[str]:
    lines = list(limits)
    if report is not None:
        own = [protocol for protocol in report.protocols if protocol.candidates == "sampled"]
        if own:
            lines.append(
                "Figures among sampled negatives are not those of a whole catalogue, and order "
                "models otherwise."
            )
    lines.append(
        "It knows the ids it was fitted on; a user or an item that training never saw is answered "
        "by what the model falls back on."
    )
    lines.append("Offline figures on logged choices say nothing of what users would have chosen "
                 "among things they were not shown.")  # fmt: skip
    return lines


def _settings(nested: Mapping[str, Any], start: str = "") -> pd.DataFrame:
    return pd.DataFrame(list(_flat(nested, start)), columns=["setting", "value"])


def _flat(nested: Mapping[str, Any], start: str) -> Iterator[tuple[str, str]]:
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{start}{name}.")
        else:
            yield f"{start}{name}", str(value)


def _frame(facts: Mapping[str, Any], caption: str) -> Frame:
    rows = [(name, _text(value)) for name, value in facts.items()]
    return Frame(pd.DataFrame(rows, columns=["", "value"]), caption)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if is_number else str(value)
