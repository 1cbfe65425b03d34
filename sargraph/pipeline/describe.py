"""Describe whatever artefact a folder holds: as a table, as a page, as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from sargraph.core.artifact import Manifest, read_manifest
from sargraph.core.errors import ArtifactError, BadInputError
from sargraph.core.page import Page, table
from sargraph.embedding.embeddings import Embeddings
from sargraph.evaluation.report import Report
from sargraph.events.card import card_markdown, card_page, markdown_table, markdown_text
from sargraph.events.describe import describe_events
from sargraph.events.events import Events
from sargraph.graph.describe import graph_page
from sargraph.graph.graph import Graph
from sargraph.neighbours.index import UserIndex
from sargraph.pipeline.model_card import KINDS as MODEL_KINDS
from sargraph.pipeline.model_card import model_card
from sargraph.pipeline.page import screen_figures


def describe_artifact(path: Path) -> tuple[str, pd.DataFrame]:
    """A title and a table for any artefact. Raises ArtifactError for a kind that has no reader."""
    manifest = read_manifest(path)
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        "events": lambda: describe_events(Events.load(path)),
        "graph": lambda: Graph.load(path).describe(),
        "embeddings": lambda: _embeddings(Embeddings.load(path)),
        "index": lambda: UserIndex.load(path).describe(),
        "report": lambda: _report(Report.load(path)),
        "sequence-model": lambda: _manifest(manifest),
        "simulation": lambda: _manifest(manifest),
        "judgements": lambda: _manifest(manifest),
        "cell": lambda: _manifest(manifest),
    }
    if manifest.kind not in readers:
        raise ArtifactError(f"{path} holds '{manifest.kind}', expected one of {sorted(readers)}")
    title = f"{manifest.kind} {manifest.content_hash[:12]}, {manifest.written_by}"
    return title, readers[manifest.kind]()


def describe_page(path: Path, html: Path) -> Path:
    """Write a page about an artefact; returns its path.

    The card of a data set or of a trained model, the graph's page for graphs, the table of
    `describe_artifact` for anything else. Raises ArtifactError.
    """
    manifest = read_manifest(path)
    if manifest.kind == "events":
        return card_page(Events.load(path), html, manifest)
    if manifest.kind == "graph":
        return graph_page(Graph.load(path), html)
    if manifest.kind in MODEL_KINDS:
        return model_card(path).page().save(html)
    title, frame = describe_artifact(path)
    page = Page(title)
    page.section(title, table(frame))
    return page.save(html)


def describe_markdown(path: Path) -> str:
    """An artefact as Markdown: the card of events or a model, the table for anything else.

    Raises ArtifactError.
    """
    manifest = read_manifest(path)
    if manifest.kind == "events":
        return card_markdown(Events.load(path), manifest)
    if manifest.kind in MODEL_KINDS:
        return model_card(path).markdown()
    title, frame = describe_artifact(path)
    return f"# {markdown_text(title)}\n\n{markdown_table(frame, digits=4)}\n"


def write_descriptions(path: Path, html: Path | None, markdown: Path | None) -> list[Path]:
    """Write the page and the Markdown that were asked for; the paths written.

    Raises BadInputError where a file cannot be written, before anything is read, and ArtifactError.
    """
    for target in (html, markdown):
        if target is not None:
            _refuse_unwritable(target)
    written = []
    if html is not None:
        written.append(describe_page(path, html))
    if markdown is not None:
        markdown.write_text(describe_markdown(path), encoding="utf-8")
        written.append(markdown)
    return written


def _refuse_unwritable(path: Path) -> None:
    """Raise BadInputError where no file can be written; makes the folder, and leaves no file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise BadInputError(
            f"cannot write '{path}' ({error.strerror}); expected the path of a file, give one in a "
            "folder where files can be written"
        ) from None


def _embeddings(embeddings: Embeddings) -> pd.DataFrame:
    rows = []
    for kind, vectors in embeddings.tables.items():
        norms = np.linalg.norm(vectors, axis=1)
        rows.append((kind, *vectors.shape, float(norms.mean()), float(norms.std())))
    return pd.DataFrame(rows, columns=["table", "rows", "dim", "mean norm", "spread of norms"])


def _report(report: Report) -> pd.DataFrame:
    parts = [
        frame.assign(table=title)[["table", *frame.columns]]
        for title, frame in screen_figures(report).items()
    ]
    return pd.concat(parts, ignore_index=True)


def _manifest(manifest: Manifest) -> pd.DataFrame:
    lines = [(name, str(value)) for name, value in manifest.config.items()]
    if manifest.seed is not None and "seed" not in manifest.config:
        lines.append(("seed", str(manifest.seed)))
    lines += [(f"parent: {role}", digest) for role, digest in manifest.parents.items()]
    return pd.DataFrame(lines, columns=["setting", "value"])
